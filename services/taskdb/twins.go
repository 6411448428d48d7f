package taskdb

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"imagemill/internal/fault"
)

// Likeness is what makes tasks twins: the same bytes of the same owner, of which
// the same is to be made.
type Likeness struct {
	Owner    string          `json:"owner,omitempty"`
	SHA256   string          `json:"sha256"`
	Size     int64           `json:"size"`
	Pipeline json.RawMessage `json:"pipeline"`
}

// MaxTwins bounds the tasks of each state that Twins gives.
const MaxTwins = 8

// Twins is the side of those who spare work that was done already. Only tasks that
// were created with Dedupe are twins of each other.
type Twins interface {
	// Twins gives the tasks of a likeness that are InProgress, those first that have
	// been for longest, and behind them those that are Finished, the newest first; at
	// most MaxTwins of each. A malformed likeness is fault.Invalid.
	Twins(ctx context.Context, l Likeness) ([]Task, error)
}

// LikenessOf is that of a task.
func LikenessOf(t Task) Likeness {
	return Likeness{Owner: t.Owner, SHA256: t.Original.SHA256, Size: t.Original.Size, Pipeline: t.Pipeline}
}

// Canonical gives l with its pipeline as tasks have it, or fault.Invalid.
func (l Likeness) Canonical() (Likeness, error) {
	if l.Size < 1 || !isSHA256(l.SHA256) {
		return l, fault.New(fault.Invalid, "must be a size above 0 and a SHA-256 in lower-case hex").WithField("sha256")
	}
	doc, err := canonical(l.Pipeline)
	if err == nil {
		err = CheckOwner(l.Owner)
	}
	l.Pipeline = doc
	return l, err
}

// Same reports whether a task has the likeness, which is canonical.
func (l Likeness) Same(t Task) bool {
	return t.Dedupe && l.Owner == t.Owner && l.SHA256 == t.Original.SHA256 && l.Size == t.Original.Size && string(l.Pipeline) == string(t.Pipeline)
}

// Number is by what databases find tasks of a likeness, which is canonical: a
// number from 0 to 2^63-1 that others hardly have.
func (l Likeness) Number() int64 {
	h := sha256.New()
	for _, part := range []string{l.Owner, l.SHA256, strconv.FormatInt(l.Size, 10), string(l.Pipeline)} {
		_, _ = h.Write([]byte(strconv.Itoa(len(part)) + ":" + part)) // a hash does not fail
	}
	return int64(binary.BigEndian.Uint64(h.Sum(nil)) >> 1)
}

// SortTwins drops what is no twin of l, and puts the others in the order of
// [Twins].Twins.
func SortTwins(l Likeness, tasks []Task) []Task {
	tasks = slices.DeleteFunc(tasks, func(t Task) bool { return !l.Same(t) || t.State != InProgress && t.State != Finished })
	slices.SortFunc(tasks, func(a, b Task) int {
		if a.State != b.State {
			return -cmp.Compare(a.State, b.State) // inProgress, finished
		}
		if a.State == Finished {
			a, b = b, a
		}
		return cmp.Or(a.Updated.Compare(b.Updated), cmp.Compare(a.ID, b.ID))
	})
	return tasks
}

// checkResult refuses a result with which a task cannot begin.
func (n NewTask) checkResult() error {
	switch r := n.Result; {
	case r == nil:
		return nil
	case !n.Dedupe || !n.NotBefore.IsZero() || n.DelayMillis != 0:
		return fault.New(fault.Invalid, "is for tasks with dedupe that are not scheduled").WithField("result")
	case r.Attempt != 1 || len(r.Renditions) == 0:
		return fault.New(fault.Invalid, "must have renditions, and the attempt 1").WithField("result")
	}
	return nil
}

// pause is for how long a task that is given back is not to be claimed.
func (c Config) pause(l Lease) time.Duration {
	return min(time.Duration(l.PauseMillis)*time.Millisecond, c.BackoffMax)
}
