package frontend

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
)

// ownerKey is under what a request carries the owner that its API key stands for.
const ownerKey = "imagemill.owner"

// ownerOf gives the name of an API key's owner, from which the key cannot be told.
func ownerOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:8])
}

// owner gives who calls; "" where no keys are configured.
func owner(c echo.Context) string {
	name, _ := c.Get(ownerKey).(string)
	return name
}

// The parameters of an upload that say how its work waits.
const (
	paramLane      = "lane"
	paramNotBefore = "notBefore"
	paramDelay     = "delay"
	// paramDedupe says whether the work may be spared.
	paramDedupe = "dedupe"
)

// queueing reads how the work of an upload is to wait.
func queueing(query url.Values, now time.Time, u *imagemaster.Upload) (err error) {
	for _, name := range []string{paramLane, paramNotBefore, paramDelay, paramDedupe} {
		if len(query[name]) > 1 {
			return fault.New(fault.Invalid, "may be given once").WithField(name)
		}
	}
	if u.Lane, err = imagemaster.ParseLane(query.Get(paramLane)); err != nil {
		return err
	}
	if v, given := query[paramDedupe]; given {
		switch v[0] {
		case "", "1", "true":
			u.Dedupe = true
		case "0", "false":
			u.Dedupe = false
		default:
			return fault.New(fault.Invalid, "must be true or false").WithField(paramDedupe)
		}
	}
	at, delay := query.Get(paramNotBefore), query.Get(paramDelay)
	if at != "" && delay != "" {
		return fault.New(fault.Invalid, "give either notBefore or delay").WithField(paramDelay)
	}
	if at != "" {
		if u.NotBefore, err = time.Parse(time.RFC3339, at); err != nil || u.NotBefore.Sub(now) > imagemaster.MaxAhead {
			return fault.Newf(fault.Invalid, "must be a time such as %s, at most %d days ahead (in a query, + is written %%2B)",
				now.UTC().Add(time.Hour).Format(time.RFC3339), imagemaster.MaxAhead/(24*time.Hour)).WithField(paramNotBefore)
		}
	}
	if delay != "" {
		if u.Delay, err = time.ParseDuration(delay); err != nil || u.Delay < 0 || u.Delay > imagemaster.MaxAhead {
			return fault.Newf(fault.Invalid, "must be a duration from 0s to %.0fh, such as 90m", imagemaster.MaxAhead.Hours()).WithField(paramDelay)
		}
	}
	return nil
}

// listing is the body of GET /v1/images.
type listing struct {
	Images []imagemaster.Status `json:"images"`
	Next   string               `json:"next,omitempty"`
}

// images is GET /v1/images: the caller's images that have come to an end.
func (s *Service) images(c echo.Context) error {
	limit, err := limitParam(c)
	if err == nil {
		err = known(c, "state", "after", "limit", "key")
	}
	if err != nil {
		return err
	}
	l, err := s.deps.Master.List(c.Request().Context(), owner(c), c.QueryParam("state"), c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	for i := range l.Images {
		l.Images[i] = linked(l.Images[i])
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, listing{Images: l.Images, Next: l.Next})
}

// retry is POST /v1/images/{id}/retry: a failed or cancelled image is worked again.
func (s *Service) retry(c echo.Context) error {
	if err := known(c, "key"); err != nil {
		return err
	}
	st, err := s.deps.Master.Retry(c.Request().Context(), owner(c), c.Param("id"))
	if err != nil {
		return about(c.Param("id"), err)
	}
	return status(c, st)
}

// cancel is POST /v1/images/{id}/cancel: an image in progress is given up.
func (s *Service) cancel(c echo.Context) error {
	if err := known(c, "key"); err != nil {
		return err
	}
	st, err := s.deps.Master.Cancel(c.Request().Context(), owner(c), c.Param("id"))
	if err != nil {
		return about(c.Param("id"), err)
	}
	return status(c, st)
}

// retryFailed is POST /v1/images/retry?state=failed: the caller's failed images are
// worked again, one page at a time.
func (s *Service) retryFailed(c echo.Context) error {
	limit, err := limitParam(c)
	if err == nil {
		err = known(c, "state", "after", "limit", "key")
	}
	if err == nil && c.QueryParam("state") != imagemaster.StateFailed {
		err = fault.Newf(fault.Invalid, "must be %s", imagemaster.StateFailed).WithField("state")
	}
	if err != nil {
		return err
	}
	r, err := s.deps.Master.RetryFailed(c.Request().Context(), owner(c), c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, r)
}

// limitParam reads limit=, 0 where it is left out.
func limitParam(c echo.Context) (int, error) {
	v := c.QueryParam("limit")
	if v == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > imagemaster.MaxPage {
		return 0, fault.Newf(fault.Invalid, "must be 1 to %d", imagemaster.MaxPage).WithField("limit")
	}
	return n, nil
}
