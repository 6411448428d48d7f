package replication

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"imagemill/internal/fault"
	"imagemill/pkg/discovery"
	"imagemill/services/storage"
)

// Headers of the routes between nodes.
const (
	headerEpoch     = "Replication-Epoch"     // whose log it is
	headerNext      = "Replication-Next"      // the number to go on from
	headerEnd       = "Replication-End"       // the number after the last line there is
	headerForgotten = "Replication-Forgotten" // the highest number of a forgotten deletion
	headerSeen      = "Replication-Seen"      // how far the answering node has followed the asker
	headerStamp     = "Replication-Stamp"     // of a blob, or the answering node's clock
)

// peer is another node.
type peer struct {
	in   discovery.Instance
	http *http.Client
	life context.Context // until it leaves
	stop context.CancelFunc
	left atomic.Bool // it has withdrawn
	met  atomic.Bool // what it deleted, and has forgotten, is gone here too

	epoch atomic.Pointer[string] // nil until it is known
	// ahead is the line up to which deletions were followed while there was no room
	// for blobs.
	ahead int64
}

// identity gives the identity of the peer's store, "" while it is not known.
func (p *peer) identity() string {
	if e := p.epoch.Load(); e != nil {
		return *e
	}
	return ""
}

// batch is a piece of another node's log.
type batch struct {
	epoch                             string
	next, end, forgotten, seen, clock int64
	records                           []record
}

// log reads the peer's log from a number on, and so says that all below it is
// durable here. With an epoch that is not the peer's it gives no lines.
func (p *peer) log(ctx context.Context, me, epoch string, from int64, limit int, wait time.Duration) (batch, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+answerTimeout)
	defer cancel()
	q := url.Values{
		"me": {me}, "epoch": {epoch}, "from": {strconv.FormatInt(from, 10)}, "limit": {strconv.Itoa(limit)}, "wait": {wait.String()},
	}
	resp, err := p.call(ctx, http.MethodGet, "/replication/log?"+q.Encode())
	if err != nil {
		return batch{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	b := batch{epoch: resp.Header.Get(headerEpoch)}
	for name, field := range map[string]*int64{
		headerNext: &b.next, headerEnd: &b.end, headerForgotten: &b.forgotten, headerSeen: &b.seen, headerStamp: &b.clock,
	} {
		if *field, err = strconv.ParseInt(resp.Header.Get(name), 10, 64); err != nil {
			return batch{}, fmt.Errorf("read log of %s: %s: %w", p.in.ID, name, err)
		}
	}
	if b.epoch == "" {
		return batch{}, fmt.Errorf("read log of %s: it does not say whose it is", p.in.ID)
	}
	lines := bufio.NewScanner(io.LimitReader(resp.Body, int64(limit+1)*maxLine))
	lines.Buffer(make([]byte, maxLine), maxLine)
	for lines.Scan() {
		r, err := parseRecord(lines.Bytes())
		if err != nil {
			return batch{}, fmt.Errorf("read log of %s: %w", p.in.ID, err)
		}
		b.records = append(b.records, r)
	}
	return b, lines.Err()
}

// stat asks whether the peer itself has a blob. A peer that was away for too long
// says so only to one who reconciles.
func (p *peer) stat(ctx context.Context, ref storage.Ref, reconcile bool) (storage.Info, error) {
	path := blobPath(ref)
	if reconcile {
		path += "?reconcile=true"
	}
	resp, err := p.call(ctx, http.MethodHead, path)
	if err != nil {
		return storage.Info{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // there is none
	modified, _ := http.ParseTime(resp.Header.Get("Last-Modified"))
	return storage.Info{Key: ref.Key, Size: resp.ContentLength, SHA256: strings.Trim(resp.Header.Get("ETag"), `"`), Modified: modified}, nil
}

// get opens a blob that the peer itself has. Unless checked, its bytes may differ
// from its digest.
func (p *peer) get(ctx context.Context, ref storage.Ref, checked bool) (storage.Object, int64, error) {
	path := blobPath(ref)
	if checked {
		path += "?check=true"
	}
	resp, err := p.call(ctx, http.MethodGet, path)
	if err != nil {
		return storage.Object{}, 0, err
	}
	stamp, err := strconv.ParseInt(resp.Header.Get(headerStamp), 10, 64)
	if err != nil {
		return storage.Object{}, 0, errors.Join(fmt.Errorf("read stamp: %w", err), resp.Body.Close())
	}
	obj, err := storage.ObjectFromResponse(resp)
	obj.Key = ref.Key
	return obj, stamp, err
}

func blobPath(ref storage.Ref) string {
	return "/replication/blobs/" + string(ref.State) + "/" + ref.Key
}

func (p *peer) call(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.in.URL+path, nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "another storage node cannot be reached", fmt.Errorf("%s: %w", p.in.ID, err))
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		defer resp.Body.Close() //nolint:errcheck // only read
		if resp.StatusCode == http.StatusNotFound && resp.Header.Get(headerEpoch) == "" {
			// The route is not known there: a node of an earlier version.
			return nil, fault.Newf(fault.Unavailable, "the storage node %s does not copy blobs", p.in.ID)
		}
		if method == http.MethodHead && resp.StatusCode == http.StatusNotFound {
			return nil, fault.New(fault.NotFound, "")
		}
		return nil, fault.FromResponse(resp)
	}
	return resp, nil
}
