package disk

import (
	"sync"

	"imagemill/services/storage"
)

// keyLocks orders the changes of one blob among each other, from the rename to
// the end of the folder's fsync: or a Put that has to take back its blob could
// take back a later one's. Different blobs do not wait for each other, or they
// could not share an fsync. The zero value is ready.
type keyLocks struct {
	mu   sync.Mutex
	held map[storage.Ref]*keyLock
}

type keyLock struct {
	sync.Mutex
	users int
}

// lock waits for the blob's turn and gives the function that ends it.
func (k *keyLocks) lock(ref storage.Ref) (unlock func()) {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[storage.Ref]*keyLock{}
	}
	l := k.held[ref]
	if l == nil {
		l = &keyLock{}
		k.held[ref] = l
	}
	l.users++
	k.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.held, ref)
		}
	}
}
