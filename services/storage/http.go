package storage

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"imagemill/internal/byterange"
	"imagemill/internal/fault"
	"imagemill/internal/serve"
)

// headerDigest carries the digest that a PUT announces, in lower-case hex.
const headerDigest = "X-Content-Sha256"

// A GET of a whole blob whose caller computes its digest says so with this
// header; the storage then need not.
const (
	headerCheckedBy = "X-Digest-Checked-By"
	checkedByCaller = "caller"
)

// Routes adds the service's routes. Callers are imagemasters (originals, lists,
// deletions) and workers (both directions). All of them may be repeated.
func (s *Service) Routes(e *echo.Echo) {
	e.PUT("/blobs/:state/:key", s.put)
	e.GET("/blobs/:state/:key", s.get)
	e.HEAD("/blobs/:state/:key", s.head)
	e.DELETE("/blobs/:state/:key", s.remove)
	e.GET("/blobs/:state", s.list)
	if s.more != nil {
		s.more(e)
	}
}

// number reads a parameter that is a number in a range, 0 where it is missing.
func number(c echo.Context, name, allowed string) (int, error) {
	v := c.QueryParam(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, fault.Wrap(fault.Invalid, fmt.Sprintf("%s is a number from %s", name, allowed), err).WithField(name)
	}
	return n, nil
}

func refOf(c echo.Context) Ref { return Ref{State: State(c.Param("state")), Key: c.Param("key")} }

// put stores the body and answers 201 with its Info, also where it replaced a
// blob: a caller that repeats a PUT must not see a difference.
func (s *Service) put(c echo.Context) error {
	ref, limit := refOf(c), int64(s.cfg.MaxBlob)
	if err := ref.Validate(); err != nil {
		return err
	}
	replicas, err := number(c, "replicas", fmt.Sprintf("1 to %d", MaxReplicas))
	if err != nil {
		return err
	}
	r := c.Request()
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	body := &intake{r: serve.Paced(c, c.Request().Body, serve.Pace{Grace: s.cfg.PutGrace, Rate: int64(s.cfg.PutRate)}), left: limit, limit: limit}
	info, err := s.store.Put(r.Context(), ref, body, PutOptions{
		SHA256: r.Header.Get(headerDigest), Size: r.ContentLength, Replicas: replicas,
	})
	if body.err != nil {
		return body.err
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, info)
}

func tooLarge(limit int64) error {
	return fault.Newf(fault.TooLarge, "a blob may have %d bytes", limit)
}

// intake bounds a request body and remembers why it failed, so that a client
// that hung up is not taken for a failure of the disk.
type intake struct {
	r           io.Reader
	left, limit int64
	err         error
}

// Read gives nothing of a piece that goes beyond the limit.
func (b *intake) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.left -= int64(n)
	switch {
	case b.left < 0:
		b.err = tooLarge(b.limit)
	case err != nil && !errors.Is(err, io.EOF):
		b.err = err // serve.Paced gave it its kind
	}
	if b.err != nil {
		return 0, b.err
	}
	return n, err
}

// get streams a blob, or one range of it: 206 where the range was followed, 416
// where it lies outside, and the whole where it made no sense.
func (s *Service) get(c echo.Context) error {
	r, ref := c.Request(), refOf(c)
	span, ranged := byterange.Parse(r.Header.Get("Range"))
	if etag := r.Header.Get("If-Range"); ranged && etag != "" {
		info, err := s.store.Stat(r.Context(), ref)
		if err != nil {
			return err
		}
		if etag != quoted(info.SHA256) {
			span, ranged = Whole(), false
		}
	}
	obj, err := s.open(r, ref, span)
	if fault.Is(err, fault.Range) {
		if info, serr := s.store.Stat(r.Context(), ref); serr == nil {
			c.Response().Header().Set("Content-Range", byterange.Unsatisfied(info.Size))
		}
	}
	if err != nil {
		return err
	}
	describe(c.Response().Header(), obj.Info)
	err = s.sender.Send(c, obj, ranged)
	if err != nil && r.Context().Err() == nil && !connectionFailed(err) {
		s.log.Error("blob broke off while it was served", "state", ref.State, "key", ref.Key, "error", err,
			"requestId", serve.RequestID(r.Context()))
	}
	return err
}

func (s *Service) open(r *http.Request, ref Ref, span Span) (Object, error) {
	if span.IsWhole() && r.Header.Get(headerCheckedBy) == checkedByCaller {
		return GetUnchecked(r.Context(), s.store, ref)
	}
	return s.store.Get(r.Context(), ref, span)
}

// connectionFailed tells a client that went away from a blob that is damaged.
func connectionFailed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// head answers like get, without a body and whatever the Range.
func (s *Service) head(c echo.Context) error {
	info, err := s.store.Stat(c.Request().Context(), refOf(c))
	if err != nil {
		return err
	}
	describe(c.Response().Header(), info)
	c.Response().Header().Set("Content-Length", strconv.FormatInt(info.Size, 10))
	return c.NoContent(http.StatusOK)
}

// describe sets what is true of the blob whatever part of it is sent.
func describe(h http.Header, info Info) {
	h.Set("Content-Type", "application/octet-stream")
	h.Set("ETag", quoted(info.SHA256))
	h.Set("Last-Modified", info.Modified.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
}

func quoted(digest string) string { return `"` + digest + `"` }

func (s *Service) remove(c echo.Context) error {
	if err := s.store.Delete(c.Request().Context(), refOf(c)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *Service) list(c echo.Context) error {
	limit, err := number(c, "limit", fmt.Sprintf("1 to %d", MaxPage))
	if err != nil {
		return err
	}
	page, err := s.store.List(c.Request().Context(), State(c.Param("state")), c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, page)
}
