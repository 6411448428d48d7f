package e2e_test

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/e2e"
)

// one is a frontend by its address.
type one string

func (o one) URL() string { return string(o) }

// answered is a call that was made in the background.
type answered struct {
	e2e.Answer
	err error
}

// A service that is asked to end answers what it has in hand: an upload whose
// body is still on its way, and a call that waits, which gets what is known.
// Nobody has to repeat anything.
func TestStopAnswersWhatIsInHand(t *testing.T) {
	for _, service := range []string{"frontend", "imagemaster", "storage"} {
		t.Run(service, func(t *testing.T) { stopInHand(t, service) })
	}
}

func stopInHand(t *testing.T, service string) {
	// A call that waits for a minute is cut off, unless it is answered by the stop.
	p := calmSuite(t, "IMAGEMILL_FRONTEND_BODY_GRACE=2m", "IMAGEMILL_GRACE=50s")
	p.Start("nats", "nats")
	for _, s := range e2e.Services() {
		if s != "worker" { // so that what waits goes on waiting
			p.StartService(s, 0)
		}
	}
	p.Ready(0)
	c := e2e.NewClient(one(p.URLs()[0]))
	t.Cleanup(c.Close)
	id := c.Upload(t, picture(t, 1), "")

	waiting, uploading, sent := make(chan answered, 1), make(chan answered, 1), make(chan struct{})
	written := sync.OnceFunc(func() { close(sent) })
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { written() },
	})
	go func() {
		a, err := c.Do(ctx, http.MethodGet, "/image/isReady?wait=60s&id="+id, nil)
		written() // or never will be
		waiting <- answered{a, err}
	}()
	<-sent // before the upload, which comes through later
	body, more := io.Pipe()
	t.Cleanup(func() { _ = more.Close() })
	go func() {
		a, err := c.Do(t.Context(), http.MethodPost, "/newImage", body)
		uploading <- answered{a, err}
	}()
	photo := e2e.Photograph(t, "branches.png")
	_, err := more.Write(photo[:len(photo)/2])
	require.NoError(t, err)
	p.Eventually("the upload has come through to storage", func() bool {
		files, err := filepath.Glob(filepath.Join(p.Data("storage"), "tmp", "*"))
		return err == nil && len(files) == 1
	})

	addresses := p.Addresses(service)
	require.Len(t, addresses, len(p.Names(service)))
	for _, name := range p.Names(service) {
		p.Signal(name, syscall.SIGTERM)
	}
	p.Eventually("nobody is let in any more", func() bool {
		for _, url := range addresses {
			if p.Status(url+"/healthz") != 0 {
				return false
			}
		}
		return true
	})
	if service != "storage" { // which has nothing to do with waiting
		a := <-waiting
		require.NoError(t, a.err)
		require.Equal(t, http.StatusOK, a.Status, "body: %s", a.Body)
		require.Equal(t, "in progress", a.Text(t, "state"))
	}
	_, err = more.Write(photo[len(photo)/2:])
	require.NoError(t, err)
	require.NoError(t, more.Close())
	a := <-uploading
	require.NoError(t, a.err)
	require.Equal(t, http.StatusAccepted, a.Status, "body: %s", a.Body)
	for _, name := range p.Names(service) {
		require.Zero(t, p.Wait(name, 3*time.Minute), "exit code of %s", name)
	}
	for _, name := range p.Names(service) {
		// A withdrawal for which the machine stood still has at least been tried.
		require.Regexp(t, `"msg":"(withdrawn|withdrawal failed)`, p.Get(name).Log(), "rather than left it to its session to end")
	}
	p.Eventually("they are no longer announced", func() bool { return len(p.Addresses(service)) == 0 })
}
