package kvstore

import (
	"errors"
	"time"
)

// MaxValue is the largest value of a key, in bytes; so is it in Consul.
const MaxValue = 512 << 10

// maxTxnOps is the largest number of operations in one transaction.
const maxTxnOps = 64

// maxSessionTTL is the longest TTL that a session may have, as in Consul.
const maxSessionTTL = 24 * time.Hour

// maxLockDelay caps a session's lock delay, as in Consul.
const maxLockDelay = time.Minute

// defaultLockDelay is a session's lock delay when it names none.
const defaultLockDelay = 15 * time.Second

// What happens to the keys that a session holds when it ends.
const (
	behaviorRelease = "release"
	behaviorDelete  = "delete"
)

// serfCheck is the one health check that a session may lean on.
const serfCheck = "serfHealth"

// Entry is one key with its value, in the form in which Consul shows it. An
// Entry in a view is never changed.
type Entry struct {
	// LockIndex counts how often the key was locked.
	LockIndex uint64
	Key       string
	// Flags are the client's own.
	Flags uint64
	// Value is nil for an empty value.
	Value []byte
	// Session is the ID of the session that holds the key, or empty.
	Session string `json:",omitempty"`
	// CreateIndex and ModifyIndex are the log positions of the writes that made
	// the key and last changed it.
	CreateIndex uint64
	ModifyIndex uint64
}

// Session is one session, in the form in which Consul shows it.
type Session struct {
	ID   string
	Name string
	// Node is the kvstore node that the session belongs to.
	Node string
	// LockDelay is how long a key stays locked after the session was
	// invalidated, at most a minute.
	LockDelay time.Duration
	// Behavior is "release" or "delete": the fate of held keys at the end.
	Behavior string
	// TTL is a duration ("10s") within which the session must be renewed; empty
	// or zero for a session that does not expire.
	TTL           string
	NodeChecks    []string
	ServiceChecks []ServiceCheck
	Checks        []string `json:",omitempty"`
	CreateIndex   uint64
	ModifyIndex   uint64
}

// ServiceCheck names a service's health check; accepted in the form only, as
// this store knows of no service checks.
type ServiceCheck struct {
	ID        string
	Namespace string
}

// ttl gives the parsed TTL; 0 for a session that does not expire.
func (s *Session) ttl() time.Duration {
	d, err := time.ParseDuration(s.TTL)
	if err != nil || d < 0 {
		return 0
	}
	return d
}

// Verb is what one KV operation does.
type Verb string

// The verbs, under the names that /v1/txn knows them by.
const (
	verbSet            Verb = "set"
	verbCAS            Verb = "cas"
	verbLock           Verb = "lock"
	verbUnlock         Verb = "unlock"
	verbGet            Verb = "get"
	verbGetOrEmpty     Verb = "get-or-empty"
	verbGetTree        Verb = "get-tree"
	verbCheckIndex     Verb = "check-index"
	verbCheckSession   Verb = "check-session"
	verbCheckNotExists Verb = "check-not-exists"
	verbDelete         Verb = "delete"
	verbDeleteTree     Verb = "delete-tree"
	verbDeleteCAS      Verb = "delete-cas"
)

// writes reports whether the verb changes the state when it succeeds.
func (v Verb) writes() bool {
	switch v {
	case verbSet, verbCAS, verbLock, verbUnlock, verbDelete, verbDeleteTree, verbDeleteCAS:
		return true
	default:
		return false
	}
}

// Op is one KV operation, alone or within a transaction.
type Op struct {
	Verb  Verb
	Key   string
	Value []byte
	Flags uint64
	// Index is the ModifyIndex that cas, delete-cas and check-index compare with.
	Index   uint64
	Session string
}

// TxnError says which operation of a transaction failed, and why.
type TxnError struct {
	OpIndex int
	What    string
}

// ErrNoLeader is returned while no leader is known that could carry a request
// out; nothing was written.
var ErrNoLeader = errors.New("No cluster leader") //nolint:staticcheck // Consul's own words, which clients look for
