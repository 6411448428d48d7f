package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"imagemill/e2e"
)

// user is a client that checks what it gets, tries again after a pause, and
// asks the other frontend when it does.
type user struct {
	*e2e.Client
	// tries is how often one request is made, pause what lies between.
	tries int
	pause time.Duration
	// wait is how long one call waits for an image's end.
	wait  time.Duration
	again atomic.Int64 // how often a request had to be repeated
	// refused counts uploads that were answered, but not with 202.
	refused atomic.Int64
}

// turns names the frontends in turn, for one user alone.
type turns struct {
	of frontends
	n  atomic.Int64
}

func (t *turns) URL() string {
	urls := t.of.URLs()
	return urls[int(t.n.Add(1))%len(urls)]
}

// frontends is a suite whose frontends all have an address of their own.
type frontends interface{ URLs() []string }

// newUser makes a user of a suite; first is the frontend it starts with.
func newUser(t *testing.T, p frontends, first, tries int, pause time.Duration) *user {
	t.Helper()
	in := &turns{of: p}
	in.n.Store(int64(first))
	u := &user{Client: e2e.NewClient(in), tries: tries, pause: pause, wait: 5 * time.Second}
	t.Cleanup(u.Close)
	return u
}

// picture is the upload that has this number: a colour that no other has.
func picture(t testing.TB, n int) []byte { return e2e.Colored(t, 24, 16, colorOf(n)) }

func colorOf(n int) color.NRGBA {
	return color.NRGBA{R: uint8(n % 250), G: uint8(n / 250 % 250), B: 251, A: 255}
}

// checkPicture has the result of the preset default of that upload.
func checkPicture(n int, data []byte) error {
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("decode result of upload %d: %w", n, err)
	}
	in := colorOf(n)
	want := color.NRGBA{R: in.B, G: in.G, B: in.R, A: 255}
	if got := color.NRGBAModel.Convert(img.At(12, 8)); got != want {
		return fmt.Errorf("upload %d is %v, not %v", n, got, want)
	}
	return nil
}

// pause waits, or until ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// call makes a request until it is answered as wanted. Other answers of 500 and
// above, and 429, are tried again; the rest is an error at once.
func (u *user) call(ctx context.Context, method, path string, body []byte, want int, headers ...string) (e2e.Answer, error) {
	var last error
	for try := range u.tries {
		if try > 0 {
			u.again.Add(1)
			if err := pause(ctx, u.pause); err != nil {
				return e2e.Answer{}, errors.Join(err, last)
			}
		}
		a, err := u.Do(ctx, method, path, bytes.NewReader(body), headers...)
		switch {
		case err == nil && a.Status == want:
			return a, nil
		case err == nil && method == http.MethodPost && a.Status >= 500:
			u.refused.Add(1)
			err = fmt.Errorf("%s %s: %d %s", method, path, a.Status, a.Body)
		case err == nil && a.Status < 500 && a.Status != http.StatusTooManyRequests:
			return a, fmt.Errorf("%s %s: %d %s", method, path, a.Status, a.Body)
		case err == nil:
			err = fmt.Errorf("%s %s: %d %s", method, path, a.Status, a.Body)
		}
		last = err
	}
	return e2e.Answer{}, last
}

// upload gives the ID of an accepted image.
func (u *user) upload(ctx context.Context, body []byte, headers ...string) (string, error) {
	a, err := u.call(ctx, http.MethodPost, "/newImage", body, http.StatusAccepted, headers...)
	if err != nil {
		return "", err
	}
	var accepted struct{ ID string }
	if err := json.Unmarshal(a.Body, &accepted); err != nil || accepted.ID == "" {
		return "", fmt.Errorf("accepted without an ID: %s", a.Body)
	}
	return accepted.ID, nil
}

// failedError says that an image has failed.
type failedError struct {
	n       int
	id, why string
}

func (e *failedError) Error() string {
	return fmt.Sprintf("upload %d (%s) is failed: %s", e.n, e.id, e.why)
}

// follow waits until an image is finished, downloads it and checks it.
func (u *user) follow(ctx context.Context, n int, id string) error {
	for {
		a, err := u.call(ctx, http.MethodGet, "/image/isReady?wait="+u.wait.String()+"&id="+id, nil, http.StatusOK)
		if err != nil {
			return fmt.Errorf("upload %d: %w", n, err)
		}
		var st struct{ State, Error string }
		if err := json.Unmarshal(a.Body, &st); err != nil {
			return fmt.Errorf("status of upload %d: %w", n, err)
		}
		if st.State == "finished" {
			break
		}
		if st.State == "failed" {
			return &failedError{n, id, st.Error}
		}
		if st.State != "in progress" {
			return fmt.Errorf("upload %d (%s) is %q: %s", n, id, st.State, st.Error)
		}
	}
	a, err := u.call(ctx, http.MethodGet, "/image/get?id="+id, nil, http.StatusOK)
	if err != nil {
		return fmt.Errorf("upload %d: %w", n, err)
	}
	return checkPicture(n, a.Body)
}

// whole is one upload, followed to its end.
func (u *user) whole(ctx context.Context, n int, body []byte) error {
	id, err := u.upload(ctx, body)
	if err != nil {
		return fmt.Errorf("upload %d: %w", n, err)
	}
	return u.follow(ctx, n, id)
}
