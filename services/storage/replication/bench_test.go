package replication_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"imagemill/services/storage"
	"imagemill/services/storage/disk"
	"imagemill/services/storage/storagetest"
)

// BenchmarkPull lets a new node copy all that another has. x-copy compares with the
// plainest copy over loopback in the same run: as many connections, each body
// written to a file, synced and renamed, with no digest, no log and no folder synced.
func BenchmarkPull(b *testing.B) {
	for _, c := range []struct {
		name        string
		size, count int
	}{{"5M", 5_000_000, 150}, {"100k", 100_000, 1500}, {"1k", 1000, 4000}} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b)
			a := w.start(w.folder("a"))
			var keys []string
			for i := range c.count {
				keys = append(keys, newKey())
				_, err := a.disk.Put(b.Context(), ref(keys[i]), bytes.NewReader(storagetest.Bytes(c.size, uint64(i))), storage.PutOptions{Size: int64(c.size)})
				require.NoError(b, err)
			}
			a.stop()
			a = w.start(a.dir)
			b.SetBytes(int64(c.size * c.count))
			var ours, plain time.Duration
			for i := range b.N + 1 {
				p := plainCopy(b, w.hc, a.url, keys, w.cfg.Parallel)
				began := time.Now()
				n := w.start(w.folder(fmt.Sprint("n", i)))
				for n.count("pulled_blobs_total") < float64(c.count) {
					<-time.After(500 * time.Microsecond)
				}
				o := time.Since(began)
				n.stop()
				require.NoError(b, os.RemoveAll(n.dir))
				if i > 0 { // the first turn wakes the disk
					ours, plain = ours+o, plain+p
				}
			}
			b.ReportMetric(plain.Seconds()/ours.Seconds(), "x-copy")
			b.ReportMetric(float64(c.size*c.count*b.N)/1e6/ours.Seconds(), "pull-MB/s")
			b.ReportMetric(float64(c.count*b.N)/ours.Seconds(), "blobs/s")
		})
	}
}

func newKey() string { return uuid.Must(uuid.NewV7()).String() }

// plainCopy copies blobs by HTTP into a folder.
func plainCopy(b *testing.B, hc *http.Client, url string, keys []string, parallel int) time.Duration {
	b.Helper()
	dir := b.TempDir()
	defer func() { require.NoError(b, os.RemoveAll(dir)) }()
	work := make(chan string, len(keys))
	for _, k := range keys {
		work <- k
	}
	close(work)
	began := time.Now()
	var all sync.WaitGroup
	for range parallel {
		all.Go(func() {
			for key := range work {
				if err := plainGet(hc, url+"/replication/blobs/inProgress/"+key, filepath.Join(dir, key)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

func plainGet(hc *http.Client, url, path string) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, resp.Body); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// BenchmarkPutAlone stores blobs on a node without others, and on the bare disk, by
// turns. x-bare is the ratio of the medians: what the log costs who has no other node.
func BenchmarkPutAlone(b *testing.B) {
	for _, size := range []int{500, 5_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := newWorld(b)
			n := w.start(b.TempDir())
			bare, err := disk.Open(disk.Config{Dir: b.TempDir()}, disk.Deps{Log: slog.New(slog.DiscardHandler)})
			require.NoError(b, err)
			data := storagetest.Bytes(size, 1)
			took := [2][]time.Duration{}
			for range b.N {
				for i, s := range []storage.Store{n.Node, bare} {
					key := newKey()
					began := time.Now()
					_, err := s.Put(b.Context(), ref(key), bytes.NewReader(data), storage.PutOptions{Size: int64(size)})
					took[i] = append(took[i], time.Since(began))
					require.NoError(b, err)
					if size > 1<<20 {
						require.NoError(b, s.Delete(b.Context(), ref(key)))
					}
				}
			}
			for i := range took {
				slices.Sort(took[i])
			}
			b.ReportMetric(float64(took[0][b.N/2].Nanoseconds())/float64(took[1][b.N/2].Nanoseconds()), "x-bare")
			b.ReportMetric(float64(took[0][b.N/2].Microseconds()), "p50-µs")
		})
	}
}

// BenchmarkPutTwoCopies stores tiny blobs from 64 callers, each on both nodes before
// it counts; p50 and p99 are those of one Put.
func BenchmarkPutTwoCopies(b *testing.B) {
	for _, replicas := range []int{1, 2} {
		b.Run(fmt.Sprint(replicas), func(b *testing.B) {
			a, _ := newWorld(b).pair()
			data := storagetest.Bytes(500, 1)
			took := make([]time.Duration, b.N)
			work := make(chan int, b.N)
			for i := range b.N {
				work <- i
			}
			close(work)
			b.ResetTimer()
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					for i := range work {
						began := time.Now()
						if err := a.try(newKey(), data, replicas); err != nil {
							b.Error(err)
						}
						took[i] = time.Since(began)
					}
				})
			}
			all.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
			b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
