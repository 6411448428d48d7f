package digest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"imagemill/internal/digest"
)

func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestDigestIsThatOfTheWhole(t *testing.T) {
	const block = 128 << 10
	for _, size := range []int{0, 1, block - 1, block, block + 1, 2 * block, 3*block + 17, 9*block - 1} {
		for _, piece := range []int{1 << 20, block, 32 << 10, 1000} {
			t.Run(fmt.Sprintf("%d by %d", size, piece), func(t *testing.T) {
				data := content(size)
				want := sha256.Sum256(data)
				w := digest.New()
				for rest := data; len(rest) > 0; {
					n := min(piece, len(rest))
					p := bytes.Clone(rest[:n])
					if m, err := w.Write(p); m != n || err != nil {
						t.Fatalf("Write = %d, %v; want %d, nil", m, err, n)
					}
					clear(p) // the caller uses its buffer again
					rest = rest[n:]
				}
				if got := w.Hex(); got != hex.EncodeToString(want[:]) {
					t.Errorf("digest = %s, want %x", got, want)
				}
				w.Close()
			})
		}
	}
}

// Room and Write may take turns; what was filled and not advanced past does not count.
func TestRoomIsDigestedWithoutACopy(t *testing.T) {
	const block = 128 << 10
	for _, size := range []int{0, 1, block - 1, block, block + 1, 3*block + 17, 9*block - 1} {
		for _, written := range []int{0, 1000, block, 2*block + 5} {
			t.Run(fmt.Sprintf("%d of which %d are written", size, written), func(t *testing.T) {
				data := content(size)
				want := sha256.Sum256(data)
				w := digest.New()
				head := min(written/2, size)
				_, _ = w.Write(data[:head])
				tail := max(size-written/2, head)
				for rest := data[head:tail]; len(rest) > 0; {
					n := copy(w.Room(), rest)
					n = max(n-n/3, 1)
					w.Advance(n)
					rest = rest[n:]
				}
				_, _ = w.Write(data[tail:])
				if got := w.Hex(); got != hex.EncodeToString(want[:]) {
					t.Errorf("digest = %s, want %x", got, want)
				}
			})
		}
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		w := digest.New()
		_, _ = w.Write(content(1 << 20))
		_, _ = w.Write(content(1 << 20))
		w.Close()
		w.Close()
	}
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	for _, size := range []int{4 << 10, 2 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			data := content(size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				w := digest.New()
				for rest := data; len(rest) > 0; rest = rest[min(len(rest), 32<<10):] {
					_, _ = w.Write(rest[:min(len(rest), 32<<10)])
				}
				_ = w.Sum()
			}
		})
	}
}
