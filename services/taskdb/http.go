package taskdb

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"imagemill/internal/serve"
)

// Routes adds all routes. Imagemasters call them; every repeat is safe but that
// of POST /claims, which claims anew, and POST /purge, which removes more.
func (s *Service) Routes(e *echo.Echo) {
	// Bounded one by one: a group with middleware answers a wrong method with 404.
	e.POST("/tasks", s.create, s.bounded)
	e.GET("/tasks", s.list, s.bounded)
	e.GET("/tasks/:id", s.get, s.bounded)
	e.DELETE("/tasks/:id", s.remove, s.bounded)
	e.POST("/tasks/:id/state", s.move, s.bounded)
	e.POST("/tasks/:id/lease", s.renew, s.bounded)
	e.POST("/tasks/:id/finish", s.finish, s.bounded)
	e.POST("/tasks/:id/fail", s.fail, s.bounded)
	e.POST("/tasks/:id/release", s.release, s.bounded)
	e.POST("/tasks/:id/cancel", answer(s.store.Cancel), s.bounded)
	e.POST("/tasks/:id/retry", answer(s.store.Retry), s.bounded)
	e.POST("/failed/retry", s.retryFailed, s.bounded)
	e.POST("/purge", s.purge, s.bounded)
	e.POST("/records", s.record, s.bounded)
	e.POST("/claims", s.claim, s.bounded)
	e.POST("/twins", s.twins, s.bounded)
	e.POST("/leases/expire", s.expire, s.bounded)
	e.GET("/stats", s.stats, s.bounded)
	for _, state := range States() {
		e.GET("/"+string(state), s.ids(state), s.bounded)
	}
}

// bounded gives every call the configured time.
func (s *Service) bounded(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.cfg.Timeout)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// answer makes the handler of a call that takes an ID and gives a task.
func answer(call func(context.Context, string) (Task, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		t, err := call(c.Request().Context(), c.Param("id"))
		return reply(c, http.StatusOK, t, err)
	}
}

// reply sends v, or the error.
func reply(c echo.Context, status int, v any, err error) error {
	if err != nil {
		return err
	}
	return c.JSON(status, v)
}

func (s *Service) create(c echo.Context) error {
	var n NewTask
	if err := serve.Decode(c, &n); err != nil {
		return err
	}
	t, err := s.store.Create(c.Request().Context(), n)
	return reply(c, http.StatusCreated, t, err)
}

func (s *Service) get(c echo.Context) error {
	t, err := s.store.Get(c.Request().Context(), c.Param("id"))
	return reply(c, http.StatusOK, t, err)
}

// renewBody and renewed are the bodies of a renewal and of its answer.
type (
	renewBody struct {
		Attempt  int     `json:"attempt"`
		Progress float64 `json:"progress"`
	}
	renewed struct {
		LeaseUntil time.Time `json:"leaseUntil"`
	}
)

func (s *Service) renew(c echo.Context) error {
	var b renewBody
	if err := serve.Decode(c, &b); err != nil {
		return err
	}
	until, err := s.store.Renew(c.Request().Context(), Lease{ID: c.Param("id"), Attempt: b.Attempt}, b.Progress)
	return reply(c, http.StatusOK, renewed{until}, err)
}

func (s *Service) finish(c echo.Context) error {
	var r Result
	if err := serve.Decode(c, &r); err != nil {
		return err
	}
	t, err := s.store.Finish(c.Request().Context(), c.Param("id"), r)
	return reply(c, http.StatusOK, t, err)
}

func (s *Service) fail(c echo.Context) error {
	var f Failure
	if err := serve.Decode(c, &f); err != nil {
		return err
	}
	t, err := s.store.Fail(c.Request().Context(), c.Param("id"), f)
	return reply(c, http.StatusOK, t, err)
}

// releaseBody is the body of a release.
type releaseBody struct {
	Attempt     int   `json:"attempt"`
	PauseMillis int64 `json:"pauseMillis,omitempty"`
}

func (s *Service) release(c echo.Context) error {
	var b releaseBody
	if err := serve.Decode(c, &b); err != nil {
		return err
	}
	if err := s.store.Release(c.Request().Context(), Lease{ID: c.Param("id"), Attempt: b.Attempt, PauseMillis: b.PauseMillis}); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// twins is POST /twins, which only reads.
func (s *Service) twins(c echo.Context) error {
	var l Likeness
	if err := serve.Decode(c, &l); err != nil {
		return err
	}
	tasks, err := s.store.Twins(c.Request().Context(), l)
	return reply(c, http.StatusOK, taskList{tasks}, err)
}

// taskList is the answer of a claim, and of a look at twins.
type taskList struct {
	Tasks []Task `json:"tasks"`
}

func (s *Service) claim(c echo.Context) error {
	var b Claim
	if err := serve.Decode(c, &b); err != nil {
		return err
	}
	tasks, err := s.store.Claim(c.Request().Context(), b)
	return reply(c, http.StatusOK, taskList{tasks}, err)
}

func (s *Service) expire(c echo.Context) error {
	e, err := s.store.Expire(c.Request().Context())
	return reply(c, http.StatusOK, e, err)
}

func (s *Service) stats(c echo.Context) error {
	st, err := s.store.Stats(c.Request().Context())
	return reply(c, http.StatusOK, st, err)
}
