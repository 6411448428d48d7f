package kvstore

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/labstack/echo/v4"
)

// misplaced answers requests whose path is not in the form that Consul's router
// insists on, and reports whether it did: bytes that cannot be printed are
// refused, and "//", "." and ".." are cleaned by a redirect that keeps method
// and body. Escaped slashes stay as they are.
func misplaced(c echo.Context) (bool, error) {
	u := c.Request().URL
	if strings.IndexFunc(u.Path, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
		c.Response().WriteHeader(http.StatusBadRequest)
		return true, nil
	}
	if !strings.Contains(u.Path, "//") && !strings.Contains(u.Path, "/.") {
		return false, nil
	}
	escaped := u.EscapedPath()
	clean := path.Clean(escaped)
	if strings.HasSuffix(escaped, "/") && clean != "/" || slices.Contains(folders(), clean) {
		clean += "/"
	}
	if clean == escaped {
		return false, nil
	}
	return true, redirect(c, clean)
}

// folders are the paths that are nothing without a slash behind them.
func folders() []string {
	return []string{"/v1/kv", "/v1/session/destroy", "/v1/session/renew", "/v1/session/info", "/v1/session/node", "/v1/agent/force-leave"}
}

// redirect sends a client to the path of the same request that it should have
// used.
func redirect(c echo.Context, to string) error {
	u := url.URL{Path: to, RawQuery: c.Request().URL.RawQuery}
	http.Redirect(c.Response(), c.Request(), u.String(), http.StatusTemporaryRedirect)
	return nil
}

// unknownPath answers what is no route at all, in Consul's words.
func unknownPath(c echo.Context) error {
	if refused, err := misplaced(c); refused {
		return err
	}
	text := "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n"
	if strings.Contains(c.Request().URL.Path, "/v1/") {
		text = "Invalid URL path: not a recognized HTTP API endpoint\n"
	}
	return c.Blob(http.StatusNotFound, "text/plain; charset=utf-8", []byte(text))
}
