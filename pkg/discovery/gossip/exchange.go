package gossip

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/hashicorp/serf/serf"
)

// settingsPath is where members serve their settings to each other.
const settingsPath = "/settings"

// maxBody bounds a document with its version on its way.
const maxBody = MaxDocument + 4096

// serve answers the other members' questions for settings, on the gossip port.
//
//	GET /settings?member=&generation=&origin=&digest=
//
// The member says what it has; the answer is the document, or 204 if that does not
// win. It may be repeated.
func (a *agent) serve(ctx context.Context) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+settingsPath, a.getSettings)
	srv := &http.Server{
		Handler: mux, ErrorLog: a.rare.serfLogger(), MaxHeaderBytes: 8 << 10,
		ReadTimeout: a.cfg.CallTimeout, WriteTimeout: a.cfg.CallTimeout, IdleTimeout: a.cfg.CallTimeout,
	}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	var ln net.Listener = a.wire
	if a.tls != nil {
		ln = tls.NewListener(ln, a.tls)
	}
	if err := srv.Serve(ln); ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
		a.log.Warn("settings are not served any more", "error", err)
	}
}

func (a *agent) getSettings(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	generation, err := strconv.ParseUint(q.Get("generation"), 10, 64)
	have := version{generation, q.Get("origin"), q.Get("digest")}
	member := q.Get("member")
	if err != nil || have.check() != nil || len(member) > maxName {
		http.Error(w, "malformed version or member", http.StatusBadRequest)
		return
	}
	a.ledger.note(member, have)
	doc := a.settings.current()
	if c := doc.compare(have); c <= 0 {
		if c < 0 {
			signal(a.ask) // the asker knows more
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// Who does not get it all asks again.
	_ = json.NewEncoder(w).Encode(doc)
}

// client makes the client for the other members. A connection serves one call:
// which members are asked is a matter of chance.
func (a *agent) client() *http.Client {
	return &http.Client{
		Timeout: a.cfg.CallTimeout,
		Transport: &http.Transport{
			DialContext: a.wire.dialSettings, TLSClientConfig: a.tls, DisableKeepAlives: true,
			MaxResponseHeaderBytes: 8 << 10,
		},
	}
}

// pull gets a member's document if it wins over ours, else nil.
func (a *agent) pull(ctx context.Context, m serf.Member) (*document, error) {
	have := a.settings.current().version
	q := url.Values{
		"member": {a.name}, "generation": {strconv.FormatUint(have.Generation, 10)}, "origin": {have.Origin}, "digest": {have.Digest},
	}
	scheme := "http"
	if a.tls != nil {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address(m)+settingsPath+"?"+q.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask for settings: %w", err)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for settings: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusNoContent:
		return nil, nil
	case http.StatusOK:
	default:
		return nil, fmt.Errorf("ask for settings: %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("ask for settings: %w", err)
	}
	return parse(text)
}
