package imagemaster

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"imagemill/internal/serve"
)

// report makes the handler of a worker's report: decode, carry out, 204.
func report[T any](carryOut func(context.Context, T) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		var v T
		if err := serve.Decode(c, &v); err != nil {
			return err
		}
		if err := carryOut(c.Request().Context(), v); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	}
}
