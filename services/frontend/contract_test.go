package frontend

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/leaktest"
)

func TestMain(m *testing.M) {
	for _, t := range []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/tiff", "image/jxl"} {
		openapi3filter.RegisterBodyDecoder(t, openapi3filter.FileBodyDecoder)
	}
	openapi3filter.RegisterBodyDecoder("application/schema+json", openapi3filter.JSONBodyDecoder)
	leaktest.Main(m)
}

// contract is a transport that holds every answer, and every request that was
// not refused, against the API document.
type contract struct {
	t      testing.TB
	router routers.Router
	next   http.RoundTripper
}

func newContract(t testing.TB, next http.RoundTripper) *contract {
	doc, err := openapi3.NewLoader().LoadFromData([]byte(openAPIDocument))
	require.NoError(t, err)
	router, err := gorillamux.NewRouter(doc)
	require.NoError(t, err)
	return &contract{t: t, router: router, next: next}
}

func (c *contract) RoundTrip(r *http.Request) (*http.Response, error) {
	route, params, err := c.router.FindRoute(r)
	resp, rerr := c.next.RoundTrip(r)
	if rerr != nil {
		return nil, rerr
	}
	assert.NotEmpty(c.t, resp.Header.Get("X-Request-Id"))
	if err != nil {
		assert.Contains(c.t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, resp.StatusCode, "not in the document: %s %s", r.Method, r.URL)
		return resp, nil
	}
	if resp.Header.Get("Content-Type") == "" {
		assert.True(c.t, r.Method == http.MethodHead || resp.StatusCode == http.StatusNotModified || resp.StatusCode == http.StatusNoContent, "an answer without a type")
	}
	in := &openapi3filter.RequestValidationInput{
		Request: again(r), PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	// A body that streams cannot be looked at once more.
	in.Options.ExcludeRequestBody = r.Body != nil && r.GetBody == nil
	if resp.StatusCode < http.StatusBadRequest {
		assert.NoError(c.t, openapi3filter.ValidateRequest(r.Context(), in), "%s %s was accepted", r.Method, r.URL)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	assert.NotNil(c.t, route.Operation.Responses.Status(resp.StatusCode), "%s %s: status %d is not documented", r.Method, r.URL, resp.StatusCode)
	assert.NoError(c.t, openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(body)), Options: in.Options,
	}), "answer %d of %s %s", resp.StatusCode, r.Method, r.URL)
	return resp, nil
}

// again is a copy of r with its body to be read once more.
func again(r *http.Request) *http.Request {
	r2 := r.Clone(r.Context())
	if r.GetBody != nil {
		r2.Body, _ = r.GetBody()
	}
	return r2
}

func TestDocumentIsValidOpenAPI(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context(), openapi3.EnableSchemaPatternValidation()))
	assert.True(t, doc.IsOpenAPI31OrLater())
}
