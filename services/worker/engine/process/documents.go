package process

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"imagemill/pkg/pipeline"
)

// remembered is how many pipelines each side keeps; a worker sees few at a time.
const remembered = 16

// documents knows the pipelines that were seen last with their canonical JSON.
// Most pictures of a worker go through one of a few, and to write or to parse one
// costs more than all else that a tiny picture needs of the protocol.
type documents struct {
	mu    sync.Mutex
	known []document
	next  int
}

// document is a pipeline that nobody else holds, and its bytes.
type document struct {
	pipeline pipeline.Pipeline
	bytes    []byte
}

// marshal gives the canonical JSON of p.
func (d *documents) marshal(p pipeline.Pipeline) ([]byte, error) {
	d.mu.Lock()
	for _, k := range d.known {
		if reflect.DeepEqual(k.pipeline, p) {
			d.mu.Unlock()
			return k.bytes, nil
		}
	}
	d.mu.Unlock()
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("marshal pipeline: %w", err)
	}
	// What is kept is read back: the caller may change its own.
	if own, err := pipeline.Parse(b); err == nil {
		d.keep(document{own, b})
	}
	return b, nil
}

// parse gives the pipeline that b is. It is shared, and not to be changed.
func (d *documents) parse(b []byte) (pipeline.Pipeline, error) {
	for _, k := range d.known {
		if string(k.bytes) == string(b) {
			return k.pipeline, nil
		}
	}
	p, err := pipeline.Parse(b)
	if err != nil {
		return p, fmt.Errorf("%w: %w", errRubbish, err)
	}
	d.keep(document{p, b})
	return p, nil
}

func (d *documents) keep(k document) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) < remembered {
		d.known = append(d.known, k)
		return
	}
	d.known[d.next] = k
	d.next = (d.next + 1) % remembered
}
