package discovery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
)

// heldBody is how much is kept of the body of a 502 or 503 while another instance
// is tried; such bodies are short.
const heldBody = 64 << 10

// again judges an attempt: it tells whether another is to be made, and has then
// made the body ready for it and dropped the response. It also keeps the member's
// record.
func (c *call) again(m *member, resp *http.Response, err error, steps *trail) bool {
	switch {
	case err != nil:
		return c.afterError(m, err, steps)
	case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get(NotCarriedOutHeader) != "":
		return c.afterRefusal(m, resp)
	case resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusBadGateway:
		return c.afterUnavailable(m, resp)
	}
	m.worked()
	return false
}

// afterError: no response. Nothing is held against the instance if the caller
// left, the caller's body failed, or the request was not fit to be sent.
func (c *call) afterError(m *member, err error, steps *trail) bool {
	if c.req.Context().Err() != nil || c.bodyFailed() || steps.unfit(m.rt) {
		return false
	}
	c.last = err
	if gaveUp := (*givenUp)(nil); errors.As(err, &gaveUp) {
		return c.afterGivingUp(m, gaveUp)
	}
	stranger := errors.Is(err, ErrStranger)
	unreached := stranger || steps.neverReached(err)
	if unreached && !stranger && steps.reused.Load() && c.stale < maxStale {
		c.stale++ // an old connection had ended; the instance is not to blame
		return c.rewind()
	}
	m.failed(err)
	c.tried = append(c.tried, m)
	if unreached {
		return c.rewind()
	}
	if !c.idempotent() || c.broken == maxBroken {
		return false
	}
	c.broken++
	return c.rewind()
}

// afterGivingUp: the body is ready already. That a silent instance is set aside
// has been seen to; a slow answer counts as a failure, and as one of the few times
// that a request is repeated after it may have been carried out.
func (c *call) afterGivingUp(m *member, gaveUp *givenUp) bool {
	c.tried = append(c.tried, m)
	if errors.Is(gaveUp, errTooLong) {
		m.failed(gaveUp)
		c.broken++
	}
	return true
}

// afterRefusal: a server that is about to stop, and has done nothing.
func (c *call) afterRefusal(m *member, resp *http.Response) bool {
	m.failed(errNotCarriedOut)
	c.last = errNotCarriedOut
	c.tried = append(c.tried, m)
	if !c.rewind() {
		return false
	}
	_ = resp.Body.Close()
	return true
}

// afterUnavailable: the server said no, for reasons of its own. Another may say
// yes; if not, this is the answer. Its body is read first, because the connection
// may be cut together with the request's body.
func (c *call) afterUnavailable(m *member, resp *http.Response) bool {
	m.failed(errors.New(resp.Status))
	c.tried = append(c.tried, m)
	if !c.idempotent() || c.p.view.Load().others(c.tried) == 0 {
		return false
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, heldBody+1))
	if err != nil || len(body) > heldBody {
		rest := resp.Body
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), rest), rest}
		return false
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	c.held = resp
	return c.rewind()
}

// others counts the members that have not been tried.
func (v *view) others(tried []*member) int {
	n := 0
	for _, m := range v.members {
		if !slices.Contains(tried, m) {
			n++
		}
	}
	return n
}

// bodyFailed tells whether it was the request's own body that broke off: that
// says nothing about the instance.
func (c *call) bodyFailed() bool { return c.body != nil && c.body.failure() != nil }

// rewind makes the body ready to be sent again, if it can be.
func (c *call) rewind() bool {
	if c.body == nil {
		return true
	}
	next := c.body.rewind()
	if next == nil {
		return false
	}
	c.body = next
	return true
}

// idempotent tells whether carrying the request out twice does no harm.
func (c *call) idempotent() bool {
	switch c.req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return c.req.Header.Get(IdempotencyHeader) != ""
}

// answerBody is a response's body that tells its member when it has ended.
type answerBody struct {
	io.ReadCloser
	ctx   context.Context
	a     *attempt
	ended atomic.Bool
}

// switchedBody is the body of a 101 response, which is written to as well.
type switchedBody struct {
	*answerBody
	io.Writer
}

func countBody(ctx context.Context, a *attempt, body io.ReadCloser) io.ReadCloser {
	if body == http.NoBody {
		a.m.outstanding.Add(-1)
		a.release()
		return body
	}
	counted := &answerBody{ReadCloser: body, ctx: ctx, a: a}
	if w, ok := body.(io.Writer); ok {
		return switchedBody{counted, w}
	}
	return counted
}

// Read passes on, and holds it against the member if the body breaks off.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case err == io.EOF:
		b.end()
	case !b.ended.Load() && b.ctx.Err() == nil:
		b.a.m.failed(err)
	}
	return n, err
}

// Close ends the response for the member, once.
func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

func (b *answerBody) end() {
	if !b.ended.Swap(true) {
		b.a.m.outstanding.Add(-1)
		b.a.release()
	}
}
