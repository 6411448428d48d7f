package kvstore

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"imagemill/pkg/discovery/consultest"
)

// side is one of the two stores that are compared: a real Consul, or this one.
type side struct {
	t    testing.TB
	url  string
	http *http.Client
	api  *api.Client
	// vars are what {name} in a step stands for.
	vars map[string]string
	mu   sync.Mutex // guards vars
}

// bothSides starts the two, each with a node of the same name.
func bothSides(t testing.TB) (real, own *side) {
	t.Helper()
	agent := consultest.Start(t)
	cfg := MemConfig()
	cfg.NodeName = consultest.NodeName
	r := start(t, cfg)
	// The real one has had a session already, to see whether it is ready.
	_, err := r.client.Session().Destroy(r.session("", ""), nil)
	require.NoError(t, err)
	return newSide(t, agent.URL), newSide(t, r.url)
}

func newSide(t testing.TB, url string) *side {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	s := &side{t: t, url: url, vars: map[string]string{}, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	var err error
	s.api, err = api.NewClient(&api.Config{Address: url, HttpClient: &http.Client{Transport: transport}})
	require.NoError(t, err)
	return s
}

// step is one call of the table. In target and body, {name} stands for the ID
// that an earlier step kept under that name, {index} for the last index that was
// reported, and {key:k} for the last ModifyIndex of k that was shown.
type step struct {
	method, target, body string
	header               string // "Name: value"
	// keep names the session ID in the answer.
	keep string
	// chunked sends the body without its length.
	chunked bool
	// while is carried out while this call waits.
	while []step
	// differs says why the answers may differ, by intent.
	differs string
}

func (s step) name() string {
	body := s.body
	if len(body) > 60 {
		body = fmt.Sprintf("%d bytes", len(body))
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", s.method, s.target, s.header, body))
}

// answer is what a call was answered with, as far as a client can see it.
type answer struct {
	call   string
	status int
	header string
	body   string
	// waited reports whether a call with an index lasted until its time was up.
	waited  bool
	differs string
}

func (a answer) String() string {
	return fmt.Sprintf("\n\t%d waited=%t\n\t%s\n\t%s", a.status, a.waited, a.header, a.body)
}

// seenHeaders gives those that a client of Consul can tell from.
func seenHeaders() []string {
	return []string{
		"Allow", "Content-Encoding", "Content-Security-Policy", "Content-Type", "Location", "Vary",
		"X-Consul-Default-Acl-Policy", "X-Consul-Effective-Consistency", "X-Consul-Index",
		"X-Consul-Knownleader", "X-Consul-Lastcontact", "X-Consul-Query-Backend", "X-Consul-Reason",
		"X-Consul-Results-Filtered-By-Acls", "X-Content-Type-Options",
	}
}

var placeholder = regexp.MustCompile(`\{[a-z][a-z0-9:/-]*\}`)

func (s *side) fill(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return placeholder.ReplaceAllStringFunc(text, func(name string) string {
		value, ok := s.vars[name[1:len(name)-1]]
		if !ok {
			s.t.Errorf("nothing is kept under %s", name)
		}
		return value
	})
}

// replay carries out the steps in order and gives all answers.
func (s *side) replay(steps []step) (answers []answer) {
	for _, st := range steps {
		begun := make(chan struct{})
		done := make(chan answer, 1)
		go func() { done <- s.call(st, begun) }()
		<-begun
		var others []answer
		if len(st.while) > 0 {
			s.settle()
			others = s.replay(st.while)
		}
		answers = append(append(answers, <-done), others...)
	}
	return answers
}

// settle gives a request that was just sent the time to be parked: neither store
// says when it is, so a few others go there and back.
func (s *side) settle() {
	for range 20 {
		s.call(get("/v1/status/leader"), make(chan struct{}))
	}
}

func (s *side) call(st step, begun chan<- struct{}) answer {
	target, body := s.fill(st.target), io.Reader(strings.NewReader(s.fill(st.body)))
	if st.chunked {
		body = io.MultiReader(body)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), st.method, s.url+target, body)
	if err != nil {
		close(begun)
		s.t.Errorf("%s: %v", st.name(), err)
		return answer{call: st.name()}
	}
	if name, value, ok := strings.Cut(st.header, ": "); ok {
		req.Header.Set(name, value)
	}
	var once sync.Once
	sent := func() { once.Do(func() { close(begun) }) }
	defer sent()
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { sent() },
	}))
	at := time.Now()
	resp, err := s.http.Do(req)
	if err != nil && st.differs != "" {
		return answer{call: st.name(), body: "no answer", differs: st.differs}
	}
	if err != nil {
		s.t.Errorf("%s: %v", st.name(), err)
		return answer{call: st.name()}
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Errorf("%s: %v", st.name(), err)
	}
	a := answer{call: st.name(), status: resp.StatusCode, body: plain(raw, resp.Header), differs: st.differs}
	if wait, err := time.ParseDuration(req.URL.Query().Get("wait")); err == nil && req.URL.Query().Get("index") != "" {
		a.waited = time.Since(at) >= wait
	}
	for _, name := range seenHeaders() {
		for _, value := range resp.Header.Values(name) {
			a.header += name + ": " + value + "; "
		}
	}
	a.body = byAge(goTypes.ReplaceAllString(a.body, "$1"))
	s.remember(st, resp.Header, []byte(a.body))
	return a
}

// goTypes are package names in the messages of encoding/json.
var goTypes = regexp.MustCompile(`\b(?:structs|kvstore)(\.Alias)`)

// byAge orders sessions as they were made: both stores order them by their ID,
// which is random.
func byAge(body string) string {
	var sessions []json.RawMessage
	if !strings.HasPrefix(body, `[{"ID":`) || json.Unmarshal([]byte(body), &sessions) != nil {
		return body
	}
	age := func(raw json.RawMessage) uint64 {
		var s Session
		_ = json.Unmarshal(raw, &s)
		return s.CreateIndex
	}
	slices.SortFunc(sessions, func(a, b json.RawMessage) int { return cmp.Compare(age(a), age(b)) })
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(sessions)
	return strings.TrimSpace(out.String())
}

// plain undoes compression and the development agent's indentation.
func plain(raw []byte, h http.Header) string {
	if h.Get("Content-Encoding") == "gzip" {
		if zr, err := gzip.NewReader(bytes.NewReader(raw)); err == nil {
			raw, _ = io.ReadAll(zr)
		}
	}
	var compact bytes.Buffer
	if h.Get("Content-Type") == "application/json" && json.Compact(&compact, raw) == nil {
		return compact.String()
	}
	return string(raw)
}

// remember keeps what later steps may refer to.
func (s *side) remember(st step, h http.Header, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ix := h.Get("X-Consul-Index"); ix != "" {
		s.vars["index"] = ix
	}
	var entries []Entry
	if json.Unmarshal(body, &entries) == nil {
		for _, e := range entries {
			s.vars["key:"+e.Key] = strconv.FormatUint(e.ModifyIndex, 10)
		}
	}
	var made struct{ ID string }
	if st.keep != "" && json.Unmarshal(body, &made) == nil {
		s.vars[st.keep] = made.ID
	}
}

// The two stores give other IDs and indexes, but must give them in the same
// order and equal in the same places. So each is replaced by its rank among all
// that its store has shown.
var (
	indexPattern = regexp.MustCompile(`((?:Create|Modify)Index"?:? *|X-Consul-Index: |modify[- ]index[= ]|Index: ?)(\d+)`)
	uuidPattern  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

// ranked gives the answers with ranks in place of indexes and IDs. What differs
// by intent does not count among the rest.
func ranked(answers []answer) []string {
	var all []uint64
	for _, a := range answers {
		if a.differs != "" {
			continue
		}
		for _, m := range indexPattern.FindAllStringSubmatch(a.String(), -1) {
			n, _ := strconv.ParseUint(m[2], 10, 64)
			if n > 1 { // 0 and 1 are no positions of a write
				all = append(all, n)
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	ids := map[string]string{}
	out := make([]string, len(answers))
	for i, a := range answers {
		text := indexPattern.ReplaceAllStringFunc(a.String(), func(found string) string {
			m := indexPattern.FindStringSubmatch(found)
			n, _ := strconv.ParseUint(m[2], 10, 64)
			if n <= 1 {
				return found
			}
			rank, _ := slices.BinarySearch(all, n)
			return fmt.Sprintf("%s#%d", m[1], rank)
		})
		out[i] = uuidPattern.ReplaceAllStringFunc(text, func(id string) string {
			if ids[id] == "" {
				ids[id] = fmt.Sprintf("id%d", len(ids))
			}
			return ids[id]
		})
	}
	return out
}

// compare replays the steps on both sides and reports each answer that differs
// without a reason, and each that does not differ though a reason is given.
func compare(t *testing.T, real, own *side, steps []step) {
	t.Helper()
	wants, gots := real.replay(steps), own.replay(steps)
	require.Len(t, gots, len(wants))
	want, got := ranked(wants), ranked(gots)
	for i := range want {
		switch same, reason := want[i] == got[i], wants[i].differs; {
		case !same && reason == "":
			t.Errorf("%s\nConsul:  %s\nkvstore: %s", wants[i].call, want[i], got[i])
		case same && reason != "":
			t.Errorf("%s\nno longer differs (%s): %s", wants[i].call, reason, want[i])
		}
	}
	t.Logf("%d calls compared", len(want))
}
