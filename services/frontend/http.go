package frontend

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"imagemill/internal/byterange"
	"imagemill/internal/fault"
	"imagemill/internal/serve"
	"imagemill/internal/sniff"
	"imagemill/services/imagemaster"
)

// Routes adds the public routes. All but the upload are safe to repeat.
func (s *Service) Routes(e *echo.Echo) {
	e.GET("/", page)
	e.GET("/openapi.yaml", openAPI)
	e.GET("/pipeline.schema.json", pipelineSchema)
	e.POST("/newImage", s.newImage, s.withKey)
	e.GET("/image/isReady", s.isReady, s.withKey)
	e.GET("/image/get", s.get, s.withKey)
	e.HEAD("/image/get", s.get, s.withKey)
	e.GET("/v1/images", s.images, s.withKey)
	e.POST("/v1/images/retry", s.retryFailed, s.withKey)
	e.POST("/v1/images/:id/retry", s.retry, s.withKey)
	e.POST("/v1/images/:id/cancel", s.cancel, s.withKey)
	e.DELETE("/v1/images/:id", s.delete, s.withKey)
}

// withKey lets in who sends one of the API keys: as a bearer token, as
// X-API-Key, or, for links and <img>, as the query parameter key. Where no keys are
// set, browsers are refused that were sent by a page of somebody else's.
func (s *Service) withKey(next echo.HandlerFunc) echo.HandlerFunc {
	if len(s.cfg.APIKeys) == 0 {
		return ownPages(next)
	}
	return func(c echo.Context) error {
		sent := c.Request().Header.Get("X-API-Key")
		if bearer, ok := strings.CutPrefix(c.Request().Header.Get("Authorization"), "Bearer "); ok {
			sent = bearer
		} else if sent == "" {
			sent = c.QueryParam("key")
		}
		known := 0
		for _, k := range s.cfg.APIKeys {
			known |= subtle.ConstantTimeCompare([]byte(k), []byte(sent))
		}
		if known != 1 {
			c.Response().Header().Set("WWW-Authenticate", `Bearer realm="imagemill"`)
			return fault.New(fault.Unauthenticated, "the API key is missing or wrong: send it as Authorization: Bearer …, or as X-API-Key")
		}
		c.Set(ownerKey, ownerOf(sent))
		return next(c)
	}
}

// ownPages refuses changes that a browser asks for on behalf of a page of another
// origin. A listener that asks for no key is for this machine, and so are its
// browsers, whatever page they show.
func ownPages(next echo.HandlerFunc) echo.HandlerFunc {
	protection := http.NewCrossOriginProtection()
	return func(c echo.Context) error {
		if err := protection.Check(c.Request()); err != nil {
			return fault.Wrap(fault.Forbidden, "a page of another origin asked for this; set API keys to let such pages in", err)
		}
		return next(c)
	}
}

// isReady is GET /image/isReady: status now, or with wait= when it changes to
// its end.
func (s *Service) isReady(c echo.Context) error {
	id := c.QueryParam("id")
	wait, err := waitParam(c)
	if err != nil {
		return err
	}
	if err := known(c, "id", "wait", "key"); err != nil {
		return err
	}
	st, err := s.await(c.Request().Context(), id, wait)
	if err != nil {
		return about(id, err)
	}
	return status(c, st)
}

// status answers with the status of an image.
func status(c echo.Context, st imagemaster.Status) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, linked(st))
}

// linked says where the renditions are downloaded.
func linked(st imagemaster.Status) imagemaster.Status {
	for i := range st.Results {
		st.Results[i].URL = "/image/get?id=" + st.ID + "&rendition=" + st.Results[i].Name
	}
	return st
}

// await asks for the status and waits for the image's end; when this frontend
// stops it waits no longer, so that the client gets the status of now.
func (s *Service) await(ctx context.Context, id string, wait time.Duration) (imagemaster.Status, error) {
	if wait == 0 {
		return s.deps.Master.IsReady(ctx, id, 0)
	}
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	draining := serve.Draining(ctx)
	go func() {
		select {
		case <-draining:
			cancel()
		case <-wctx.Done():
		}
	}()
	st, err := s.deps.Master.IsReady(wctx, id, wait)
	if err != nil && wctx.Err() != nil && ctx.Err() == nil {
		return s.deps.Master.IsReady(ctx, id, 0)
	}
	return st, err
}

// about adds the image, and for an unknown one its state, to an error.
func about(id string, err error) error {
	e := *fault.As(err)
	switch e.Kind {
	case fault.NotFound:
		e.ID = id
		if e.Field == "" {
			e.State, e.Public = "not found", "there is no image with this ID"
		}
	case fault.Conflict, fault.Unprocessable:
		e.ID = id
	default:
	}
	e.Err = err
	return &e
}

// waitParam reads wait=, a duration up to imagemaster.MaxWait.
func waitParam(c echo.Context) (time.Duration, error) {
	v := c.QueryParam("wait")
	if v == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > imagemaster.MaxWait {
		return 0, fault.Newf(fault.Invalid, "must be a duration from 0s to %s, such as 30s", imagemaster.MaxWait).WithField("wait")
	}
	return d, nil
}

// known refuses query parameters that the route does not have.
func known(c echo.Context, names ...string) error {
	for name := range c.QueryParams() {
		found := false
		for _, n := range names {
			found = found || n == name
		}
		if !found {
			return fault.Newf(fault.Invalid, "unknown parameter; this route knows %s", strings.Join(names, ", ")).WithField(name)
		}
	}
	return nil
}

// get is GET and HEAD /image/get: the bytes of a rendition.
func (s *Service) get(c echo.Context) error {
	if err := known(c, "id", "rendition", "key"); err != nil {
		return err
	}
	id, r := c.QueryParam("id"), c.Request()
	rendition := s.choose(r.Context(), r, id, c.QueryParam("rendition"))
	c.Response().Header().Set(echo.HeaderVary, "Accept")
	span, partial := byterange.Parse(r.Header.Get("Range"))
	if !partial {
		span = byterange.Whole()
	}
	img, err := s.deps.Master.Get(r.Context(), id, rendition, span)
	if fault.Is(err, fault.Range) {
		s.explainRange(c, id, rendition)
	}
	if err != nil {
		return about(id, err)
	}
	if partial && !ifRange(r, img) {
		_ = img.Body.Close()
		partial = false
		if img, err = s.deps.Master.Get(r.Context(), id, rendition, byterange.Whole()); err != nil {
			return about(id, err)
		}
	}
	defer func() { _ = img.Body.Close() }()
	return s.send(c, id, img, partial)
}

// send writes the headers and streams the body.
func (s *Service) send(c echo.Context, id string, img imagemaster.Image, partial bool) error {
	h := c.Response().Header()
	h.Set("ETag", etag(img))
	h.Set("Accept-Ranges", "bytes")
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	if notModified(c.Request(), img) {
		return c.NoContent(http.StatusNotModified)
	}
	h.Set(echo.HeaderContentType, img.ContentType)
	h.Set(echo.HeaderContentLength, strconv.FormatInt(img.Length, 10))
	h.Set("Content-Disposition", fmt.Sprintf("inline; filename=%q", id+"-"+fileName(img)))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", byterange.ContentRange(img.Offset, img.Length, img.Size))
	}
	c.Response().WriteHeader(status)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	return serve.Copy(c, img.Body)
}

// explainRange tells the client of a 416 how long the rendition is.
func (s *Service) explainRange(c echo.Context, id, rendition string) {
	st, err := s.deps.Master.IsReady(c.Request().Context(), id, 0)
	if err != nil {
		return
	}
	for _, p := range st.Results {
		if rendition == "" || p.Name == rendition {
			c.Response().Header().Set("Content-Range", byterange.Unsatisfied(p.Size))
			return
		}
	}
}

// etag is strong: the digest of the whole rendition.
func etag(img imagemaster.Image) string { return `"` + img.SHA256 + `"` }

// ifRange reports whether the range may be served: without If-Range, or with
// the current entity tag in it (RFC 9110, section 13.1.5).
func ifRange(r *http.Request, img imagemaster.Image) bool {
	v := r.Header.Get("If-Range")
	return v == "" || v == etag(img)
}

// notModified reports whether If-None-Match names what the client would get.
func notModified(r *http.Request, img imagemaster.Image) bool {
	for v := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		v = strings.TrimPrefix(strings.TrimSpace(v), "W/")
		if v == "*" || v == etag(img) {
			return true
		}
	}
	return false
}

// fileName is a rendition's name with its extension. One of a set ends in its
// format already.
func fileName(img imagemaster.Image) string {
	name, _, _ := strings.Cut(img.Name, ".")
	return name + "." + extension(img.Format)
}

// extension is the usual one of a format's files.
func extension(format string) string {
	if known := sniff.Format(format).Extension(); known != sniff.Unknown.Extension() {
		return known[1:]
	}
	return format
}
