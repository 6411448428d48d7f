package process

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"imagemill/internal/fault"
	"imagemill/services/worker/engine"
)

// maxFrame bounds a frame in bytes, so that a mad peer costs no memory. A
// pipeline has at most 64 KiB and an answer a few hundred bytes a rendition.
const maxFrame = 1 << 20

// protocol is the version of the frames; parent and child must agree.
const protocol = 1

// hello is the child's first frame.
type hello struct {
	Protocol int `json:"protocol"`
}

// request is one job for a child.
type request struct {
	ID  uint64     `json:"id"`
	Job engine.Job `json:"job"`
}

// reply answers the request with the same ID by a report or a failure.
type reply struct {
	ID      uint64        `json:"id"`
	Report  engine.Report `json:"report,omitzero"`
	Failure *failure      `json:"failure,omitempty"`
}

// failure is a fault.Error on its way between processes, its cause as text.
type failure struct {
	Kind   fault.Kind `json:"kind"`
	Public string     `json:"public"`
	Field  string     `json:"field,omitempty"`
	Cause  string     `json:"cause,omitempty"`
}

// maxCause bounds the private text of a failure in bytes.
const maxCause = 8 << 10

func failureOf(err error) *failure {
	e := fault.As(err)
	f := &failure{Kind: e.Kind, Public: e.Public, Field: e.Field}
	if e.Err != nil {
		text := e.Err.Error()
		f.Cause = text[:min(len(text), maxCause)]
	}
	return f
}

// err turns a failure back into the error that it was.
func (f *failure) err() error {
	e := fault.New(f.Kind, f.Public).WithField(f.Field)
	if f.Cause != "" {
		e.Err = errors.New(f.Cause)
	}
	return e
}

// writeFrame sends v in one write.
func writeFrame(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("marshal frame: %w", err)
	}
	if len(body) > maxFrame {
		return fmt.Errorf("write frame: %d bytes are more than %d", len(body), maxFrame)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body))) //nolint:gosec // bounded above
	if _, err := w.Write(append(frame, body...)); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// errRubbish marks bytes that are no frame of this protocol.
var errRubbish = errors.New("not a frame")

// readFrame receives v. The error is io.EOF when the peer has closed between
// frames, and errRubbish in the chain when what it sent makes no sense.
func readFrame(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return fmt.Errorf("%w: it claims %d bytes", errRubbish, size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("read frame: %w", io.ErrUnexpectedEOF)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", errRubbish, err)
	}
	return nil
}
