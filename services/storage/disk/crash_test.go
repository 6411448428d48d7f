package disk_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/services/storage"
	"imagemill/services/storage/disk"
	"imagemill/services/storage/storagetest"
)

// childDir tells this test binary to be the child of TestKilled.
const childDir = "IMAGEMILL_TEST_PUT_FOREVER"

// putForever stores blobs from several goroutines and says so, until killed.
func putForever(dir string) error {
	s, err := disk.Open(disk.Config{Dir: dir}, disk.Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	var out sync.Mutex
	fails := make(chan error)
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				key, data := fmt.Sprintf("w%d-%d-%d", w, os.Getpid(), i), storagetest.Bytes(i*9973%400_000, uint64(i))
				info, err := s.Put(context.Background(), storage.Ref{State: storage.Finished, Key: key},
					bytes.NewReader(data), storage.PutOptions{Size: -1})
				if err != nil {
					fails <- err
				}
				// One blob is replaced all the time: it must stay whole.
				_, err = s.Put(context.Background(), storage.Ref{State: storage.Finished, Key: "replaced"},
					bytes.NewReader(data), storage.PutOptions{Size: -1})
				if err != nil {
					fails <- err
				}
				out.Lock()
				fmt.Println(key, info.SHA256)
				out.Unlock()
			}
		}()
	}
	return <-fails
}

// What a process acknowledged before it was killed is there, whole; and all that
// is there is whole. (Power cuts need more than this: see TestPowerCut.)
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]string{}
	for round := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for range 20 + 13*round {
			require.True(t, lines.Scan())
			key, digest, ok := strings.Cut(lines.Text(), " ")
			require.True(t, ok)
			acknowledged[key] = digest
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() { // what it still said before it died
			if key, digest, ok := strings.Cut(lines.Text(), " "); ok && len(digest) == 64 {
				acknowledged[key] = digest
			}
		}
		require.Error(t, cmd.Wait())
	}
	s, found := openStore(t, dir), 0
	for after, more := "", true; more; {
		page, err := s.List(t.Context(), storage.Finished, after, 50)
		require.NoError(t, err)
		for _, b := range page.Blobs {
			obj, err := s.Get(t.Context(), storage.Ref{State: storage.Finished, Key: b.Key}, storage.Whole())
			require.NoError(t, err, b.Key)
			require.NoError(t, obj.Body.Close())
			if want, ok := acknowledged[b.Key]; ok {
				require.Equal(t, want, obj.SHA256, b.Key)
				found++
			}
		}
		after, more = page.Next, page.Next != ""
	}
	require.Len(t, acknowledged, found, "every acknowledged blob is there, of "+strconv.Itoa(len(acknowledged)))
	left, err := os.ReadDir(dir + "/tmp")
	require.NoError(t, err)
	require.Empty(t, left)
}
