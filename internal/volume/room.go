package volume

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// RepeatEvery is how often at most a full disk is logged.
const RepeatEvery = time.Minute

// enough is the free space at which a disk that was full counts as mended before
// anything has been written: bytes.
const enough = 1 << 20

// Room keeps an eye on the disk below one folder: it logs that it is full, at
// most once in RepeatEvery, and that space is back. Make it with [NewRoom]; safe
// for concurrent use.
type Room struct {
	setting, dir string
	minFree      int64
	log          *slog.Logger
	now          func() time.Time
	free         func(string) (int64, error)

	mu     sync.Mutex
	full   bool
	told   bool // and nobody was told of its end yet
	logged time.Time
}

// NewRoom watches dir, which setting names; less than minFree bytes count as
// full. now may be nil for time.Now.
func NewRoom(setting, dir string, minFree int64, log *slog.Logger, now func() time.Time) *Room {
	if now == nil {
		now = time.Now
	}
	return &Room{setting: setting, dir: dir, minFree: minFree, log: log, now: now, free: FreeBytes}
}

// Refused notes that a write found no room, for the reason given.
func (r *Room) Refused(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.full = true
	if now := r.now(); r.logged.IsZero() || now.Sub(r.logged) >= RepeatEvery {
		r.logged, r.told = now, true
		r.log.Error("the disk is full; what would need room is refused, and taken again as soon as there is some",
			"setting", r.setting, "folder", r.dir, "remedy", "free space or enlarge the volume; nothing that was accepted is lost", "error", reason)
	}
}

// Written notes that a write has found room.
func (r *Room) Written() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		r.mended()
	}
}

func (r *Room) mended() {
	r.full = false
	if !r.told {
		return
	}
	r.told = false
	r.log.Info("the disk has room again", "setting", r.setting, "folder", r.dir)
}

// Missing says for /readyz that the disk is full; nil while it is not.
func (r *Room) Missing() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	free, err := r.free(r.dir)
	if err == nil && r.full && free >= max(r.minFree, enough) {
		r.mended()
	}
	if !r.full && (err != nil || free >= r.minFree) {
		return nil
	}
	return []string{fmt.Sprintf("room on the disk of %s (%s): free space or enlarge the volume", r.dir, r.setting)}
}
