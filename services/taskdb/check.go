package taskdb

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"imagemill/internal/fault"
)

// The checks of arguments, which every backend makes alike.

// maxPipeline bounds a pipeline document, in bytes.
const maxPipeline = 128 << 10

// Validate refuses what Create must not record, as fault.Invalid.
func (n NewTask) Validate() error {
	if err := CheckID(n.ID); err != nil {
		return err
	}
	if err := checkPipeline(n.Pipeline); err != nil {
		return err
	}
	o := n.Original
	if o.Key == "" || len(o.Key) > 200 || !isText(o.Key) || !isText(o.ContentType) || o.Size < 1 || !isSHA256(o.SHA256) || len(o.ContentType) > 200 {
		return fault.New(fault.Invalid, "must name a key, a size above 0 and a SHA-256 in lower-case hex").WithField("original")
	}
	if n.Needs > maxBits {
		return fault.New(fault.Invalid, "must be below 2^53").WithField("needs")
	}
	if err := checkKey(n.IdempotencyKey); err != nil {
		return err
	}
	if err := n.ValidateKeep(); err != nil {
		return err
	}
	return errors.Join(n.validateQueue(), n.checkResult())
}

func checkPipeline(doc json.RawMessage) error {
	if len(doc) > maxPipeline || !utf8.Valid(doc) || !json.Valid(doc) || !bytes.HasPrefix(bytes.TrimSpace(doc), []byte("{")) {
		return fault.Newf(fault.Invalid, "must be a JSON object of at most %d bytes", maxPipeline).WithField("pipeline")
	}
	return nil
}

// canonical gives a pipeline as encoding/json writes it.
func canonical(doc json.RawMessage) (json.RawMessage, error) {
	if err := checkPipeline(doc); err != nil {
		return doc, err
	}
	out, err := json.Marshal(doc)
	if err != nil {
		return doc, fault.Wrap(fault.Invalid, "must be a JSON object", err).WithField("pipeline")
	}
	return out, nil
}

// checkKey refuses an idempotency key that not every database can keep.
func checkKey(key string) error {
	if len(key) > maxIdempotencyKey || !isText(key) {
		return fault.Newf(fault.Invalid, "must be at most %d bytes of text", maxIdempotencyKey).WithField("idempotencyKey")
	}
	return nil
}

// maxBits is the largest number of bits that any JSON keeps whole.
const maxBits = 1<<53 - 1

// isText refuses what not every database can keep as text.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func isSHA256(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 64 && s == strings.ToLower(s)
}

// Canonical gives n with its pipeline as encoding/json writes it, so that a
// repeat compares equal whichever way it came.
func (n NewTask) Canonical() (NewTask, error) {
	if err := n.Validate(); err != nil {
		return n, err
	}
	doc, err := canonical(n.Pipeline)
	if err != nil {
		return n, err
	}
	n.Pipeline = doc
	n.Lane, err = ParseLane(string(n.Lane))
	return n, err
}

// CheckID refuses what is no UUID in its canonical form, as fault.Invalid.
func CheckID(id string) error {
	if u, err := uuid.Parse(id); err != nil || u.String() != id {
		return fault.Newf(fault.Invalid, "%.64q is no task ID: it must be a UUID in lower case", id).WithField("id")
	}
	return nil
}

// Validate refuses a claim without a worker or with a number out of range.
func (c Claim) Validate() error {
	if c.Worker == "" || len(c.Worker) > 200 || !isText(c.Worker) {
		return fault.New(fault.Invalid, "must be 1 to 200 characters of text").WithField("worker")
	}
	if c.Max < 1 || c.Max > MaxClaim {
		return fault.Newf(fault.Invalid, "must be 1 to %d", MaxClaim).WithField("max")
	}
	if c.WaitedMillis < 0 || c.WaitedMillis > SilenceKept.Milliseconds() {
		return fault.Newf(fault.Invalid, "must be 0 to %d", SilenceKept.Milliseconds()).WithField("waitedMillis")
	}
	if len(c.Others) > MaxOthers || c.Can > maxBits || slices.ContainsFunc(c.Others, func(can uint64) bool { return can > maxBits }) {
		return fault.Newf(fault.Invalid, "must be at most %d, each below 2^53", MaxOthers).WithField("others")
	}
	return nil
}

// CheckList refuses an unknown state or a limit out of range, and fills in the
// default limit.
func CheckList(state State, limit int) (int, error) {
	if !slices.Contains(States(), state) {
		return 0, fault.Newf(fault.Invalid, "%.32q is no state; the states are %v", state, States()).WithField("state")
	}
	if limit < 0 || limit > MaxPage {
		return 0, fault.Newf(fault.Invalid, "must be 1 to %d", MaxPage).WithField("limit")
	}
	if limit == 0 {
		limit = 100
	}
	return limit, nil
}

// CheckProgress refuses a share outside 0 to 1.
func CheckProgress(p float64) error {
	if !(p >= 0 && p <= 1) {
		return fault.New(fault.Invalid, "must be 0 to 1").WithField("progress")
	}
	return nil
}

// maxReason bounds the reason of a failure, in bytes; what is longer is cut.
const maxReason = 2000

// Canonical refuses a failure without a reason, and cuts an overlong one: it is
// better told in part than lost.
func (f Failure) Canonical() (Failure, error) {
	if f.Reason == "" {
		return f, fault.New(fault.Invalid, "must say what went wrong").WithField("reason")
	}
	f.Reason = strings.ToValidUTF8(f.Reason, "\uFFFD")
	if len(f.Reason) > maxReason {
		cut := maxReason
		for !utf8.RuneStart(f.Reason[cut]) {
			cut--
		}
		f.Reason = f.Reason[:cut] + "…"
	}
	return f, nil
}
