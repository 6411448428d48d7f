package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/sandbox"
)

// Serve is the child's side. It hears from the parent what it is left with, goes
// into the sandbox, greets, then answers one request after the other until the
// line ends, which returns nil, or ctx is done, which returns its error. A failure
// of the engine is an answer, not an end; a broken line or a frame that makes no
// sense is an end.
//
// Whatever e has to load must be loaded before: from the greeting on, the process
// opens no file but results, and what lies in the folders that e names where it has
// a method ReadsFrom() []string. The greeting tells about. All results go into the
// folder that the parent has
// made for this child. The wall clock is the parent's: a job's own WallTime is not
// looked at here unless the engine does.
func Serve(ctx context.Context, line *Line, e engine.Engine, about About) error {
	stop := context.AfterFunc(ctx, line.end)
	defer stop()
	s := server{line: line, engine: e, about: about, idle: idleTimer(e)}
	defer s.idle.Stop()
	err := s.greet()
	for err == nil {
		err = s.next(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// reader is an engine whose libraries read files of the system while they work:
// those of fonts, as a rule. It names their folders.
type reader interface{ ReadsFrom() []string }

// server is a child at work.
type server struct {
	line   *Line
	engine engine.Engine
	about  About
	dir    string
	known  documents
	idle   *time.Timer
}

func (s *server) greet() error {
	var first setup
	if err := readFrame(s.line.read, &first); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if first.Protocol != protocol {
		return fmt.Errorf("the parent speaks protocol %d, not %d", first.Protocol, protocol)
	}
	s.dir = first.Dir
	if r, ok := s.engine.(reader); ok {
		first.Sandbox.Read = r.ReadsFrom()
	}
	if err := writeFrame(s.line.out, hello{protocol, sandbox.Enter(first.Sandbox), s.about}); err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	return nil
}

// next answers one request.
func (s *server) next(ctx context.Context) error {
	id, job, done, err := s.receive()
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	answer := reply{ID: id}
	s.idle.Stop()
	report, err := s.engine.Render(ctx, job)
	done()
	if err != nil {
		answer.Failure = failureOf(err)
	} else {
		answer.Report = report
	}
	if err := writeFrame(s.line.out, answer); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	s.idle.Reset(idleTime)
	return nil
}

// receive reads a request with all that belongs to it; done closes its files.
func (s *server) receive() (id uint64, job engine.Job, done func(), err error) {
	var r request
	if err := readFrame(s.line.read, &r); err != nil {
		return 0, job, nil, err
	}
	document, err := readBody(s.line.read)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, job, nil, err
	}
	p, err := s.known.parse(document)
	if err != nil {
		return 0, job, nil, err
	}
	files, err := s.line.take(r.Files)
	if err != nil {
		return 0, job, nil, err
	}
	done = func() {
		for _, f := range files {
			_ = f.Close() // it was only read
		}
	}
	job = engine.Job{Source: r.Source, Dir: s.dir, Pipeline: p, Limits: r.Limits, Assets: r.Assets, Threads: r.Threads}
	if err := r.open(&job, files); err != nil {
		done()
		return 0, job, nil, err
	}
	return r.ID, job, done, nil
}

// open puts the descriptors where they belong.
func (r request) open(job *engine.Job, files []*os.File) error {
	if len(files) == 0 {
		return nil
	}
	if len(files) != 1+len(r.Keys) {
		return fmt.Errorf("%w: %d descriptors for %d keys", errRubbish, len(files), len(r.Keys))
	}
	job.File = files[0]
	for i, key := range r.Keys {
		if job.AssetFiles == nil {
			job.AssetFiles = make(map[string]*os.File, len(r.Keys))
			job.Assets = make(map[string]string, len(r.Keys))
		}
		// It has no path here; that it is named says that it is there.
		job.AssetFiles[key], job.Assets[key] = files[1+i], ""
	}
	return nil
}
