package kvstore

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery/consultest"
)

// The load of BenchmarkBesideConsul.
const (
	besideConns   = 64
	besideTurn    = 2 * time.Second
	besideTurns   = 3
	besideWaiters = 1000
	besideChanges = 15
	// Changes to queries that have waited for longer than is usual in a busy hour.
	besideLate = 5
	besideWait = 2 * time.Second
	// besideRest is how long both are left alone before their memory is looked at.
	besideRest = 10 * time.Second
)

// store is one process that is measured.
type store struct {
	name, host string
	pid        int
	puts, gets []float64       // a second, one for each turn
	fanOut     []time.Duration // one for each change
	late       []time.Duration // the same, to queries that had waited
	// Resident KB: fresh, with all queries waiting, and after the load.
	idle, waiting, busy int
	parked              float64 // resident KB that one waiting query adds to its open connection
}

// BenchmarkBesideConsul measures kvstore, as a process of its own, beside a real
// Consul's development agent, by turns. IMAGEMILL_BENCH_PROGRAM is the built
// imagemill; bench/consul.sh builds it and runs this.
func BenchmarkBesideConsul(b *testing.B) {
	program := os.Getenv("IMAGEMILL_BENCH_PROGRAM")
	if program == "" {
		b.Skip("IMAGEMILL_BENCH_PROGRAM is not set: run bench/consul.sh")
	}
	agent := consultest.Start(b)
	stores := []*store{
		{name: "Consul, in memory", host: strings.TrimPrefix(agent.URL, "http://"), pid: agent.PID},
		spawn(b, program, "kvstore, in memory", ""),
		spawn(b, program, "kvstore, on disk", b.TempDir()),
	}
	for _, s := range stores {
		_, err := s.dial(b).do("PUT", "/v1/kv/k", []byte("some value"))
		require.NoError(b, err)
		s.idle = s.resident(b)
	}
	for _, s := range stores {
		s.fan(b)
	}
	for range besideTurns {
		for _, s := range stores {
			s.puts = append(s.puts, s.rate(b, "PUT", "/v1/kv/bench/%d", bytes.Repeat([]byte{'v'}, 256)))
		}
		for _, s := range stores {
			s.gets = append(s.gets, s.rate(b, "GET", "/v1/kv/k?n=%d", nil))
		}
	}
	pass(besideRest)
	for _, s := range stores {
		s.busy = s.resident(b)
		b.Logf("%-18s PUT %v/s  GET %v/s  fan-out p50 %s max %s, after 2 s of waiting p50 %s max %s  waiting query %.1f KB, with its connection %.1f KB  RSS fresh %d, with %d waiting %d, after %d KB",
			s.name, rounded(s.puts), rounded(s.gets), middle(s.fanOut), slices.Max(s.fanOut), middle(s.late), slices.Max(s.late), s.parked, s.connected(),
			s.idle, besideWaiters, s.waiting, s.busy)
	}
	for _, s := range stores[1:] {
		c := stores[0]
		b.Logf("%-18s PUT %.2f ×  GET %.2f ×  fan-out %.2f ×, after waiting %.2f ×  waiting query with its connection %.2f ×  RSS fresh %.2f ×, waiting %.2f ×, after %.2f ×",
			s.name, middle(s.puts)/middle(c.puts), middle(s.gets)/middle(c.gets), float64(middle(s.fanOut))/float64(middle(c.fanOut)),
			float64(middle(s.late))/float64(middle(c.late)),
			s.connected()/c.connected(), part(s.idle, c.idle), part(s.waiting, c.waiting), part(s.busy, c.busy))
	}
}

// pass lets time go by, in which what is measured is left alone.
func pass(d time.Duration) { <-time.After(d) }

// connected gives the resident KB of a waiting query with its connection.
func (s *store) connected() float64 { return float64(s.waiting-s.idle) / besideWaiters }

func part(a, b int) float64 { return float64(a) / float64(b) }

func rounded(rates []float64) (out []int) {
	for _, r := range rates {
		out = append(out, int(r))
	}
	return out
}

func middle[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// spawn runs imagemill kvstore until the benchmark ends.
func spawn(b *testing.B, program, name, data string) *store {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	host := ln.Addr().String()
	require.NoError(b, ln.Close())
	cmd := exec.Command(program, "kvstore", "--listen", host, "--data", data, "--log-level", "error", "--discovery", "consul://"+host)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	eventually(b, func() bool {
		resp, err := client.Get("http://" + host + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return &store{name: name, host: host, pid: cmd.Process.Pid}
}

// resident gives the process's resident memory in KB.
func (s *store) resident(b *testing.B) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	require.NoError(b, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(b, err)
	return n
}

// rate sends requests over many connections for one turn, and gives the answers
// per second.
func (s *store) rate(b *testing.B, method, target string, body []byte) float64 {
	var done sync.WaitGroup
	var count atomic.Int64
	ctx, cancel := context.WithTimeout(b.Context(), besideTurn)
	defer cancel()
	for n := range besideConns {
		w := s.dial(b)
		done.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := w.do(method, fmt.Sprintf(target, (i*besideConns+n)%5000), body); err != nil {
					b.Errorf("%s: %v", s.name, err)
					return
				}
				count.Add(1)
			}
		})
	}
	done.Wait()
	return float64(count.Load()) / besideTurn.Seconds()
}

// fan parks queries and takes the time from the sending of a change until the
// last has its answer.
func (s *store) fan(b *testing.B) {
	writer := s.dial(b)
	_, err := writer.do("PUT", "/v1/kv/hot", []byte("0"))
	require.NoError(b, err)
	index, err := writer.do("GET", "/v1/kv/hot", nil)
	require.NoError(b, err)
	wires := make([]*wire, besideWaiters)
	for i := range wires {
		wires[i] = s.dial(b)
	}
	// All connections have been served once, so that only the waiting counts.
	for _, w := range wires {
		_, err := w.do("GET", "/v1/kv/hot", nil)
		require.NoError(b, err)
	}
	before := s.resident(b)
	for change := range besideLate + besideChanges {
		for _, w := range wires {
			require.NoError(b, w.send("GET", "/v1/kv/hot?wait=60s&index="+index, nil))
		}
		s.settle(b, writer)
		if change == 0 {
			pass(besideRest)
			s.waiting = s.resident(b)
			s.parked = float64(s.waiting-before) / besideWaiters
		}
		if change < besideLate {
			pass(besideWait)
		}
		begun := time.Now()
		require.NoError(b, writer.send("PUT", "/v1/kv/hot", strconv.AppendInt(nil, int64(change+1), 10)))
		for _, w := range wires {
			got, err := w.receive()
			require.NoError(b, err)
			require.NotEqual(b, index, got, "an answer to a change")
		}
		if took := time.Since(begun); change < besideLate {
			s.late = append(s.late, took)
		} else {
			s.fanOut = append(s.fanOut, took)
		}
		_, err := writer.receive()
		require.NoError(b, err)
		index, err = writer.do("GET", "/v1/kv/hot", nil)
		require.NoError(b, err)
	}
	for _, w := range wires {
		require.NoError(b, w.conn.Close())
	}
}

// settle waits until the parked queries are in place: until the process takes no
// more processor time.
func (s *store) settle(b *testing.B, w *wire) {
	last, same := -1, 0
	eventually(b, func() bool {
		_, err := w.do("GET", "/v1/kv/k", nil)
		require.NoError(b, err)
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
		require.NoError(b, err)
		_, rest, _ := strings.Cut(string(stat), ") ")
		f := strings.Fields(rest)
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		if user+system == last {
			same++
		} else {
			last, same = user+system, 0
		}
		return same > 20
	})
}

// wire is one connection that speaks just enough HTTP: a whole client would cost
// as much as the server that is measured.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

func (s *store) dial(b *testing.B) *wire {
	conn, err := net.Dial("tcp", s.host)
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close() })
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, 1024)}
}

func (w *wire) do(method, target string, body []byte) (index string, err error) {
	if err := w.send(method, target, body); err != nil {
		return "", err
	}
	return w.receive()
}

func (w *wire) send(method, target string, body []byte) error {
	w.out = fmt.Appendf(w.out[:0], "%s %s HTTP/1.1\r\nHost: store\r\nContent-Length: %d\r\n\r\n", method, target, len(body))
	_, err := w.conn.Write(append(w.out, body...))
	return err
}

// receive reads one answer and gives its X-Consul-Index.
func (w *wire) receive() (index string, err error) {
	length := -1
	for first := true; ; first = false {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		if first && !bytes.Contains(line, []byte(" 200 ")) {
			return "", fmt.Errorf("answered %s", line)
		}
		if len(line) == 2 {
			break
		}
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(": "))
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return "", err
			}
		case "X-Consul-Index":
			index = string(value)
		}
	}
	if length < 0 {
		return "", errors.New("an answer without its length")
	}
	_, err = io.CopyN(io.Discard, w.in, int64(length))
	return index, err
}
