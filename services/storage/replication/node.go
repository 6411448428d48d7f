package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"imagemill/internal/fault"
	"imagemill/pkg/discovery"
	"imagemill/services/storage"
)

// Tag is the name under which a node announces the identity of its store, so that
// nodes know each other, and themselves, before they have spoken.
const Tag = "store"

const folder = "replication"

// Deps is what a node works with.
type Deps struct {
	Log      *slog.Logger
	Instance string
	Local    storage.Keeper
	// Registry is where other nodes are found, as the service "storage"; nil for none.
	Registry discovery.Registry
	// Client makes what calls one instance.
	Client  func(discovery.Instance) *http.Client
	Metrics prometheus.Registerer // may be nil
	Now     func() time.Time      // nil for time.Now
}

// Node is a storage.Store whose blobs are copied to other nodes, and those of
// others to it. Make it with [Open].
type Node struct {
	cfg     storage.Replication
	deps    Deps
	local   storage.Keeper
	log     *changeLog
	memory  *memory
	clock   *clock
	acks    *acks
	metrics *metrics
	sender  storage.Sender
	ask     time.Duration // askTimeout, but for tests

	stopping chan struct{}
	stopOnce sync.Once
	compared chan struct{}  // closed once the log says what the folder holds
	flights  sync.WaitGroup // what goes on while run is set

	mu      sync.Mutex
	peers   map[string]*peer // by instance
	fetches map[storage.Ref]*fetching
	run     context.Context   // of Run; nil before and after
	trouble error             // why the folder could not be compared yet
	healing chan *storage.Ref // what to heal; nil for all that is lost
}

// Open reads the log of the store, or begins one. It starts nothing; Close it
// after Run.
func Open(cfg storage.Replication, deps Deps) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil || deps.Local == nil || deps.Registry != nil && deps.Client == nil {
		return nil, errors.New("open replication: it needs a log, a disk, and with a registry a client")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	dir := filepath.Join(deps.Local.Dir(), folder)
	log, err := openLog(dir)
	if err != nil {
		return nil, fmt.Errorf("open replication log in %s: %w", dir, err)
	}
	n := &Node{
		cfg: cfg, deps: deps, local: deps.Local, log: log, memory: openMemory(dir, deps.Now), clock: &clock{wall: deps.Now}, acks: newAcks(),
		stopping: make(chan struct{}), compared: make(chan struct{}), peers: map[string]*peer{}, fetches: map[storage.Ref]*fetching{},
		healing: make(chan *storage.Ref, 64), ask: askTimeout,
	}
	n.clock.observe(log.lastStamp())
	n.metrics = newMetrics(n, deps.Metrics)
	if log.damaged > 0 {
		deps.Log.Warn("lines of the replication log could not be read; the folder tells what they said", "lines", log.damaged)
	}
	if n.memory.scrub() == (cursor{}) {
		n.memory.setScrub(cursor{Rested: deps.Now()})
	}
	return n, nil
}

// Epoch is the identity of the store, which stays with its folder.
func (n *Node) Epoch() string { return n.log.epoch }

// Close ends the use of the log.
func (n *Node) Close() error { return errors.Join(n.memory.save(), n.log.close()) }

// Drain ends the waits of other nodes, and makes later ones short, as the service is
// about to stop.
func (n *Node) Drain() { n.stopOnce.Do(func() { close(n.stopping) }) }

func (n *Node) draining() bool {
	select {
	case <-n.stopping:
		return true
	default:
		return false
	}
}

// Missing says, for /readyz, that there are too few nodes for a Put, or that none
// can copy what is here.
func (n *Node) Missing() (missing []string) {
	if have := n.known() + 1; have < n.cfg.Replicas {
		missing = append(missing, fmt.Sprintf("each blob is to have %d copies, and %d storage nodes are there", n.cfg.Replicas, have))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.trouble != nil {
		missing = append(missing, fmt.Sprintf("the folder could not be compared with the replication log yet: %v", n.trouble))
	}
	return missing
}

// Notices says how many blobs need a look, for /readyz.
func (n *Node) Notices() []string {
	lost := len(n.memory.lost())
	if lost == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d blobs are damaged or missing, and no other storage node has given a good copy yet", lost)}
}

// Put implements storage.Store. It returns once as many nodes as are asked for
// have the blob.
func (n *Node) Put(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions) (storage.Info, error) {
	if err := errors.Join(ref.Validate(), opt.Validate()); err != nil {
		return storage.Info{}, err
	}
	want := opt.Replicas
	if want == 0 {
		want = n.cfg.Replicas
	}
	if have := n.known() + 1; have < want {
		return storage.Info{}, fault.Newf(fault.Unavailable, "%d copies are asked for, and %d storage nodes are there", want, have).
			WithRetryAfter(retryAfter)
	}
	seq := int64(-1)
	info, err := n.local.Keep(ctx, ref, r, opt, storage.Hooks{
		Stamp: n.clock.next,
		Admit: func(now storage.Held) error {
			if stamp, ok := n.log.tomb(ref); ok && stamp > now.Stamp {
				return storage.ErrNotWanted // deleted while it arrived
			}
			return nil
		},
		Replace: func(old storage.Old, now storage.Held) error {
			if old.Err != nil || old.Stamp <= now.Stamp {
				return nil
			}
			if n.clock.observe(old.Stamp) {
				// It has lain there, from a time when the clock was wrong, and was not compared yet.
				return fault.New(fault.Unavailable, stillComparing).WithRetryAfter(retryAfter)
			}
			return storage.ErrNotWanted // replaced while it arrived
		},
		Done: func(now storage.Held, replaced bool) (err error) {
			seq, err = n.write(ref, now, replaced)
			return err
		},
	})
	if errors.Is(err, storage.ErrNotWanted) {
		// As if what overtook it had come right after it.
		err = nil
		seq, _, _ = n.log.bounds()
		seq--
	}
	if err != nil || want == 1 {
		return info, err
	}
	return info, n.awaitCopies(ctx, ref, seq, want)
}

const stillComparing = "this storage node is still comparing its log with its folder"

// retryAfter is what a caller is told that found too few nodes.
const retryAfter = 2 * time.Second

// awaitCopies waits until other nodes have copied a line.
func (n *Node) awaitCopies(ctx context.Context, ref storage.Ref, seq int64, want int) error {
	wctx, cancel := context.WithTimeout(ctx, n.cfg.ReplicaWait)
	defer cancel()
	have := n.acks.wait(wctx, seq, want-1) + 1
	if err := ctx.Err(); err != nil {
		return err
	}
	if n.memory.isLost(ref) {
		have-- // nobody could copy it
	}
	if have < want {
		return fault.Newf(fault.Unavailable, "%d copies are asked for, and %d are there after %s; the blob stays, a repeat is safe",
			want, have, n.cfg.ReplicaWait).WithRetryAfter(retryAfter)
	}
	return nil
}

// write notes that a blob is held, whose lock is held.
func (n *Node) write(ref storage.Ref, now storage.Held, replaced bool) (int64, error) {
	// First, as who reads the line asks for the blob, and must not be told that it is
	// damaged here.
	healed := n.memory.setLost(ref, false)
	seq, err := n.log.append(record{op: opPut, ref: ref, stamp: now.Stamp, size: now.Size, sha: now.SHA256})
	if err != nil {
		if healed {
			n.memory.setLost(ref, true) // what was there is put back
		}
		return 0, err
	}
	if !replaced {
		n.log.count(1)
	}
	if healed {
		n.metrics.healed.Inc()
		n.deps.Log.Info("a damaged or missing blob has a good copy again", "state", ref.State, "key", ref.Key)
	}
	return seq, nil
}

// Delete implements storage.Store. The deletion is durable here, and remembered for
// other nodes, before anything is removed; they follow in their time.
func (n *Node) Delete(ctx context.Context, ref storage.Ref) error {
	return n.local.Remove(ctx, ref, func(old storage.Old) error {
		gone := fault.Is(old.Err, fault.NotFound)
		if gone && n.alone() && !n.memory.isLost(ref) {
			return nil
		}
		if old.Err == nil {
			n.clock.observe(old.Stamp) // it may not have been compared yet
		}
		// What was deleted before may have been put again on another node since.
		return n.bury(ref, n.clock.next(), !gone, true)
	})
}

// bury notes that a blob is gone, whose lock is held.
func (n *Node) bury(ref storage.Ref, stamp int64, held, sync bool) error {
	if _, err := n.log.append(record{op: opDelete, ref: ref, stamp: stamp}); err != nil {
		return err
	}
	if held {
		n.log.count(-1)
	}
	n.memory.setLost(ref, false)
	if sync {
		return n.log.sync()
	}
	return nil
}

// List implements storage.Store: what this node itself holds.
func (n *Node) List(ctx context.Context, state storage.State, after string, limit int) (storage.Page, error) {
	return n.local.List(ctx, state, after, limit)
}

// compile-time proof that a node keeps the contract.
var (
	_ storage.Store     = (*Node)(nil)
	_ storage.Unchecked = (*Node)(nil)
)
