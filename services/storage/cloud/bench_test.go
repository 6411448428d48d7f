package cloud_test

import (
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"imagemill/services/storage"
	"imagemill/services/storage/disk"
	"imagemill/services/storage/storagetest"
)

// BenchmarkBesideDisk stores and reads photographs of 5 MB, by turns in each of the
// stores on one machine and one file system; ratios are to package disk. The S3
// server's own work is in it, on the same cores, and it does not sync.
func BenchmarkBesideDisk(b *testing.B) {
	local, err := disk.Open(disk.Config{Dir: b.TempDir()}, disk.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	s3, _ := openS3(b)
	stores := []struct {
		name string
		storage.Store
	}{{"disk", local}, {"s3", s3}, {"folder", openStore(b, fileURL(b.TempDir()))}}
	data := storagetest.Bytes(5_000_000, 1)
	puts, gets := make([]time.Duration, len(stores)), make([]time.Duration, len(stores))
	b.SetBytes(int64(len(data)))
	for n := range b.N + 1 {
		for i, s := range stores {
			key, start := uuid.Must(uuid.NewV7()).String(), time.Now()
			storagetest.Put(b, s, key, data)
			put := time.Since(start)
			start = time.Now()
			obj, err := s.Get(b.Context(), ref(key), storage.Whole())
			require.NoError(b, err)
			_, err = io.Copy(io.Discard, obj.Body)
			require.NoError(b, errors.Join(err, obj.Body.Close()))
			if n > 0 { // the first of each does not count
				puts[i], gets[i] = puts[i]+put, gets[i]+time.Since(start)
			}
			require.NoError(b, s.Delete(b.Context(), ref(key)))
		}
	}
	for i, s := range stores {
		b.ReportMetric(float64(puts[i].Microseconds())/float64(b.N)/1000, s.name+"-put-ms")
		b.ReportMetric(float64(gets[i].Microseconds())/float64(b.N)/1000, s.name+"-get-ms")
		b.ReportMetric(puts[0].Seconds()/puts[i].Seconds(), s.name+"-put-x-disk")
		b.ReportMetric(gets[0].Seconds()/gets[i].Seconds(), s.name+"-get-x-disk")
	}
}
