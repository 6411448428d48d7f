package frontend

import (
	_ "embed" // the page and the API document
	"net/http"

	"github.com/labstack/echo/v4"

	"imagemill/pkg/pipeline"
)

//go:embed page.html
var pageHTML string

//go:embed openapi.yaml
var openAPIDocument string

// page is GET /: drop a picture, watch it come back.
func page(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	return c.HTML(http.StatusOK, pageHTML)
}

// openAPI is GET /openapi.yaml.
func openAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/yaml", []byte(openAPIDocument))
}

// pipelineSchema is GET /pipeline.schema.json.
func pipelineSchema(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/schema+json", []byte(pipeline.Schema()))
}
