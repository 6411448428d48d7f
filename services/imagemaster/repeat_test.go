package imagemaster_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/discovery"
	"imagemill/services/imagemaster"
	"imagemill/services/taskdb"
)

// fixed is a registry of one taskdb that stays where it is.
type fixed struct{ url string }

func (fixed) Announce(ctx context.Context, _ discovery.Instance, _ func()) error {
	<-ctx.Done()
	return nil
}

func (f fixed) Watch(ctx context.Context, service string) <-chan []discovery.Instance {
	sets := make(chan []discovery.Instance, 1)
	sets <- []discovery.Instance{{ID: "t-1", Service: service, URL: f.url}}
	context.AfterFunc(ctx, func() { close(sets) })
	return sets
}

// A taskdb is killed when it has recorded a task, before it answers; what the transport
// sends then is refused. The upload that the client repeats has its original.
func TestAnUploadWhoseRepeatIsRefusedKeepsItsOriginal(t *testing.T) {
	for kind, refusal := range map[fault.Kind]string{
		fault.StorageFull: "the disk is full", fault.Overloaded: "too many writes wait", fault.Invalid: "an older taskdb does not know this",
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t, nil)
			var calls atomic.Int64
			store := &tasks{Store: w.tasks.Store, create: func(ctx context.Context, n taskdb.NewTask) (taskdb.Task, error) {
				if calls.Load() == 2 {
					return taskdb.Task{}, fault.New(kind, refusal)
				}
				return w.tasks.Store.Create(ctx, n)
			}}
			cfg := tasksConfig()
			cfg.Timeout = time.Minute
			db, err := taskdb.New(cfg, taskdb.Deps{Log: testDeps(nil, nil, nil).Log, Store: store, Instance: "t-1"})
			require.NoError(t, err)
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/records" && calls.Add(1) == 1 {
					db.Handler().ServeHTTP(httptest.NewRecorder(), r)
					panic(http.ErrAbortHandler)
				}
				db.Handler().ServeHTTP(rw, r)
			}))
			t.Cleanup(server.Close)
			client := overTransport(t, server.URL)
			deps := testDeps(client, w.blobs, w.bus)
			deps.Records = taskdb.NewTogether(client)
			w.Service = newService(t, testConfig(), deps)
			u := upload("original")
			u.IdempotencyKey = "key"
			_, err = w.NewImage(t.Context(), u)
			require.Equal(t, kind, fault.KindOf(err), "%v", err)
			u = upload("original")
			u.IdempotencyKey = "key"
			acc, err := w.NewImage(t.Context(), u)
			require.NoError(t, err)
			require.EqualValues(t, 3, calls.Load())
			require.True(t, w.has(t, imagemaster.OriginalRef(acc.ID)))
		})
	}
}

// overTransport is a client of a taskdb, by a transport as the services have it.
func overTransport(t *testing.T, url string) *taskdb.Client {
	t.Helper()
	tr := discovery.NewTransport(fixed{url}, discovery.TransportConfig{Services: []string{"taskdb"}}, discovery.TransportDeps{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = tr.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	require.Eventually(t, func() bool { return tr.Ready("taskdb") }, patience, tick)
	return taskdb.NewClient("http://taskdb", &http.Client{Transport: tr})
}
