package process

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"imagemill/internal/fault"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/sandbox"
)

// maxFrame bounds a frame in bytes, so that a mad peer costs no memory. A
// pipeline has at most 64 KiB and an answer a few hundred bytes a rendition.
const maxFrame = 1 << 20

// protocol is the version of the frames; parent and child must agree.
const protocol = 3

// setup is the parent's first frame: what the child is left with.
type setup struct {
	Protocol int `json:"protocol"`
	// Dir is the folder into which all results go.
	Dir     string         `json:"dir"`
	Sandbox sandbox.Config `json:"sandbox"`
}

// hello is the child's first frame, sent from within the sandbox.
type hello struct {
	Protocol int             `json:"protocol"`
	Sandbox  []sandbox.State `json:"sandbox"`
	About    About           `json:"about"`
}

// About is what a child says of itself when it greets.
type About struct {
	// Version is its program's.
	Version string `json:"version,omitempty"`
	// Abilities are its engine's.
	Abilities engine.Abilities `json:"abilities"`
}

// request is one job for a child. A second frame follows it: the pipeline, rendition
// by rendition, which is a frame of its own so that a child that has seen the same
// bytes before need not parse them again.
type request struct {
	ID uint64 `json:"id"`
	// Source is the original's path, and Assets those of further pictures, where
	// no descriptors can be passed.
	Source string            `json:"source,omitempty"`
	Assets map[string]string `json:"assets,omitempty"`
	// Files is the number of descriptors that came with the frame: the original,
	// then one for each of Keys.
	Files  int           `json:"files,omitempty"`
	Keys   []string      `json:"keys,omitempty"`
	Limits engine.Limits `json:"limits,omitzero"`
	// Threads is that of the job.
	Threads int `json:"threads,omitempty"`
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

// appendFrame appends v as a frame. A []byte is taken as it is.
func appendFrame(to []byte, v any) ([]byte, error) {
	body, raw := v.([]byte)
	if !raw {
		var err error
		if body, err = json.Marshal(v); err != nil {
			return to, fmt.Errorf("marshal frame: %w", err)
		}
	}
	if len(body) > maxFrame {
		return to, fmt.Errorf("write frame: %d bytes are more than %d", len(body), maxFrame)
	}
	to = binary.BigEndian.AppendUint32(to, uint32(len(body))) //nolint:gosec // bounded above
	return append(to, body...), nil
}

// writeFrame sends v in one write.
func writeFrame(w io.Writer, v any) error {
	frame, err := appendFrame(make([]byte, 0, 512), v)
	if err != nil {
		return err
	}
	if _, err := w.Write(frame); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// errRubbish marks bytes that are no frame of this protocol.
var errRubbish = errors.New("not a frame")

// readBody receives a frame. The error is io.EOF when the peer has closed between
// frames, and errRubbish in the chain when what it sent makes no sense.
func readBody(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return nil, fmt.Errorf("%w: it claims %d bytes", errRubbish, size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("read frame: %w", io.ErrUnexpectedEOF)
	}
	return body, nil
}

// readFrame receives v.
func readFrame(r io.Reader, v any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", errRubbish, err)
	}
	return nil
}
