package kvstore

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Benchmarks use a raw HTTP client, so that it is the server that is measured.

func BenchmarkPut(b *testing.B) {
	for _, clients := range []int{1, 64} {
		for name, cfg := range map[string]Config{"disk": diskConfig(b), "memory": MemConfig()} {
			b.Run(fmt.Sprintf("%s/clients=%d", name, clients), func(b *testing.B) {
				r := start(b, cfg)
				value := bytes.Repeat([]byte{'v'}, 256)
				b.ReportAllocs()
				b.ResetTimer()
				parallel(b, clients, func(client, n int) {
					target := fmt.Sprintf("/v1/kv/bench/%d/%d", client, n%1000)
					if got, err := r.try(context.Background(), "PUT", target, bytes.NewReader(value)); err != nil || got.body != "true" {
						b.Errorf("PUT: %v %v", got, err)
					}
				})
				b.StopTimer()
				r.stop()
			})
		}
	}
}

func BenchmarkGet(b *testing.B) {
	for _, mode := range []string{"default", "consistent", "stale"} {
		b.Run(mode, func(b *testing.B) {
			r := start(b, MemConfig())
			r.put("k", "some value")
			b.ReportAllocs()
			b.ResetTimer()
			parallel(b, 64, func(_, _ int) {
				if got, err := r.try(context.Background(), "GET", "/v1/kv/k?"+mode, nil); err != nil || got.status != http.StatusOK {
					b.Errorf("GET: %v %v", got, err)
				}
			})
			b.StopTimer()
			r.stop()
		})
	}
}

// BenchmarkFanOut is the time from a change until the last of 1,000 waiting
// queries has its answer.
func BenchmarkFanOut(b *testing.B) {
	const waiters = 1000
	r := start(b, MemConfig())
	index := r.put("hot/k", "0").ModifyIndex
	var total time.Duration
	for i := range b.N {
		var done sync.WaitGroup
		for range waiters {
			done.Go(func() {
				if _, err := r.try(context.Background(), "GET", fmt.Sprintf("/v1/kv/hot/?recurse&index=%d", index), nil); err != nil {
					b.Error(err)
				}
			})
		}
		eventually(b, func() bool { return r.waiters("hot/") == waiters })
		begun := time.Now()
		index = r.put("hot/k", fmt.Sprint(i+1)).ModifyIndex
		done.Wait()
		total += time.Since(begun)
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N), "µs/change")
	r.stop()
}

func BenchmarkApplyBatch(b *testing.B) {
	v := emptyView()
	for i := range b.N {
		s := v.begin(uint64(i), sometime())
		s.set(Op{Key: fmt.Sprintf("dir/%d", i%100_000), Value: []byte("value")})
		v = s.commit()
	}
}

// parallel shares b.N calls among clients.
func parallel(b *testing.B, clients int, call func(client, n int)) {
	var done sync.WaitGroup
	for c := range clients {
		done.Go(func() {
			for n := c; n < b.N; n += clients {
				call(c, n)
			}
		})
	}
	done.Wait()
}
