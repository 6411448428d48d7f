package consul_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fake is the part of a Consul that the registry uses, and can be broken.
type fake struct {
	srv *httptest.Server

	mu       sync.Mutex
	down     bool
	index    uint64
	keys     map[string]*pair
	sessions map[string]*session
	changed  chan struct{}
	lists    int    // answered
	token    string // of the last request
	made     int    // sessions, ever
	restores int
	parked   int           // polls that wait
	cut      int           // acquires to carry out without an answer
	frozen   chan struct{} // not nil: nothing is answered until it is closed
	query    string        // of the last request
	renewals int
	conns    atomic.Int64 // ever made
	unknown  atomic.Int64 // requests for what a fake does not have
}

type pair struct {
	Key                      string
	Value                    []byte
	Session                  string `json:",omitempty"`
	CreateIndex, ModifyIndex uint64
}

type session struct {
	ID, TTL   string
	Behavior  string
	LockDelay string
	left      int // beats
	beat      *time.Timer
}

// beats is in how many parts a session's TTL goes by. A time in which this process
// stands still is one of them: nobody could have renewed the session in it.
const beats = 60

func startFake(t *testing.T) *fake {
	f := newFake()
	f.srv = httptest.NewUnstartedServer(f.handler())
	f.srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			f.conns.Add(1)
		}
	}
	f.srv.Start()
	t.Cleanup(f.close)
	return f
}

func newFake() *fake {
	return &fake{index: 10, keys: map[string]*pair{}, sessions: map[string]*session{}, changed: make(chan struct{})}
}

func (f *fake) close() {
	f.forget()
	f.outage()
	f.srv.Close()
}

func (f *fake) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { f.unknown.Add(1); http.NotFound(w, r) })
	mux.HandleFunc("GET /v1/kv/{key...}", f.get)
	mux.HandleFunc("PUT /v1/kv/{key...}", f.put)
	mux.HandleFunc("DELETE /v1/kv/{key...}", f.delete)
	mux.HandleFunc("PUT /v1/session/create", f.create)
	mux.HandleFunc("PUT /v1/session/renew/{id}", f.renew)
	mux.HandleFunc("PUT /v1/session/destroy/{id}", f.destroy)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		down := f.down
		f.token, f.query = r.Header.Get("X-Consul-Token"), r.URL.RawQuery
		frozen := f.frozen
		f.mu.Unlock()
		if frozen != nil {
			select {
			case <-frozen:
			case <-r.Context().Done():
				return
			}
		}
		if down {
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	})
}

// touch moves the index; the lock is held.
func (f *fake) touch() {
	f.index++
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fake) get(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	wait, err := time.ParseDuration(q.Get("wait"))
	if err != nil {
		wait = time.Minute
	}
	index, _ := strconv.ParseUint(q.Get("index"), 10, 64)
	timeout := time.After(wait)
	f.mu.Lock()
	defer f.mu.Unlock()
	for restores := f.restores; index > 0 && f.index <= index && f.restores == restores; {
		changed := f.changed
		f.parked++
		f.mu.Unlock()
		select {
		case <-changed:
		case <-timeout:
			index = 0
		case <-r.Context().Done():
			index = 0
		}
		f.mu.Lock()
		f.parked--
	}
	if q.Has("recurse") {
		f.lists++
	}
	found := f.find(r.PathValue("key"), q.Has("recurse"))
	w.Header().Set("X-Consul-Index", strconv.FormatUint(f.index, 10))
	if len(found) == 0 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(found)
}

func (f *fake) find(key string, recurse bool) []*pair {
	found := []*pair{}
	for k, p := range f.keys {
		if k == key || recurse && strings.HasPrefix(k, key) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b *pair) int { return strings.Compare(a.Key, b.Key) })
	return found
}

func (f *fake) put(w http.ResponseWriter, r *http.Request) {
	value, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key, owner := r.PathValue("key"), r.URL.Query().Get("acquire")
	if r.URL.Query().Has("acquire") && f.sessions[owner] == nil {
		http.Error(w, "invalid session", http.StatusInternalServerError)
		return
	}
	if old := f.keys[key]; old != nil && owner != "" && old.Session != "" && old.Session != owner {
		fmt.Fprint(w, "false")
		return
	}
	f.touch()
	f.keys[key] = &pair{Key: key, Value: value, Session: owner, CreateIndex: f.index, ModifyIndex: f.index}
	if owner != "" && f.cut > 0 {
		f.cut--
		panic(http.ErrAbortHandler)
	}
	fmt.Fprint(w, "true")
}

// freeze lets nothing be answered, and keeps the connections, as a process that is
// stopped does; what is parked already stays so too.
func (f *fake) freeze() (thaw func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	frozen := make(chan struct{})
	f.frozen = frozen
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.frozen = nil
		close(frozen)
	}
}

func (f *fake) delete(w http.ResponseWriter, r *http.Request) {
	f.remove(r.PathValue("key"))
	fmt.Fprint(w, "true")
}

func (f *fake) create(w http.ResponseWriter, r *http.Request) {
	var s session
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ttl, err := time.ParseDuration(s.TTL)
	if err != nil || s.Behavior != "delete" || s.LockDelay != "1ms" {
		http.Error(w, "unexpected session", http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	s.ID, s.left = fmt.Sprintf("session-%d", f.made), beats
	s.beat = time.AfterFunc(ttl/beats, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if s.left--; s.left <= 0 {
			f.end(s.ID)
		} else if f.sessions[s.ID] == &s {
			s.beat.Reset(ttl / beats)
		}
	})
	f.sessions[s.ID] = &s
	fmt.Fprintf(w, `{"ID":%q}`, s.ID)
}

func (f *fake) renew(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewals++
	s := f.sessions[r.PathValue("id")]
	if s == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	s.left = beats
	fmt.Fprintf(w, `[{"ID":%q,"TTL":%q}]`, s.ID, s.TTL)
}

func (f *fake) renewed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.renewals
}

func (f *fake) destroy(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end(r.PathValue("id"))
	fmt.Fprint(w, "true")
}

// end is the end of a session, with what it holds; the lock is held.
func (f *fake) end(id string) {
	s := f.sessions[id]
	if s == nil {
		return
	}
	s.beat.Stop()
	delete(f.sessions, id)
	for key, p := range f.keys {
		if p.Session == id {
			delete(f.keys, key)
			f.touch()
		}
	}
}

// forget ends all sessions.
func (f *fake) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.sessions {
		f.end(id)
	}
}

// outage refuses all, and cuts what is parked, until restored.
func (f *fake) outage() (restore func()) {
	f.setDown(true)
	f.srv.CloseClientConnections()
	return func() { f.setDown(false) }
}

func (f *fake) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *fake) remove(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, key)
	f.touch()
}

// set writes a key past all sessions.
func (f *fake) set(key, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.touch()
	f.keys[key] = &pair{Key: key, Value: []byte(value), CreateIndex: f.index, ModifyIndex: f.index}
}

// rewindIndex starts counting anew, as a registry that was replaced does; parked
// polls are answered with the lower number.
func (f *fake) rewindIndex() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restores++
	f.touch()
	f.index = 1
}

func (f *fake) look() (lists, sessions, made int, token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lists, len(f.sessions), f.made, f.token
}

// polled tells whether a poll is parked.
func (f *fake) polled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.parked > 0
}
