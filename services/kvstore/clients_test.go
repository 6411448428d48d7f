package kvstore

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Consul's own Lock keeps one holder at a time.
func TestClientLock(t *testing.T) {
	r := start(t, MemConfig())
	var inside, most atomic.Int32
	var done sync.WaitGroup
	for i := range 2 {
		done.Go(func() {
			l, err := r.client.LockOpts(&api.LockOptions{
				Key: "lock", Value: []byte(strconv.Itoa(i)), SessionTTL: "60s", LockDelay: time.Nanosecond,
			})
			if !assert.NoError(t, err) {
				return
			}
			for range 3 {
				lost, err := l.Lock(nil)
				if !assert.NoError(t, err) {
					return
				}
				n := inside.Add(1)
				most.Store(max(most.Load(), n))
				select {
				case <-lost:
					t.Error("lost the lock")
				default:
				}
				inside.Add(-1)
				assert.NoError(t, l.Unlock())
			}
		})
	}
	done.Wait()
	assert.EqualValues(t, 1, most.Load())
}

// The holder of a lock hears of it when its session is destroyed.
func TestClientLockLost(t *testing.T) {
	r := start(t, MemConfig())
	sess := r.session("release", "")
	l, err := r.client.LockOpts(&api.LockOptions{Key: "lock", Session: sess})
	require.NoError(t, err)
	lost, err := l.Lock(nil)
	require.NoError(t, err)
	_, err = r.client.Session().Destroy(sess, nil)
	require.NoError(t, err)
	select {
	case <-lost:
	case <-time.After(time.Minute):
		t.Fatal("the holder was not told")
	}
}

func TestClientSemaphore(t *testing.T) {
	r := start(t, MemConfig())
	var inside, most atomic.Int32
	var done sync.WaitGroup
	var mu sync.Mutex
	for range 4 {
		done.Go(func() {
			s, err := r.client.SemaphoreOpts(&api.SemaphoreOptions{Prefix: "sem", Limit: 2, SessionTTL: "60s"})
			if !assert.NoError(t, err) {
				return
			}
			for range 3 {
				if _, err := s.Acquire(nil); !assert.NoError(t, err) {
					return
				}
				n := inside.Add(1)
				mu.Lock()
				most.Store(max(most.Load(), n))
				mu.Unlock()
				inside.Add(-1)
				assert.NoError(t, s.Release())
			}
		})
	}
	done.Wait()
	assert.LessOrEqual(t, most.Load(), int32(2))
}

func TestStatusAndAgent(t *testing.T) {
	r := start(t, MemConfig())
	leader, err := r.client.Status().Leader()
	require.NoError(t, err)
	peers, err := r.client.Status().Peers()
	require.NoError(t, err)
	assert.Equal(t, []string{leader}, peers)
	name, err := r.client.Agent().NodeName()
	require.NoError(t, err)
	assert.Equal(t, "kvstore", name)
	self, err := r.client.Agent().Self()
	require.NoError(t, err)
	assert.Equal(t, "dc1", self["Config"]["Datacenter"])
	assert.Equal(t, "test", self["Config"]["Version"])
	members, err := r.client.Agent().Members(false)
	require.NoError(t, err)
	require.Len(t, members, 1)
	assert.Equal(t, "kvstore", members[0].Name)
	assert.Equal(t, 200, r.do("GET", "/readyz", nil).status)
}

// Counting up by compare-and-set from many clients loses no count, and an index
// is never seen to fall.
func TestConcurrentCounting(t *testing.T) {
	r := start(t, MemConfig())
	const clients, each = 8, 40
	var done sync.WaitGroup
	for range clients {
		done.Go(func() {
			var last uint64
			for n := 0; n < each; {
				p, meta, err := r.client.KV().Get("n", &api.QueryOptions{RequireConsistent: n%2 == 0})
				if !assert.NoError(t, err) || !assert.GreaterOrEqual(t, meta.LastIndex, last) {
					return
				}
				last = meta.LastIndex
				next := &api.KVPair{Key: "n", Value: []byte("1")}
				if p != nil {
					count, _ := strconv.Atoi(string(p.Value))
					next.Value, next.ModifyIndex = []byte(strconv.Itoa(count+1)), p.ModifyIndex
				}
				ok, _, err := r.client.KV().CAS(next, nil)
				if !assert.NoError(t, err) {
					return
				}
				if ok {
					n++
				}
			}
		})
	}
	done.Wait()
	assert.Equal(t, strconv.Itoa(clients*each), string(r.get("n").Value))
}

// Whoever wrote reads his write, and what was answered is in the log.
func TestReadYourWrites(t *testing.T) {
	cfg := diskConfig(t)
	r := start(t, cfg)
	var done sync.WaitGroup
	for i := range 8 {
		done.Go(func() {
			for n := range 20 {
				key := fmt.Sprintf("%d/%d", i, n)
				_, err := r.client.KV().Put(&api.KVPair{Key: key, Value: []byte(key)}, nil)
				assert.NoError(t, err)
				p, _, err := r.client.KV().Get(key, nil)
				if assert.NoError(t, err) && assert.NotNil(t, p) {
					assert.Equal(t, key, string(p.Value))
				}
			}
		})
	}
	done.Wait()
	r.stop()
	r = start(t, cfg)
	keys, _, err := r.client.KV().Keys("", "", nil)
	require.NoError(t, err)
	assert.Len(t, keys, 160)
}
