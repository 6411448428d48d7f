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

// documents knows the pipelines that were seen last with their bytes.
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

// marshal gives the bytes of p.
func (d *documents) marshal(p pipeline.Pipeline) ([]byte, error) {
	d.mu.Lock()
	for _, k := range d.known {
		if reflect.DeepEqual(k.pipeline, p) {
			d.mu.Unlock()
			return k.bytes, nil
		}
	}
	d.mu.Unlock()
	b, err := write(p)
	if err != nil {
		return nil, fmt.Errorf("marshal pipeline: %w", err)
	}
	// What is kept is read back: the caller may change its own.
	if own, err := read(b); err == nil {
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
	p, err := read(b)
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

// part is one rendition on its way: a pipeline of its own under a name that Parse
// takes, and its true name. An expanded pipeline has names, and a number of
// renditions, that Parse refuses to users.
type part struct {
	Name     string          `json:"name"`
	Document json.RawMessage `json:"document"`
}

// partName is the name of every rendition in its part.
const partName = "r"

// write makes the bytes of a pipeline.
func write(p pipeline.Pipeline) ([]byte, error) {
	parts := make([]part, len(p.Renditions))
	for i, r := range p.Renditions {
		parts[i].Name, r.Name = r.Name, partName
		alone := p
		alone.Renditions = []pipeline.Rendition{r}
		var err error
		if parts[i].Document, err = json.Marshal(alone); err != nil {
			return nil, err
		}
	}
	return json.Marshal(parts)
}

// read makes the pipeline again; it is valid.
func read(b []byte) (p pipeline.Pipeline, err error) {
	var parts []part
	if err := json.Unmarshal(b, &parts); err != nil {
		return p, err
	}
	for i, one := range parts {
		alone, err := pipeline.Parse(one.Document)
		if err != nil {
			return p, err
		}
		if len(alone.Renditions) != 1 {
			return p, fmt.Errorf("part %d has %d renditions", i, len(alone.Renditions))
		}
		alone.Renditions[0].Name = one.Name
		alone.Renditions = append(p.Renditions, alone.Renditions[0])
		p = alone
	}
	return p, p.Validate()
}
