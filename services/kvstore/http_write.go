package kvstore

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// minGzip is the size in bytes from which an answer is compressed, as in Consul:
// less fits into one packet.
const minGzip = 1400

// compressors are kept for reuse, as each holds most of a megabyte.
type compressors struct{ pool sync.Pool }

func (p *compressors) write(w http.ResponseWriter, body []byte) error {
	zw, ok := p.pool.Get().(*gzip.Writer)
	if ok {
		zw.Reset(w)
	} else {
		var err error
		if zw, err = gzip.NewWriterLevel(w, gzip.BestSpeed); err != nil {
			return fmt.Errorf("make compressor: %w", err)
		}
	}
	_, err := zw.Write(body)
	err = errors.Join(err, zw.Close())
	p.pool.Put(zw)
	return err
}

// acceptsGzip reads whether a client takes compressed answers.
func acceptsGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		coding, q, weighed := strings.Cut(part, ";")
		if strings.TrimSpace(strings.ToLower(coding)) != "gzip" {
			continue
		}
		if !weighed {
			return true
		}
		weight, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(q), "q="), 64)
		return err == nil && weight > 0
	}
	return false
}

// send answers with a body, compressed where it is worth it and wanted.
func (c *call) send(status int, contentType string, body []byte) {
	h := c.w.Header()
	h["Content-Type"] = []string{contentType}
	if len(body) >= minGzip && acceptsGzip(c.r.Header.Get("Accept-Encoding")) {
		h["Content-Encoding"] = []string{"gzip"}
		c.w.WriteHeader(status)
		if err := c.s.gzip.write(c.w, body); err != nil {
			c.s.log.Debug("answer broke off", "path", c.r.URL.Path, "error", err)
		}
		return
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.w.WriteHeader(status)
	// A client that is gone by now is nobody's concern.
	_, _ = c.w.Write(body)
}

// json answers 200 with v, indented when the client asks for ?pretty.
func (c *call) json(v any) error { return c.jsonStatus(http.StatusOK, v) }

func (c *call) jsonStatus(status int, v any) error {
	var b []byte
	var err error
	if c.has("pretty") {
		b, err = json.MarshalIndent(v, "", "    ")
		b = append(b, '\n')
	} else {
		b, err = json.Marshal(v)
	}
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	c.send(status, "application/json", b)
	return nil
}

// meta sets the headers that every read carries. A leader's contact with the
// leader is always now.
func (c *call) meta(index uint64, leads bool) {
	h := c.w.Header()
	h["X-Consul-Index"] = []string{strconv.FormatUint(max(index, 1), 10)}
	h["X-Consul-Query-Backend"] = []string{"blocking-query"}
	c.contact(leads)
}

func (c *call) contact(leads bool) {
	h := c.w.Header()
	h["X-Consul-Knownleader"] = []string{strconv.FormatBool(leads)}
	h["X-Consul-Lastcontact"] = []string{"0"}
}
