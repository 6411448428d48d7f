package frontend

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// delete is DELETE /v1/images/{id}: the caller's image and all that belongs to it. A
// repeat gets the same answer.
func (s *Service) delete(c echo.Context) error {
	if err := known(c, "key"); err != nil {
		return err
	}
	id := c.Param("id")
	if err := s.deps.Master.Delete(c.Request().Context(), owner(c), id); err != nil {
		return about(id, err)
	}
	return c.NoContent(http.StatusNoContent)
}
