package imagemaster

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"imagemill/internal/fault"
	"imagemill/services/taskdb"
)

// The headers beside an upload that say how its work waits, and whose it is. The
// owner goes with the other calls of owners, too.
const (
	headerOwner     = "Imagemill-Owner"
	headerLane      = "Imagemill-Lane"
	headerNotBefore = "Imagemill-Not-Before"
	headerDelay     = "Imagemill-Delay"
)

// setQueue writes the headers of an upload that are not the default.
func setQueue(h http.Header, u Upload) {
	set := func(name, v string) {
		if v != "" {
			h.Set(name, v)
		}
	}
	set(headerOwner, u.Owner)
	set(headerLane, string(u.Lane))
	if !u.NotBefore.IsZero() {
		h.Set(headerNotBefore, u.NotBefore.UTC().Format(time.RFC3339Nano))
	}
	if u.Delay > 0 {
		h.Set(headerDelay, u.Delay.String())
	}
}

// readQueue reads what [setQueue] wrote.
func readQueue(h http.Header, u *Upload) (err error) {
	u.Owner = h.Get(headerOwner)
	if u.Lane, err = taskdb.ParseLane(h.Get(headerLane)); err != nil {
		return err
	}
	if v := h.Get(headerNotBefore); v != "" {
		if u.NotBefore, err = time.Parse(time.RFC3339Nano, v); err != nil {
			return fault.Wrap(fault.Invalid, "must be a time as RFC 3339 has it", err).WithField("notBefore")
		}
	}
	u.Delay, err = delay(h.Get(headerDelay))
	return err
}

// delay reads a duration up to taskdb.MaxAhead; an empty one is 0.
func delay(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > taskdb.MaxAhead {
		return 0, fault.Newf(fault.Invalid, "must be a duration from 0s to %s", taskdb.MaxAhead).WithField("delay")
	}
	return d, nil
}

// list is GET /images.
func (s *Service) list(c echo.Context) error {
	limit, err := limitParam(c)
	if err != nil {
		return err
	}
	l, err := s.List(c.Request().Context(), ownerOf(c), c.QueryParam("state"), c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, l)
}

func (s *Service) cancel(c echo.Context) error {
	st, err := s.Cancel(c.Request().Context(), ownerOf(c), c.Param("id"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, st)
}

func (s *Service) retry(c echo.Context) error {
	st, err := s.Retry(c.Request().Context(), ownerOf(c), c.Param("id"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, st)
}

func (s *Service) retryFailed(c echo.Context) error {
	limit, err := limitParam(c)
	if err != nil {
		return err
	}
	r, err := s.RetryFailed(c.Request().Context(), ownerOf(c), c.QueryParam("after"), limit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, r)
}

func ownerOf(c echo.Context) string { return c.Request().Header.Get(headerOwner) }

// limitParam reads limit=, 0 where it is left out.
func limitParam(c echo.Context) (int, error) {
	v := c.QueryParam("limit")
	if v == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > taskdb.MaxPage {
		return 0, fault.Newf(fault.Invalid, "must be 1 to %d", taskdb.MaxPage).WithField("limit")
	}
	return n, nil
}
