package gossip

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"imagemill/pkg/discovery"
)

// Announce keeps the instance in this member's tags until ctx is done. What does
// not fit beside the others is refused with ErrInvalidInstance. announced is
// called when the others are being told. If the same ID is announced a second
// time, the later one is seen, until it ends.
func (r *Registry) Announce(ctx context.Context, in discovery.Instance, announced func()) error {
	if err := in.Validate(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	entry := in.Clone()
	turn, err := r.book.add(&entry)
	if err != nil {
		return fmt.Errorf("announce %s: %w", in.ID, err)
	}
	if r.book.await(ctx, turn) {
		r.log.Info("announced", "announced", in.ID, "service", in.Service)
		if announced != nil {
			announced()
		}
		<-ctx.Done()
	}
	r.withdraw(context.WithoutCancel(ctx), &entry)
	return nil
}

// withdraw takes the instance out and waits until the others are being told, for
// as long as there is a member to tell them.
func (r *Registry) withdraw(ctx context.Context, entry *discovery.Instance) {
	turn := r.book.remove(entry)
	a, _ := r.current()
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.StopTimeout)
	defer cancel()
	defer context.AfterFunc(a.ended, cancel)()
	if r.book.await(ctx, turn) {
		r.log.Info("withdrawn", "announced", entry.ID, "service", entry.Service)
	} else if a.ended.Err() == nil {
		r.log.Warn("withdrawal was not passed on in time", "announced", entry.ID, "service", entry.Service)
	}
}

// book is what this process announces. Each change has a turn, a rising number,
// and is in force once the member has told the others.
type book struct {
	mu      sync.Mutex
	entries map[string]*discovery.Instance
	tags    map[string]string // of the entries
	turn    uint64            // of the last change
	told    uint64            // the last in force
	news    chan struct{}     // closed when told rises
	changed chan struct{}     // holds a token when there is something to tell
}

func newBook() *book {
	return &book{
		entries: map[string]*discovery.Instance{}, tags: map[string]string{},
		news: make(chan struct{}), changed: make(chan struct{}, 1),
	}
}

// add takes the entry in, in place of one with the same ID.
func (b *book) add(entry *discovery.Instance) (turn uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, replaced := b.entries[entry.ID]
	b.entries[entry.ID] = entry
	if err := b.change(); err != nil {
		delete(b.entries, entry.ID)
		if replaced {
			b.entries[entry.ID] = old
		}
		return 0, err
	}
	return b.turn, nil
}

// remove takes the entry out, unless a later one has taken its place.
func (b *book) remove(entry *discovery.Instance) (turn uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries[entry.ID] != entry {
		return b.turn
	}
	delete(b.entries, entry.ID)
	if err := b.change(); err != nil {
		// Less is larger only when packed worse. What stays would be wrong, so
		// nothing is announced until the next change.
		b.tags = map[string]string{}
		b.next()
	}
	return b.turn
}

// change packs the entries anew. The lock is held.
func (b *book) change() error {
	set := make([]discovery.Instance, 0, len(b.entries))
	for _, entry := range b.entries {
		set = append(set, *entry)
	}
	slices.SortFunc(set, func(x, y discovery.Instance) int { return strings.Compare(x.ID, y.ID) })
	tags, err := pack(set)
	if err != nil {
		return err
	}
	b.tags = tags
	b.next()
	return nil
}

// next counts a change. The lock is held.
func (b *book) next() {
	b.turn++
	signal(b.changed)
}

// current is what the others are to be told.
func (b *book) current() (tags map[string]string, turn uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tags, b.turn
}

// inForce says that the others are being told of all up to turn.
func (b *book) inForce(turn uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = max(b.told, turn)
	close(b.news)
	b.news = make(chan struct{})
}

// await waits until the turn is in force; false if ctx is done before.
func (b *book) await(ctx context.Context, turn uint64) bool {
	for {
		b.mu.Lock()
		told, news := b.told, b.news
		b.mu.Unlock()
		if told >= turn {
			return true
		}
		select {
		case <-news:
		case <-ctx.Done():
			return false
		}
	}
}

// signal puts a token into a channel of capacity one, if there is none.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
