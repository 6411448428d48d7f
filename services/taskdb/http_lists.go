package taskdb

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"imagemill/internal/fault"
	"imagemill/internal/serve"
)

// page reads the parameters that all lists share.
func (s *Service) page(c echo.Context, state State) (Page, error) {
	limit := 0
	if v := c.QueryParam("limit"); v != "" {
		var err error
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 {
			return Page{}, fault.Newf(fault.Invalid, "must be 1 to %d", MaxPage).WithField("limit")
		}
	}
	return s.store.ListOwned(c.Request().Context(), c.QueryParam("owner"), state, c.QueryParam("after"), limit)
}

// retryBody is the body of POST /failed/retry.
type retryBody struct {
	Owner string `json:"owner,omitempty"`
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// retryFailed retries what has failed, one page at a time.
func (s *Service) retryFailed(c echo.Context) error {
	var b retryBody
	if err := serve.Decode(c, &b); err != nil {
		return err
	}
	r, err := s.store.RetryFailed(c.Request().Context(), b.Owner, b.After, b.Limit)
	return reply(c, http.StatusOK, r, err)
}

func (s *Service) list(c echo.Context) error {
	p, err := s.page(c, State(c.QueryParam("state")))
	if err != nil {
		return err
	}
	return stream(c, p)
}

// stream writes a page task by task, as a thousand of them need not become one
// buffer. What goes wrong on the way breaks the answer off.
func stream(c echo.Context, p Page) error {
	w := c.Response()
	w.Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	w.WriteHeader(http.StatusOK)
	enc := json.NewEncoder(w)
	sep := `{"tasks":[`
	for _, t := range p.Tasks {
		if _, err := io.WriteString(w, sep); err != nil {
			return fmt.Errorf("write list: %w", err)
		}
		if err := enc.Encode(t); err != nil {
			return fmt.Errorf("write list: %w", err)
		}
		sep = ","
	}
	if len(p.Tasks) == 0 {
		sep += "]"
	} else {
		sep = "]"
	}
	if p.Next != "" {
		sep += `,"next":` + strconv.Quote(p.Next)
	}
	if _, err := io.WriteString(w, sep+"}\n"); err != nil {
		return fmt.Errorf("write list: %w", err)
	}
	return nil
}

// idList is the short form of a list.
type idList struct {
	IDs  []string `json:"ids"`
	Next string   `json:"next,omitempty"`
}

func (s *Service) ids(state State) echo.HandlerFunc {
	return func(c echo.Context) error {
		p, err := s.page(c, state)
		out := idList{IDs: make([]string, len(p.Tasks)), Next: p.Next}
		for i, t := range p.Tasks {
			out.IDs[i] = t.ID
		}
		return reply(c, http.StatusOK, out, err)
	}
}
