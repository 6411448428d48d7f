package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"imagemill/pkg/client"
)

// soak is one run.
type soak struct {
	url, shared, group    string
	count, first, clients int
	within                time.Duration

	client         *client.Client
	photos, others []string // good pictures, and hostile files
	made           [][]byte // good pictures in other formats

	mu       sync.Mutex
	outcomes map[string]int
	problems []string
	slowest  time.Duration
}

// asks are what is made of the pictures, in turn: many renditions at once, effects,
// animations, facts.
var asks = []string{
	"width=800&quality=80",
	"width=120&height=120&fit=cover&gravity=attention&format=auto",
	"width=200&noEnlarge&animated&format=gif",
	"width=320&sharpen=1&round=10%25&describe=exif,colors,blurhash,phash",
	"",
	`pipeline={"renditions":[{"name":"a","operations":[{"op":"resize","width":960,"noEnlarge":true}],"format":"jpeg"},` +
		`{"name":"b","operations":[{"op":"resize","width":640,"noEnlarge":true}],"format":"jpeg"},` +
		`{"name":"c","operations":[{"op":"resize","width":160,"noEnlarge":true}],"format":"auto"}]}`,
	"megapixels=0.1&rotate=12&background=ffffff&format=jpeg&ssim=0.95",
	"crop=500x500&gravity=entropy&blur=1.5&format=png",
}

// run sends everything and judges.
func (s *soak) run(ctx context.Context) (err error) {
	if s.client, err = client.New(client.Config{URL: s.url, APIKey: os.Getenv("IMAGEMILL_API_KEY")}); err != nil {
		return err
	}
	defer s.client.Close()
	s.outcomes = map[string]int{}
	if err := s.gather(ctx); err != nil {
		return err
	}
	clear(s.outcomes)
	begun := time.Now()
	var all []memory
	for from := 0; from < s.count; {
		to := min(s.count, from+max(s.first/samples, 1))
		if err := s.send(ctx, from, to); err != nil {
			return err
		}
		if err := pause(ctx, idle); err != nil {
			return err
		}
		now, err := measure(s.group)
		if err != nil {
			return err
		}
		all = append(all, now)
		if from = to; from%max(s.first, 1) == 0 || from == s.count {
			fmt.Printf("%6d pictures, %4.0f s: mean %d MiB; now %s\n", to, time.Since(begun).Seconds(), mean(all[max(len(all)-samples, 0):])>>20, now)
		}
	}
	fmt.Printf("outcomes: %v; slowest %s\n", s.outcomes, s.slowest.Round(time.Millisecond))
	return s.judge(all)
}

// samples is how often memory is measured in so many pictures as are sent before the
// first measure counts. All that were sent have ended then.
const samples = 5

// idle is the rest before each measure, in which engines give back what they have kept
// for a next picture.
const idle = time.Second

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// mean is the mean of the resident memory, in bytes.
func mean(all []memory) int64 {
	var sum int64
	for _, m := range all {
		sum += m.resident
	}
	return sum / int64(max(len(all), 1))
}

// judge holds the figures to what must hold: after the first pictures, the mean of
// the next as many is compared with that of the last. What one engine holds at one
// moment depends on what it has just done, so that single measures differ by more
// than a tenth; that of the end beside that after the first is told too.
func (s *soak) judge(all []memory) error {
	errs := make([]error, 0, len(s.problems)+2)
	for _, p := range s.problems {
		errs = append(errs, errors.New(p))
	}
	last := all[len(all)-1]
	if len(all) >= 3*samples {
		first := all[samples-1]
		ratio := float64(mean(all[len(all)-samples:])) / float64(max(mean(all[samples:2*samples]), 1))
		fmt.Printf("resident memory at the end: %.2f of that after the first %d (single measures: %.2f)\n",
			ratio, s.first, float64(last.resident)/float64(max(first.resident, 1)))
		if ratio > 1.1 {
			errs = append(errs, fmt.Errorf("memory has grown to %.2f of what it was", ratio))
		}
	}
	if last.kills > 0 {
		errs = append(errs, fmt.Errorf("%d processes were killed for want of memory", last.kills))
	}
	return errors.Join(errs...)
}

// gather lists the files, and has the suite make good pictures in formats that the
// folder lacks.
func (s *soak) gather(ctx context.Context) error {
	list := func(folder string) (names []string, err error) {
		err = filepath.WalkDir(filepath.Join(s.shared, folder), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && strings.Contains(".jpg.jpeg.png.gif.webp.bmp.tif.tiff.unrecognised", filepath.Ext(path)) && filepath.Ext(path) != "" {
				names = append(names, path)
			}
			return err
		})
		slices.Sort(names)
		return names, err
	}
	var err error
	if s.photos, err = list("photos"); err != nil {
		return err
	}
	if s.others, err = list("hostile"); err != nil {
		return err
	}
	photo, err := os.ReadFile(filepath.Join(s.shared, "photos", "nuthatch-2mp.jpg"))
	if err != nil {
		return err
	}
	for _, format := range []string{"png", "gif", "tiff", "webp", "avif"} {
		out, err := s.convert(ctx, photo, format)
		if err != nil {
			fmt.Printf("no %s among the originals: %v\n", format, err)
			continue
		}
		s.made = append(s.made, out)
	}
	return nil
}

func (s *soak) convert(ctx context.Context, photo []byte, format string) ([]byte, error) {
	id, err := s.client.Upload(ctx, bytes.NewReader(photo), int64(len(photo)), client.Options{Query: url.Values{"width": {"1000"}, "format": {format}}})
	if err != nil {
		return nil, err
	}
	st, err := s.client.Wait(ctx, id)
	if err != nil {
		return nil, err
	}
	if st.State != client.Finished {
		return nil, errors.New(st.Error)
	}
	var out bytes.Buffer
	_, err = s.client.Download(ctx, id, "", &out)
	return out.Bytes(), err
}

// original is the picture of a number: of five, two photographs, two hostile files,
// and one in another format.
func (s *soak) original(n int) (name string, b []byte, err error) {
	switch n % 5 {
	case 0, 1:
		name = s.photos[(n/5*2+n%5)%len(s.photos)]
	case 2, 3:
		name = s.others[(n/5*2+n%5)*7919%len(s.others)]
	default:
		i := n / 5 % len(s.made)
		return fmt.Sprintf("made %d", i), s.made[i], nil
	}
	b, err = os.ReadFile(name)
	return name, b, err
}

// send puts pictures from up to below to through, and waits for all of them.
func (s *soak) send(ctx context.Context, from, to int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(s.clients)
	for n := from; n < to; n++ {
		g.Go(func() error {
			if err := s.one(ctx, n); err != nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.outcomes["problem"]++
				if len(s.problems) < 20 {
					s.problems = append(s.problems, err.Error())
				}
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

// one sends one picture and waits for its end. The error is a fault of the suite, not
// of the picture.
func (s *soak) one(ctx context.Context, n int) error {
	name, b, err := s.original(n)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(asks[n/5%len(asks)])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	start := time.Now()
	id, err := s.client.Upload(ctx, bytes.NewReader(b), int64(len(b)), client.Options{Query: query})
	if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Status < 500 && refusal.Status != 429 {
		s.count1("refused", start)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	st, err := s.client.Wait(ctx, id)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.count1(st.State, start)
	if st.Attempts > 1 || st.State != client.Finished && st.State != client.Failed {
		return fmt.Errorf("%s: %s after %d attempts: %s", name, st.State, st.Attempts, strings.Join(append(st.Failures, st.Error), "; "))
	}
	return nil
}

func (s *soak) count1(outcome string, start time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcomes[outcome]++
	s.slowest = max(s.slowest, time.Since(start))
}
