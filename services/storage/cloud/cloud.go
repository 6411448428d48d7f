package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"imagemill/services/storage"
	"imagemill/services/storage/footer"
)

const (
	// partSize is the least that S3 takes for a part. It is also from where on an
	// object has a footer, so it may never be changed.
	partSize = 5 << 20
	// verifyFirst is the largest blob that is checked before its first byte is
	// given out.
	verifyFirst = 1 << 20
)

// Config says where blobs lie.
type Config struct {
	// URL is the place, see storage.ParseLocation.
	URL string
	// CallTimeout bounds each call of the object store, one part at most.
	CallTimeout time.Duration
	// UploadMemory bounds what all blobs on their way in hold together.
	UploadMemory int64
	// ProbeEvery is how often a bucket that is not reached is looked for; 0: 5 s.
	ProbeEvery time.Duration
	// Wait is how long a Put waits for memory before it is refused; 0: 10 s.
	Wait time.Duration
	// Pause is the longest between tries of one call; 0: 1 s.
	Pause time.Duration
}

// Deps is what a Store uses.
type Deps struct {
	Log *slog.Logger
}

// Store is a storage.Store in a bucket. Make it with [Open].
type Store struct {
	cfg     Config
	log     *slog.Logger
	place   storage.Location
	bucket  bucket
	footers bool // every object has one, not the large alone
	room    *semaphore.Weighted
	parts   sync.Pool
	health  health
}

// Open prepares a store. It calls nobody, so that the bucket may come later;
// [Store.Run] looks for it. Close it after use.
func Open(ctx context.Context, cfg Config, deps Deps) (*Store, error) {
	if deps.Log == nil || cfg.CallTimeout <= 0 || cfg.UploadMemory < storage.MinUploadMemory || min(cfg.ProbeEvery, cfg.Pause, cfg.Wait) < 0 {
		return nil, fmt.Errorf("open object store: it needs a log, a time for a call and memory of %d bytes", storage.MinUploadMemory)
	}
	place, err := storage.ParseLocation(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	if cfg.ProbeEvery == 0 {
		cfg.ProbeEvery = 5 * time.Second
	}
	if cfg.Pause == 0 {
		cfg.Pause = time.Second
	}
	if cfg.Wait == 0 {
		cfg.Wait = 10 * time.Second
	}
	b, err := openBucket(ctx, cfg, place)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", place, err)
	}
	return &Store{
		cfg: cfg, log: deps.Log, place: place, bucket: b, footers: place.Scheme == "file",
		room:   semaphore.NewWeighted(cfg.UploadMemory),
		parts:  sync.Pool{New: func() any { return new([partSize + footer.Size]byte) }},
		health: health{place: place.String()},
	}, nil
}

// openBucket chooses the driver.
func openBucket(ctx context.Context, cfg Config, place storage.Location) (bucket, error) {
	switch place.Scheme {
	case "s3":
		return openS3(ctx, cfg, place)
	case "azblob":
		return openAzure(ctx, place)
	case "gs":
		return openGCS(ctx, place)
	case "file":
		return openFolder(place)
	case "mem":
		return openMemory(), nil
	}
	return nil, errors.New("no driver has this scheme")
}

// Close lets go of connections.
func (s *Store) Close() error { return s.bucket.close() }

// name is that of the object of a valid ref.
func (s *Store) name(ref storage.Ref) string { return s.folder(ref.State) + ref.Key + s.suffix() }

func (s *Store) folder(state storage.State) string { return s.place.Prefix + string(state) + "/" }

// suffix tells files that are blobs from temporary ones.
func (s *Store) suffix() string {
	if s.footers {
		return "+"
	}
	return ""
}

// key is the key that a name stands for, or "" where it is none of ours.
func (s *Store) key(state storage.State, name string) string {
	key, ours := strings.CutSuffix(strings.TrimPrefix(name, s.folder(state)), s.suffix())
	if !ours || (storage.Ref{State: state, Key: key}).Validate() != nil {
		return ""
	}
	return key
}

// hasFooter says so of an object of a size.
func (s *Store) hasFooter(size int64) bool { return s.footers || size >= partSize }

// call bounds one call.
func (s *Store) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.CallTimeout)
}
