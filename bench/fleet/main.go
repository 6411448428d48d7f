// Command fleet plays a thousand workers that wait for work at the masters of a
// running suite. It measures what they cost while there is none, and how long one
// new task takes to reach one of them. bench/fleet.sh starts both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
)

func main() {
	var f fleet
	masters := flag.String("masters", "", "the addresses of the masters, with commas between them")
	processes := flag.String("processes", "", "name=pid of those whose processor time counts, with commas between them")
	flag.IntVar(&f.workers, "workers", 1000, "workers in all")
	flag.IntVar(&f.tasks, "tasks", 1000, "tasks, of which each comes when the one before has arrived")
	flag.DurationVar(&f.idle, "idle", time.Minute, "how long there is no work")
	flag.DurationVar(&f.wait, "wait", 30*time.Second, "how long a worker waits in one call")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	f.masters = strings.Split(*masters, ",")
	if err := f.run(ctx, *processes); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// fleet is one run.
type fleet struct {
	masters        []string
	workers, tasks int
	idle, wait     time.Duration

	arrived chan arrival
	mu      sync.Mutex
	calls   int
}

// arrival is a task in a worker's hands.
type arrival struct {
	id string
	at time.Time
}

func (f *fleet) run(ctx context.Context, processes string) error {
	f.arrived = make(chan arrival, 1)
	transport := &http.Transport{MaxIdleConnsPerHost: f.workers}
	defer transport.CloseIdleConnections()
	ctx, end := context.WithCancel(ctx)
	defer end()
	var g errgroup.Group
	for n := range f.workers {
		c := imagemaster.NewClient(f.masters[n%len(f.masters)], &http.Client{Transport: transport})
		g.Go(func() error {
			// They come one after the other, so that their calls do not end all at once.
			if !sleep(ctx, time.Duration(n)*5*time.Millisecond) {
				return nil
			}
			err := f.work(ctx, c, fmt.Sprintf("fleet-%d", n))
			end()
			return err
		})
	}
	err := f.measure(ctx, imagemaster.NewClient(f.masters[0], &http.Client{Transport: transport}), processes)
	end()
	return errors.Join(g.Wait(), err)
}

// work waits for tasks, and ends each at once.
func (f *fleet) work(ctx context.Context, c *imagemaster.Client, name string) error {
	for ctx.Err() == nil {
		work, err := c.GetWork(ctx, imagemaster.WorkRequest{Worker: name, Max: 1, Wait: f.wait})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		f.mu.Lock()
		f.calls++
		f.mu.Unlock()
		for _, w := range work {
			at := time.Now()
			failed := imagemaster.FailedWork{ID: w.ID, Attempt: w.Attempt, Worker: name, Reason: "nobody works here"}
			if err := c.WorkFailed(ctx, failed); err != nil && !fault.Is(err, fault.Conflict) {
				return fmt.Errorf("%s: %w", name, err)
			}
			f.arrived <- arrival{w.ID, at}
		}
	}
	return nil
}

// measure looks at the processes while nothing happens, and then brings the tasks.
func (f *fleet) measure(ctx context.Context, c *imagemaster.Client, processes string) error {
	if !sleep(ctx, time.Duration(f.workers)*5*time.Millisecond+2*time.Second) {
		return ctx.Err()
	}
	before, err := times(processes)
	if err != nil {
		return err
	}
	f.mu.Lock()
	calls := -f.calls
	f.mu.Unlock()
	if !sleep(ctx, f.idle) {
		return ctx.Err()
	}
	after, err := times(processes)
	if err != nil {
		return err
	}
	f.mu.Lock()
	calls += f.calls
	f.mu.Unlock()
	fmt.Printf("%d workers at %d masters, no work for %v, %.1f calls a second\n", f.workers, len(f.masters), f.idle, float64(calls)/f.idle.Seconds())
	var sum time.Duration
	for i, p := range after {
		d := p.used - before[i].used
		sum += d
		fmt.Printf("  %-14s %6.2f %% of one core\n", p.name, 100*d.Seconds()/f.idle.Seconds())
	}
	fmt.Printf("  %-14s %6.2f %%\n", "in sum", 100*sum.Seconds()/f.idle.Seconds())
	return f.bring(ctx, c)
}

func (f *fleet) bring(ctx context.Context, c *imagemaster.Client) error {
	var sinceBegun, sinceAccepted []time.Duration
	for range f.tasks {
		begun := time.Now()
		acc, err := c.NewImage(ctx, imagemaster.Upload{
			Pipeline:    []byte(`{"renditions":[{"name":"default","format":"png"}]}`),
			ContentType: "image/png", Size: 4, Body: strings.NewReader("fake"),
		})
		if err != nil {
			return err
		}
		accepted := time.Now()
		select {
		case a := <-f.arrived:
			if a.id != acc.ID {
				return fmt.Errorf("task %s came where %s was expected", a.id, acc.ID)
			}
			sinceBegun, sinceAccepted = append(sinceBegun, a.at.Sub(begun)), append(sinceAccepted, a.at.Sub(accepted))
		case <-time.After(time.Minute):
			return fmt.Errorf("task %s reached nobody within a minute", acc.ID)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	fmt.Printf("%d tasks, one at a time, in ms:\n", f.tasks)
	report("since the answer to the upload", sinceAccepted)
	report("since the upload began", sinceBegun)
	return nil
}

func report(what string, d []time.Duration) {
	slices.Sort(d)
	at := func(q float64) float64 { return float64(d[int(q*float64(len(d)-1))].Microseconds()) / 1000 }
	fmt.Printf("  %-32s p50 %6.2f   p99 %6.2f   max %6.2f\n", what, at(0.5), at(0.99), at(1))
}

// process is one whose processor time counts, and what it has used so far.
type process struct {
	name string
	used time.Duration
}

// tick is the unit of Linux' /proc/PID/stat.
const tick = time.Second / 100

func times(processes string) ([]process, error) {
	var all []process
	for one := range strings.SplitSeq(processes, ",") {
		name, pid, _ := strings.Cut(one, "=")
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", name, err)
		}
		// The name of the program is in parentheses and may hold anything; the times
		// are the 12th and 13th field after it.
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 13 {
			return nil, fmt.Errorf("look at %s: no times in %q", name, stat)
		}
		var used time.Duration
		for _, field := range fields[11:13] {
			n, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("look at %s: %w", name, err)
			}
			used += time.Duration(n) * tick
		}
		all = append(all, process{name, used})
	}
	return all, nil
}

// sleep is false when ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
