package storage

import (
	"encoding/hex"
	"strings"

	"imagemill/internal/fault"
)

// Validate gives fault.Invalid, with the field "state", for an unknown state.
func (s State) Validate() error {
	if s != InProgress && s != Finished {
		return fault.Newf(fault.Invalid, "the state must be %s or %s", InProgress, Finished).WithField("state")
	}
	return nil
}

// Validate gives fault.Invalid, with the field "state" or "key", for a ref that
// can name no blob. Besides the characters (see [Ref]), a key must mean the
// same on every file system: Windows drops a dot at the end and reserves names
// such as "con" and "nul", with any extension, so these are refused everywhere.
func (r Ref) Validate() error {
	if err := r.State.Validate(); err != nil {
		return err
	}
	return checkKey(r.Key, "key")
}

func checkKey(key, field string) error {
	if key == "" || len(key) > MaxKey {
		return fault.Newf(fault.Invalid, "a key has 1 to %d characters", MaxKey).WithField(field)
	}
	for i, b := range []byte(key) {
		if !(b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || i > 0 && strings.IndexByte("._-", b) >= 0) {
			return fault.New(fault.Invalid,
				"a key holds a-z, 0-9, '.', '_' and '-' only, and starts with a letter or digit").WithField(field)
		}
	}
	if strings.HasSuffix(key, ".") || reserved(key) {
		return fault.New(fault.Invalid, "the key means something else on Windows").WithField(field)
	}
	return nil
}

// reserved reports whether Windows takes the name for a device.
func reserved(key string) bool {
	base, _, _ := strings.Cut(key, ".")
	switch base {
	case "con", "prn", "aux", "nul":
		return true
	}
	port := strings.HasPrefix(base, "com") || strings.HasPrefix(base, "lpt")
	return port && len(base) == 4 && base[3] >= '0' && base[3] <= '9'
}

// Validate gives fault.Invalid for options that no bytes can meet.
func (o PutOptions) Validate() error {
	if o.SHA256 != "" && !isDigest(o.SHA256) {
		return fault.New(fault.Invalid, "the digest must be 64 lower-case hexadecimal digits").WithField("sha256")
	}
	if o.Size < -1 {
		return fault.New(fault.Invalid, "the size must be -1 (unknown) or more").WithField("size")
	}
	if o.Replicas < 0 || o.Replicas > MaxReplicas {
		return fault.Newf(fault.Invalid, "there are 1 to %d replicas, or 0 for as many as the storage is set to", MaxReplicas).WithField("replicas")
	}
	return nil
}

// Check gives fault.Invalid where what arrived is not what was announced:
// size bytes with this digest. Every backend asks it before a blob counts.
func (o PutOptions) Check(size int64, sha256 string) error {
	if o.Size >= 0 && size != o.Size {
		return o.wrongSize(size)
	}
	if o.SHA256 != "" && o.SHA256 != sha256 {
		return fault.Newf(fault.Invalid, "the bytes have the digest %s, not the announced one", sha256).WithField("sha256")
	}
	return nil
}

// CheckLonger is Check while bytes still arrive: size of them are there so far.
func (o PutOptions) CheckLonger(size int64) error {
	if o.Size >= 0 && size > o.Size {
		return o.wrongSize(size)
	}
	return nil
}

func (o PutOptions) wrongSize(size int64) error {
	than := "longer"
	if size < o.Size {
		than = "shorter"
	}
	return fault.Newf(fault.Invalid, "the blob is %s than the announced %d bytes", than, o.Size).WithField("size")
}

func isDigest(s string) bool {
	if len(s) != 64 || strings.ToLower(s) != s {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}

// CheckList gives the limit that holds for a List, or fault.Invalid for a
// malformed state, cursor or limit. Every backend asks it.
func CheckList(state State, after string, limit int) (int, error) {
	if err := state.Validate(); err != nil {
		return 0, err
	}
	if after != "" {
		if err := checkKey(after, "after"); err != nil {
			return 0, err
		}
	}
	if limit < 0 || limit > MaxPage {
		return 0, fault.Newf(fault.Invalid, "the limit is 1 to %d, or 0 for %d", MaxPage, defaultPage).WithField("limit")
	}
	if limit == 0 {
		return defaultPage, nil
	}
	return limit, nil
}
