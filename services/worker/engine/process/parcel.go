package process

import (
	"fmt"
	"os"
	"slices"

	"imagemill/internal/fault"
	"imagemill/services/worker/engine"
)

// parcel is a request as it goes over the line.
type parcel struct {
	id     uint64
	frames []byte
	files  []*os.File
	opened []*os.File // those of files that are closed here
}

// pack makes the frames of a job and opens what it reads. The child's folder is
// the child's; job.Dir is where results are brought to.
func (p *Pool) pack(id uint64, job engine.Job) (parcel, error) {
	out := parcel{id: id}
	document, err := p.known.marshal(job.Pipeline)
	if err != nil {
		return out, err
	}
	r := request{ID: id, Limits: job.Limits, Threads: job.Threads}
	if passesFiles {
		err = out.open(&r, job)
	} else {
		r.Source, r.Assets = job.Source, job.Assets
	}
	if err == nil {
		out.frames, err = appendFrame(make([]byte, 0, 256+len(document)), r)
	}
	if err == nil {
		out.frames, err = appendFrame(out.frames, document)
	}
	if err != nil {
		out.close()
	}
	return out, err
}

// open opens the original and all assets.
func (c *parcel) open(r *request, job engine.Job) error {
	if len(job.Assets) >= mostFiles {
		return fault.Newf(fault.Unprocessable, "the pipeline names %d pictures; at most %d are allowed", len(job.Assets), mostFiles-1)
	}
	file := func(given *os.File, path string) error {
		if given == nil {
			f, err := engine.OpenPlain(path, os.O_RDONLY, 0)
			if err != nil {
				return fault.Wrap(fault.Unavailable, "the original cannot be read now", fmt.Errorf("open: %w", err))
			}
			c.opened = append(c.opened, f)
			given = f
		}
		c.files = append(c.files, given)
		return nil
	}
	if err := file(job.File, job.Source); err != nil {
		return err
	}
	for key := range job.Assets {
		r.Keys = append(r.Keys, key)
	}
	slices.Sort(r.Keys)
	for _, key := range r.Keys {
		if err := file(job.AssetFiles[key], job.Assets[key]); err != nil {
			return err
		}
	}
	r.Files = len(c.files)
	return nil
}

// close closes what was opened here.
func (c *parcel) close() {
	for _, f := range c.opened {
		_ = f.Close() // it was only read
	}
}
