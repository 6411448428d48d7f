package mem

import (
	"context"
	"fmt"
	"sync"

	"imagemill/pkg/discovery"
)

var _ discovery.SettingsStore = (*Registry)(nil)

// settings is the document and who watches it.
type settings struct {
	mu       sync.Mutex
	doc      discovery.Document
	version  uint64 // of the last change of any
	watchers map[chan discovery.Document]bool
}

// WatchSettings delivers the document at once and on every change.
func (r *Registry) WatchSettings(ctx context.Context) <-chan discovery.Document {
	ch, s := make(chan discovery.Document, 1), &r.settings
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = map[chan discovery.Document]bool{}
	}
	s.watchers[ch] = true
	discovery.Offer(ch, s.doc.Clone())
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, ch)
		close(ch)
	})
	return ch
}

// PutSetting stores the value; every watcher has it, or can read it, at once.
func (r *Registry) PutSetting(ctx context.Context, name, value, writer string) error {
	if err := discovery.CheckSetting(name, value); err != nil {
		return fmt.Errorf("put setting: %w", err)
	}
	return r.settings.change(ctx, func(s *settings) {
		s.version++
		s.doc[name] = discovery.Entry{Value: value, Version: s.version, Writer: writer}
	})
}

// DeleteSetting removes the name.
func (r *Registry) DeleteSetting(ctx context.Context, name, _ string) error {
	if err := discovery.CheckSettingName(name); err != nil {
		return fmt.Errorf("delete setting: %w", err)
	}
	return r.settings.change(ctx, func(s *settings) { delete(s.doc, name) })
}

// change makes one change and tells all watchers.
func (s *settings) change(ctx context.Context, do func(*settings)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doc == nil {
		s.doc = discovery.Document{}
	}
	do(s)
	for ch := range s.watchers {
		discovery.Offer(ch, s.doc.Clone())
	}
	return nil
}
