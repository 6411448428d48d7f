// Package imagemastertest is the suite that every imagemaster.Master passes:
// the service itself, and its client over HTTP.
//
// A case brings nothing but calls of the contract; what a master leans on comes
// from [Env], so that a case can look at what lies behind.
package imagemastertest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/events"
	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// Env is what the master under test leans on.
type Env struct {
	Tasks  *taskdb.Memory
	Blobs  *storage.Mem
	Events *events.Memory
}

// Open makes the master under test upon env.
type Open func(t *testing.T, env Env) imagemaster.Master

// Document is a pipeline of two renditions, "a" and "b".
const Document = `{"version":1,"renditions":[{"name":"a","format":"png"},{"name":"b","format":"jpeg"}]}`

// patience bounds every wait; none comes near it.
const patience = time.Minute

// bench is one master with what lies behind it.
type bench struct {
	imagemaster.Master
	Env
}

// Run runs all cases, each upon a master of its own.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, *bench){
		"an upload is stored and recorded":       uploads,
		"a wrong upload leaves nothing":          wrongUploads,
		"an upload that breaks leaves nothing":   brokenUpload,
		"a repeat under a key is the same image": repeats,
		"repeats under a key at once":            repeatsAtOnce,
		"work goes to its end":                   worksToTheEnd,
		"a lost attempt is refused":              lostAttempt,
		"results come together":                  resultsTogether,
		"failures reach the user":                failures,
		"work given back can be had again":       released,
		"work is left to who can do it":          leftToOthers,
		"reports are checked":                    wrongReports,
		"pictures by state":                      gets,
		"ranges":                                 ranges,
		"images are kept as long as they bring":  expiries,
		"deleted images leave nothing":           deletes,
		"an image is deleted while it is worked": deletesAtWork,
		"IsReady wakes at the end of the work":   isReadyWakes,
		"IsReady ends with its wait":             isReadyEnds,
		"GetWork wakes when an image comes":      getWorkWakes,
		"GetWork refuses what it cannot answer":  wrongClaims,
		"a caller that leaves ends its own wait": leaves,
		"an upload says how its work waits":      queues,
		"owners look after their images":         cares,
	} {
		t.Run(name, func(t *testing.T) {
			bus := events.NewMemory()
			cfg := taskdb.DefaultConfig()
			cfg.Lease = time.Hour // no case is about one that runs out
			env := Env{
				Tasks: taskdb.NewMemory(cfg, taskdb.MemoryDeps{Events: bus}),
				Blobs: storage.NewMem(), Events: bus,
			}
			test(t, &bench{Master: open(t, env), Env: env})
		})
	}
}

// take uploads body and gives the image's ID.
func (b *bench) take(t *testing.T, body string) string {
	t.Helper()
	acc, err := b.NewImage(t.Context(), imagemaster.Upload{
		Pipeline: json.RawMessage(Document), ContentType: "image/png", Size: int64(len(body)), Body: strings.NewReader(body),
	})
	require.NoError(t, err)
	return acc.ID
}

// claim gets exactly one task for a worker.
func (b *bench) claim(t *testing.T, worker string) imagemaster.Work {
	t.Helper()
	work, err := b.GetWork(t.Context(), imagemaster.WorkRequest{Worker: worker, Max: 1})
	require.NoError(t, err)
	require.Len(t, work, 1)
	return work[0]
}

// store puts both renditions of an attempt and gives its report.
func (b *bench) store(t *testing.T, w imagemaster.Work) imagemaster.FinishedWork {
	t.Helper()
	done := imagemaster.FinishedWork{ID: w.ID, Result: taskdb.Result{
		Attempt: w.Attempt, Worker: "w", Engine: "none", Width: 4, Height: 3, Format: "png",
		Facts: &taskdb.Facts{EXIF: map[string]string{"Make": "Camera"}, Colors: []string{"#cc1122"}, BlurHash: "L00000", PHash: "00ff00ff00ff00ff"},
	}}
	for _, name := range []string{"a", "b"} {
		body := "rendition " + name
		ref := imagemaster.RenditionRef(w.ID, w.Attempt, name)
		info, err := b.Blobs.Put(t.Context(), ref, strings.NewReader(body), storage.PutOptions{Size: int64(len(body))})
		require.NoError(t, err)
		done.Result.Renditions = append(done.Result.Renditions, taskdb.Rendition{
			Name: name, Format: "png", Width: 2, Height: 1,
			Blob: taskdb.Blob{Key: ref.Key, Size: info.Size, SHA256: info.SHA256, ContentType: "image/png"},
		})
	}
	return done
}

// finished gives an image that has come to its end.
func (b *bench) finished(t *testing.T) string {
	t.Helper()
	id := b.take(t, "original")
	require.NoError(t, b.WorkFinished(t.Context(), b.store(t, b.claim(t, "w"))))
	return id
}

// blobs counts what is stored.
func (b *bench) blobs(t *testing.T) int {
	t.Helper()
	n := 0
	for _, state := range []storage.State{storage.InProgress, storage.Finished} {
		page, err := b.Blobs.List(t.Context(), state, "", 0)
		require.NoError(t, err)
		n += len(page.Blobs)
	}
	return n
}

func requireKind(t *testing.T, want fault.Kind, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, fault.KindOf(err), err.Error())
}

// within runs call in the background and gives its answer's channel.
func within[T any](call func() (T, error)) <-chan answer[T] {
	ch := make(chan answer[T], 1)
	go func() {
		v, err := call()
		ch <- answer[T]{v, err}
	}()
	return ch
}

type answer[T any] struct {
	v   T
	err error
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("not reached")
	}
}

// errSource is how a source of these cases breaks.
var errSource = errors.New("the client hung up")

type broken struct{ r io.Reader }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = errSource
	}
	return n, err
}

func canceled(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}
