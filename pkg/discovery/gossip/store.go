package gossip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"imagemill/pkg/discovery"
)

// store keeps this member's copy of the settings.
type store struct {
	path string // "" if they are not kept on disk
	log  *slog.Logger

	mu       sync.Mutex
	doc      *document
	open     bool // watchers may be told: others were asked, or the disk knew
	mine     map[string]discovery.Entry
	watchers map[chan discovery.Document]struct{}

	synced chan struct{} // closed when others were asked for the first time
}

func newStore(dir string, log *slog.Logger) *store {
	s := &store{
		log: log, doc: &document{Settings: discovery.Document{}}, mine: map[string]discovery.Entry{},
		watchers: map[chan discovery.Document]struct{}{}, synced: make(chan struct{}),
	}
	if dir != "" {
		s.path = filepath.Join(dir, settingsFile)
	}
	return s
}

// load reads what the disk has. A file that is damaged is no reason not to start:
// the others have the settings too. It is put aside.
func (s *store) load() error {
	if s.path == "" {
		return nil
	}
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	doc, err := parse(text)
	if err != nil {
		s.log.Warn("the file of the settings is damaged, they are fetched from other members", "file", s.path, "kept", s.path+".damaged", "error", err)
		if err := os.Rename(s.path, s.path+".damaged"); err != nil {
			return fmt.Errorf("put damaged settings aside: %w", err)
		}
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if doc.compare(s.doc.version) > 0 {
		s.doc, s.open = doc, true
		s.notify()
	}
	return nil
}

// current is the document as this member has it.
func (s *store) current() *document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doc
}

// adopt takes another member's document, if it wins; on disk first. If the disk
// refuses it, it counts in memory, and the next start fetches it again.
func (s *store) adopt(doc *document) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if doc.compare(s.doc.version) <= 0 {
		return false
	}
	if err := s.keep(doc); err != nil {
		s.log.Warn("settings are not kept on disk", "error", err)
	}
	s.losses(doc)
	s.doc, s.open = doc, true
	s.notify()
	return true
}

// change makes a new document of the current one by a function that works on a
// copy of the settings. The document is nil if the function says that there is
// nothing to do. It is on disk when change returns, where there is one.
func (s *store) change(origin string, do func(settings discovery.Document, generation uint64) bool) (*document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	settings := s.doc.Settings.Clone()
	if !do(settings, s.doc.Generation+1) {
		return nil, nil
	}
	doc, err := s.doc.after(origin, settings)
	if err != nil {
		return nil, err
	}
	if err := s.keep(doc); err != nil {
		return nil, err
	}
	for name, entry := range settings {
		if entry != s.doc.Settings[name] {
			s.mine[name] = entry
		}
	}
	maps.DeleteFunc(s.mine, func(name string, _ discovery.Entry) bool {
		_, there := settings[name]
		return !there
	})
	s.doc, s.open = doc, true
	s.notify()
	return doc, nil
}

// losses logs the changes made here that the winner was made without, as far as
// can be told from it. The lock is held.
func (s *store) losses(winner *document) {
	for name, entry := range s.mine {
		now, there := winner.Settings[name]
		switch {
		case there && now == entry:
			continue
		case there && now.Version <= entry.Version, !there && winner.Generation <= s.doc.Generation:
			s.log.Warn("a setting changed here was lost to another change at the same time", "setting", name,
				"writer", entry.Writer, "winner", winner.Origin, "generation", winner.Generation)
		}
		delete(s.mine, name)
	}
}

// keep writes the document to disk, if there is one.
func (s *store) keep(doc *document) error {
	if s.path == "" {
		return nil
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("keep settings: %w", err)
	}
	if err := replace(s.path, text); err != nil {
		return fmt.Errorf("keep settings: %w", err)
	}
	return nil
}

// synchronised says that others were asked, or that there are none.
func (s *store) synchronised() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.synced:
		return
	default:
	}
	close(s.synced)
	if !s.open {
		s.open = true
		s.notify()
	}
}

// watch adds a reader, who gets what there is at once.
func (s *store) watch(ctx context.Context) <-chan discovery.Document {
	ch := make(chan discovery.Document, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[ch] = struct{}{}
	if s.open {
		offer(ch, s.doc.Settings.Clone())
	}
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, ch)
		close(ch)
	})
	return ch
}

// notify gives each reader a copy of its own. The lock is held.
func (s *store) notify() {
	for ch := range s.watchers {
		offer(ch, s.doc.Settings.Clone())
	}
}

// offer puts a value into a channel of capacity one in place of an unread one.
// Only one goroutine at a time may do so.
func offer[T any](ch chan T, value T) {
	select {
	case <-ch:
	default:
	}
	ch <- value
}
