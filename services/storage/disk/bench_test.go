package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"imagemill/services/storage"
	"imagemill/services/storage/disk"
	"imagemill/services/storage/storagetest"
)

// Ratios are to the plainest thing that could do the same on the same disk, in
// the same run: they mean something on another machine, too.

// many calls work n times from 64 goroutines and gives the time it took.
func many(b *testing.B, n int, work func(i int64) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range 64 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := work(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(start)
}

// plainPut writes, fsyncs and renames, and leaves the folder to the next crash.
func plainPut(tmp, path string, data []byte) error {
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func newKey() string { return uuid.Must(uuid.NewV7()).String() }

// BenchmarkPut8k stores small blobs from 64 writers. x-plain compares with file
// fsync and rename alone, x-folder with an fsync of the folder by each writer.
// The three take turns, after a first turn that does not count: a disk that was
// idle, or never written to, is several times slower at first.
func BenchmarkPut8k(b *testing.B) {
	data, dir, ctx := storagetest.Bytes(8<<10, 1), b.TempDir(), b.Context()
	s, target := openBench(b, filepath.Join(dir, "store")), filepath.Join(dir, "plain")
	require.NoError(b, os.Mkdir(target, 0o750))
	require.NoError(b, os.Mkdir(filepath.Join(dir, "tmp"), 0o750))
	put := func(int64) error {
		ref := storage.Ref{State: storage.InProgress, Key: newKey()}
		_, err := s.Put(ctx, ref, bytes.NewReader(data), storage.PutOptions{Size: int64(len(data))})
		return err
	}
	plain := func(int64) error {
		name := newKey()
		return plainPut(filepath.Join(dir, "tmp", name), filepath.Join(target, name), data)
	}
	folder := func(i int64) error { return errors.Join(plain(i), syncFolder(target)) }
	var took [3]time.Duration
	const turns = 4
	for turn := range turns + 1 {
		for i, work := range []func(int64) error{put, plain, folder} {
			if d := many(b, max(b.N/turns, 1), work); turn > 0 {
				took[i] += d
			}
		}
	}
	b.ReportMetric(float64(max(b.N/turns, 1)*turns)/took[0].Seconds(), "puts/s")
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "x-plain")
	b.ReportMetric(took[2].Seconds()/took[0].Seconds(), "x-folder")
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func openBench(b *testing.B, dir string) *disk.Store {
	b.Helper()
	s, err := disk.Open(disk.Config{Dir: dir}, disk.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	return s
}

// BenchmarkPut5M stores photographs one after the other; x-copy compares with
// copy, fsync and rename.
func BenchmarkPut5M(b *testing.B) {
	data, dir := storagetest.Bytes(5_000_000, 1), b.TempDir()
	s := openBench(b, filepath.Join(dir, "store"))
	over := overHTTP(b, s)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var ours, http, plain time.Duration
	for i := range b.N {
		start := time.Now()
		storagetest.Put(b, s, newKey(), data)
		ours += time.Since(start)
		start = time.Now()
		require.NoError(b, plainPut(filepath.Join(dir, "tmp"), filepath.Join(dir, fmt.Sprint(i)), data))
		plain += time.Since(start)
		start = time.Now()
		storagetest.Put(b, over, newKey(), data)
		http += time.Since(start)
	}
	b.ReportMetric(plain.Seconds()/ours.Seconds(), "x-copy")
	b.ReportMetric(plain.Seconds()/http.Seconds(), "http-x-copy")
}

// BenchmarkGet8k reads and verifies small blobs from 64 readers; x-file compares
// with os.ReadFile.
func BenchmarkGet8k(b *testing.B) {
	s, dir := openBench(b, b.TempDir()), b.TempDir()
	data := storagetest.Bytes(8<<10, 1)
	storagetest.Put(b, s, "a", data)
	path := filepath.Join(dir, "a")
	require.NoError(b, os.WriteFile(path, data, 0o600))
	b.ReportAllocs()
	b.ResetTimer()
	ours := many(b, b.N, func(int64) error {
		obj, err := s.Get(b.Context(), storage.Ref{State: storage.InProgress, Key: "a"}, storage.Whole())
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, obj.Body)
		return errors.Join(err, obj.Body.Close())
	})
	b.StopTimer()
	plain := many(b, b.N, func(int64) error {
		_, err := os.ReadFile(path)
		return err
	})
	b.ReportMetric(plain.Seconds()/ours.Seconds(), "x-file")
}

// BenchmarkGet5M reads photographs over HTTP, whole (verified) and as one range
// (sendfile); x-sendfile compares with the file sent over a bare connection.
func BenchmarkGet5M(b *testing.B) {
	const n = 5_000_000
	s := openBench(b, b.TempDir())
	over := overHTTP(b, s)
	storagetest.Put(b, s, "a", storagetest.Bytes(n, 1))
	path := filepath.Join(b.TempDir(), "a")
	require.NoError(b, os.WriteFile(path, storagetest.Bytes(n, 1), 0o600))
	get := func(span storage.Span) time.Duration {
		start := time.Now()
		obj, err := over.Get(b.Context(), storage.Ref{State: storage.InProgress, Key: "a"}, span)
		require.NoError(b, err)
		got, err := io.Copy(io.Discard, obj.Body)
		require.NoError(b, errors.Join(err, obj.Body.Close()))
		require.EqualValues(b, obj.Length, got)
		return time.Since(start)
	}
	b.SetBytes(n)
	b.ReportAllocs()
	var whole, part, plain time.Duration
	for range b.N {
		whole += get(storage.Whole())
		part += get(storage.Span{Offset: 1, Length: -1})
		plain += sendFile(b, path)
	}
	b.ReportMetric(plain.Seconds()/whole.Seconds(), "whole-x-sendfile")
	b.ReportMetric(plain.Seconds()/part.Seconds(), "range-x-sendfile")
}

// sendFile sends a file over a new connection, and gives the time it took.
func sendFile(b *testing.B, path string) time.Duration {
	b.Helper()
	ln, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer ln.Close()
	start, done := time.Now(), make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		f, err := os.Open(path)
		if err == nil {
			_, err = io.Copy(conn, f)
		}
		done <- errors.Join(err, errors.Join(f.Close(), conn.Close()))
	}()
	conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", ln.Addr().String())
	require.NoError(b, err)
	_, err = io.Copy(io.Discard, conn)
	require.NoError(b, errors.Join(err, errors.Join(<-done, conn.Close())))
	return time.Since(start)
}
