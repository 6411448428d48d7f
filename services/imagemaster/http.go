package imagemaster

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"imagemill/internal/ability"
	"imagemill/internal/byterange"
	"imagemill/internal/fault"
	"imagemill/internal/serve"
	"imagemill/services/taskdb"
)

// headerPipeline carries the pipeline document, as compact ASCII JSON, beside
// the raw bytes of an upload.
const headerPipeline = "Imagemill-Pipeline"

// headerKeep and headerExpires carry for how long, or until when, an image is kept.
const (
	headerKeep    = "Imagemill-Keep"
	headerExpires = "Imagemill-Expires"
)

// headerKey carries what tells repeats of an upload. It is not Idempotency-Key,
// which would have the transport repeat a body that it cannot send twice.
const headerKey = "Imagemill-Key"

// headerDedupe is "true" for an upload whose work may be spared.
const headerDedupe = "Imagemill-Dedupe"

// pace is how slowly a frontend may pass on an upload: it has its own limits
// for the client, so this one only finds a frontend that hangs.
func pace() serve.Pace { return serve.Pace{Grace: time.Minute, Rate: 256} }

// Routes adds the routes of both sides.
func (s *Service) Routes(e *echo.Echo) {
	// The frontend's side. A repeated upload is a new image, unless it brings a key; the others are safe to repeat.
	e.POST("/newImage", s.newImage)
	e.GET("/isReady", s.isReady)
	e.GET("/get", s.get)
	e.HEAD("/get", s.get)
	e.GET("/images", s.list)
	e.POST("/images/retry", s.retryFailed)
	e.POST("/images/:id/retry", s.retry)
	e.POST("/images/:id/cancel", s.cancel)
	e.DELETE("/images/:id", s.delete)
	// The workers' side. A repeated report is safe; getWork claims anew each time.
	e.GET("/getWork", s.getWork)
	e.POST("/workProgress", report(s.WorkProgress))
	e.POST("/workFinished", report(s.WorkFinished))
	e.POST("/workFinished/all", s.allFinished)
	e.POST("/workFailed", report(s.WorkFailed))
	e.POST("/workReleased", report(s.WorkReleased))
}

func (s *Service) newImage(c echo.Context) error {
	r := c.Request()
	u := Upload{
		Pipeline:    json.RawMessage(r.Header.Get(headerPipeline)),
		ContentType: r.Header.Get(echo.HeaderContentType), Size: r.ContentLength,
		Body: serve.Paced(c, r.Body, pace()), IdempotencyKey: r.Header.Get(headerKey),
		Dedupe: r.Header.Get(headerDedupe) == "true",
	}
	var err error
	if u.Keep, u.Expires, err = end(r.Header); err != nil {
		return err
	}
	if err := readQueue(r.Header, &u); err != nil {
		return err
	}
	acc, err := s.NewImage(r.Context(), u)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, acc)
}

// end reads how long an upload is to be kept.
func end(h http.Header) (keep time.Duration, expires time.Time, err error) {
	if v := h.Get(headerKeep); v != "" {
		if keep, err = time.ParseDuration(v); err != nil {
			return 0, expires, fault.New(fault.Invalid, "must be a duration, such as 24h").WithField(headerKeep)
		}
	}
	if v := h.Get(headerExpires); v != "" {
		if expires, err = time.Parse(time.RFC3339Nano, v); err != nil {
			return 0, expires, fault.New(fault.Invalid, "must be a time in the form of RFC 3339").WithField(headerExpires)
		}
	}
	return keep, expires, nil
}

func (s *Service) isReady(c echo.Context) error {
	wait, err := duration(c, "wait")
	if err != nil {
		return err
	}
	st, err := s.IsReady(c.Request().Context(), c.QueryParam("id"), wait)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, st)
}

func (s *Service) delete(c echo.Context) error {
	if err := s.Delete(c.Request().Context(), c.Request().Header.Get(headerOwner), c.Param("id")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *Service) get(c echo.Context) error {
	span, partial := byterange.Parse(c.Request().Header.Get("Range"))
	if !partial {
		span = byterange.Whole()
	}
	img, err := s.Get(c.Request().Context(), c.QueryParam("id"), c.QueryParam("rendition"), span)
	if err != nil {
		return err
	}
	defer func() { _ = img.Body.Close() }()
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, img.ContentType)
	h.Set(echo.HeaderContentLength, strconv.FormatInt(img.Length, 10))
	h.Set("ETag", `"`+img.SHA256+`"`)
	h.Set(headerName, img.Name)
	h.Set(headerFormat, img.Format)
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

// The headers that tell a client of GET /get which rendition it has got.
const (
	headerName   = "Imagemill-Rendition"
	headerFormat = "Imagemill-Format"
)

func (s *Service) getWork(c echo.Context) error {
	wait, err := duration(c, "wait")
	if err != nil {
		return err
	}
	most := 1
	if v := c.QueryParam("max"); v != "" {
		if most, err = strconv.Atoi(v); err != nil {
			return fault.Newf(fault.Invalid, "must be a number from 1 to %d", taskdb.MaxClaim).WithField("max")
		}
	}
	r := WorkRequest{Worker: c.QueryParam("worker"), Max: most, Wait: wait, Engine: c.QueryParam("engine")}
	if r.Can, r.Others, err = abilities(c); err != nil {
		return err
	}
	work, err := s.GetWork(c.Request().Context(), r)
	if err != nil {
		return err
	}
	if len(work) == 0 {
		return c.NoContent(http.StatusNoContent)
	}
	return c.JSON(http.StatusOK, workList{Tasks: work})
}

// abilities reads what the caller can do, and what others can: sets, as
// ability.Set writes them, with commas between several.
func abilities(c echo.Context) (can ability.Set, others []ability.Set, err error) {
	if v := c.QueryParam("can"); v != "" {
		if can, err = ability.Parse(v); err != nil {
			return 0, nil, fault.Wrap(fault.Invalid, "must be a number in hex, below 2^53", err).WithField("can")
		}
	}
	v := c.QueryParam("others")
	if v == "" {
		return can, nil, nil
	}
	for one := range strings.SplitSeq(v, ",") {
		other, err := ability.Parse(one)
		if err != nil || len(others) == taskdb.MaxOthers {
			return 0, nil, fault.Newf(fault.Invalid, "must be at most %d numbers in hex, below 2^53", taskdb.MaxOthers).WithField("others")
		}
		others = append(others, other)
	}
	return can, others, nil
}

// workList is the body of an answer to GET /getWork.
type workList struct {
	Tasks []Work `json:"tasks"`
}

// duration reads a query parameter such as 30s; an empty one is 0.
func duration(c echo.Context, name string) (time.Duration, error) {
	v := c.QueryParam(name)
	if v == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > MaxWait {
		return 0, fault.Newf(fault.Invalid, "must be a duration from 0s to %s, such as 30s", MaxWait).WithField(name)
	}
	return d, nil
}
