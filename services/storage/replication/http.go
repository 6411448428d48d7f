package replication

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"imagemill/internal/fault"
	"imagemill/services/storage"
)

const (
	// maxLines bounds one answer of the log, maxWait the wait for it.
	maxLines = 1000
	maxWait  = time.Minute
	// answerTimeout is how long a node may take beside the wait it was asked for.
	answerTimeout = 10 * time.Second
)

// Routes adds the routes for other nodes. All of them may be repeated.
func (n *Node) Routes(e *echo.Echo) {
	e.GET("/replication/log", n.serveLog)
	e.GET("/replication/blobs/:state/:key", n.serveBlob)
	e.HEAD("/replication/blobs/:state/:key", n.serveBlob)
}

// serveLog answers with lines from a number on. The asker says by that number that
// all before it is durable on its side.
func (n *Node) serveLog(c echo.Context) error {
	from, err := strconv.ParseInt(c.QueryParam("from"), 10, 64)
	if err != nil || from < 0 {
		return fault.New(fault.Invalid, "from is a number of the log, 0 or more").WithField("from")
	}
	limit, err := strconv.Atoi(c.QueryParam("limit"))
	if err != nil || limit < 1 || limit > maxLines {
		return fault.Newf(fault.Invalid, "limit is 1 to %d", maxLines).WithField("limit")
	}
	wait, err := time.ParseDuration(c.QueryParam("wait"))
	if err != nil || wait < 0 || wait > maxWait {
		return fault.Newf(fault.Invalid, "wait is a duration of 0s to %s", maxWait).WithField("wait")
	}
	me, mine := c.QueryParam("me"), c.QueryParam("epoch") == n.log.epoch
	select {
	case <-n.compared:
	default:
		return fault.New(fault.Unavailable, stillComparing).WithRetryAfter(time.Second)
	}
	if mine && me != "" && n.behind() {
		return fault.New(fault.Unavailable, stillBehind).WithRetryAfter(time.Second)
	}
	var found []record
	next := from
	if mine {
		if end, _, _ := n.log.bounds(); me != "" && me != n.log.epoch && from <= end {
			n.acks.set(me, from)
		}
		if found, next, err = n.await(c.Request().Context(), from, limit, wait); err != nil {
			return err
		}
	}
	end, forgotten, _ := n.log.bounds()
	h := c.Response().Header()
	h.Set(headerEpoch, n.log.epoch)
	for name, v := range map[string]int64{
		headerNext: next, headerEnd: end, headerForgotten: forgotten, headerSeen: n.memory.position(me), headerStamp: n.clock.now(),
	} {
		h.Set(name, strconv.FormatInt(v, 10))
	}
	var body []byte
	for _, r := range found {
		body = r.appendTo(body)
	}
	return c.Blob(http.StatusOK, "text/plain; charset=utf-8", body)
}

// await reads lines, waiting for the first as long as it may. A node that is about
// to stop still answers, as the Puts it has in hand end only when others have
// copied them and said so, but nobody waits here for long.
func (n *Node) await(ctx context.Context, from int64, limit int, wait time.Duration) ([]record, int64, error) {
	stopping := n.stopping
	if n.draining() {
		wait, stopping = min(wait, minPause), nil
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	for {
		_, _, changed := n.log.bounds()
		found, next, err := n.log.read(from, limit)
		if err != nil || len(found) > 0 || from > next {
			return found, next, err
		}
		select {
		case <-changed:
		case <-late.C:
			return nil, next, nil
		case <-stopping:
			return nil, next, nil
		case <-ctx.Done():
			return nil, from, ctx.Err()
		}
	}
}

const stillBehind = "this storage node was away for longer than deletions are remembered, and is still catching up with them"

// serveBlob gives what this node itself has, and asks nobody else.
func (n *Node) serveBlob(c echo.Context) error {
	ref := storage.Ref{State: storage.State(c.Param("state")), Key: c.Param("key")}
	h := c.Response().Header()
	h.Set(headerEpoch, n.log.epoch)
	ctx := c.Request().Context()
	if err := ref.Validate(); err != nil {
		return err
	}
	if c.QueryParam("reconcile") != "true" && n.behind() {
		return fault.New(fault.Unavailable, stillBehind).WithRetryAfter(time.Second)
	}
	if n.memory.isLost(ref) {
		// A conflict, as the damage was told of when it was found.
		return fault.Newf(fault.Conflict, "the blob %s in %s is damaged here", ref.Key, ref.State)
	}
	if c.QueryParam("check") == "true" {
		if err := n.local.Verify(ctx, ref, nil); err != nil {
			n.suspect(ref, err)
			return err
		}
	}
	if c.Request().Method == http.MethodHead {
		held, err := n.local.Held(ctx, ref)
		if err != nil {
			n.suspect(ref, err)
			return err
		}
		describe(h, held.Info, held.Stamp)
		h.Set("Content-Length", strconv.FormatInt(held.Size, 10))
		return c.NoContent(http.StatusOK)
	}
	obj, stamp, err := n.local.GetStamped(ctx, ref)
	if err != nil {
		n.suspect(ref, err)
		return err
	}
	describe(h, obj.Info, stamp)
	obj.Body = n.watch(obj.Body, ref) // so that the asker, who asks again, is told
	return n.sender.Send(c, obj, false)
}

func describe(h http.Header, info storage.Info, stamp int64) {
	h.Set("Content-Type", "application/octet-stream")
	h.Set("ETag", `"`+info.SHA256+`"`)
	h.Set("Last-Modified", info.Modified.UTC().Format(http.TimeFormat))
	h.Set(headerStamp, strconv.FormatInt(stamp, 10))
}
