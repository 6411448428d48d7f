package taskdb

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"imagemill/internal/serve"
)

func (s *Service) remove(c echo.Context) error {
	r, err := s.store.Delete(c.Request().Context(), c.Param("id"))
	return reply(c, http.StatusOK, r, err)
}

// removedList is the answer of a purge.
type removedList struct {
	Removed []Removed `json:"removed"`
}

func (s *Service) purge(c echo.Context) error {
	var r Retention
	if err := serve.Decode(c, &r); err != nil {
		return err
	}
	all, err := s.store.Purge(c.Request().Context(), r)
	return reply(c, http.StatusOK, removedList{all}, err)
}
