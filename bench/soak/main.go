// Command soak sends pictures of all kinds, good and hostile, through a running
// suite, and tells what the memory of a control group, in which the worker runs,
// has done meanwhile. bench/soak.sh starts both.
//
// It fails when the memory at the end is more than a tenth above that after the
// first pictures, when the kernel has killed a process for want of memory, and when
// an image does not reach its end in time or ends for another reason than its own.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	var s soak
	flag.StringVar(&s.url, "url", "http://127.0.0.1:8080", "the frontend")
	flag.StringVar(&s.shared, "shared", "../shared", "the folder with photos and hostile files")
	flag.StringVar(&s.group, "group", "", "the control group of the worker, a folder below /sys/fs/cgroup")
	flag.IntVar(&s.count, "count", 10_000, "pictures in all")
	flag.IntVar(&s.first, "first", 500, "pictures after which memory is measured for the first time")
	flag.IntVar(&s.clients, "clients", 8, "pictures at once")
	flag.DurationVar(&s.within, "within", 2*time.Minute, "how long a picture may take, the wait for others included")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
