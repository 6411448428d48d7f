//go:build linux || darwin

package cloud_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/storage"
	"imagemill/services/storage/storagetest"
)

// A deletion whose folder cannot be synced has failed, and so has a repeat, until
// one can be.
func TestADeletionIsSynced(t *testing.T) {
	s := openStore(t, fileURL(t.TempDir()))
	storagetest.Put(t, s, "key", []byte("x"))
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	none := was
	none.Cur = 0
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none))
	err, again := s.Delete(t.Context(), ref("key")), s.Delete(t.Context(), ref("key"))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was))
	require.Error(t, err)
	require.Error(t, again, "it is gone, but not durably")
	require.NoError(t, s.Delete(t.Context(), ref("key")))
	_, err = storagetest.Read(t, s, "key", storage.Whole())
	require.Error(t, err)
}
