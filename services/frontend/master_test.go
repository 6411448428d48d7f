package frontend

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
	"imagemill/services/taskdb"
)

// memMaster is an imagemaster in memory: what is uploaded is in progress until
// the test says otherwise.
type memMaster struct {
	mu      sync.Mutex
	images  map[string]*memImage
	changed chan struct{} // closed and replaced at each change

	// began gets a value when an upload is asked for, ended its outcome.
	began chan struct{}
	ended chan error
	// polled, if set, gets a value when a long poll begins to wait.
	polled chan struct{}
	// refuse, if set, is what every call fails with.
	refuse error
}

type memImage struct {
	upload imagemaster.Upload
	bytes  []byte
	status imagemaster.Status
	result map[string][]byte
}

func newMemMaster() *memMaster {
	return &memMaster{
		images: map[string]*memImage{}, changed: make(chan struct{}),
		began: make(chan struct{}, 64), ended: make(chan error, 64),
	}
}

func (m *memMaster) NewImage(_ context.Context, u imagemaster.Upload) (imagemaster.Accepted, error) {
	m.began <- struct{}{}
	acc, err := m.take(u)
	m.ended <- err
	return acc, err
}

func (m *memMaster) take(u imagemaster.Upload) (imagemaster.Accepted, error) {
	b, err := io.ReadAll(u.Body)
	if err != nil {
		return imagemaster.Accepted{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return imagemaster.Accepted{}, m.refuse
	}
	for id, old := range m.images {
		if key := u.IdempotencyKey; key == "" || key != old.upload.IdempotencyKey {
			continue
		}
		if !bytes.Equal(b, old.bytes) || string(u.Pipeline) != string(old.upload.Pipeline) {
			return imagemaster.Accepted{}, fault.New(fault.Unprocessable, "this key came with another picture").WithField("Idempotency-Key").WithID(id)
		}
		return imagemaster.Accepted{ID: id}, nil
	}
	id := uuid.NewString()
	now := time.Now()
	m.images[id] = &memImage{upload: u, bytes: b, status: imagemaster.Status{
		ID: id, State: imagemaster.StateInProgress, Created: now, Updated: now, Expires: u.Expires, Original: describe(u.ContentType, b),
		Lane: u.Lane, NotBefore: u.NotBefore,
	}}
	return imagemaster.Accepted{ID: id}, nil
}

func describe(contentType string, b []byte) imagemaster.Picture {
	sum := sha256.Sum256(b)
	return imagemaster.Picture{ContentType: contentType, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}
}

// add puts an image of one PNG rendition, "default", in the given state.
func (m *memMaster) add(state string, result []byte) (id string) {
	acc, _ := m.take(imagemaster.Upload{ContentType: "image/png", Body: strings.NewReader("original")})
	m.end(acc.ID, state, result)
	return acc.ID
}

// end brings an image to a state.
func (m *memMaster) end(id, state string, result []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	img := m.images[id]
	img.status.State = state
	switch state {
	case imagemaster.StateFinished:
		p := describe("image/png", result)
		p.Name, p.Format, p.Width, p.Height = "default", "png", 8, 6
		img.status.Results, img.status.Progress = []imagemaster.Picture{p}, 1
		img.result = map[string][]byte{"default": result}
	case imagemaster.StateFailed:
		img.status.Error = "the file ends too early"
		img.status.Failures = []string{"the file ends too early"}
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

// addRendition puts one more into a finished image.
func (m *memMaster) addRendition(id, name, format string, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := describe("image/"+format, b)
	p.Name, p.Format, p.Width, p.Height = name, format, 8, 6
	img := m.images[id]
	img.status.Results = append(img.status.Results, p)
	img.result[name] = b
}

func (m *memMaster) find(id string) (memImage, <-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return memImage{}, nil, m.refuse
	}
	if u, err := uuid.Parse(id); err != nil || u.String() != id {
		return memImage{}, nil, fault.Newf(fault.Invalid, "%.64q is no image ID", id).WithField("id")
	}
	img, ok := m.images[id]
	if !ok {
		return memImage{}, nil, fault.New(fault.NotFound, "there is no such task")
	}
	return *img, m.changed, nil
}

func (m *memMaster) IsReady(ctx context.Context, id string, wait time.Duration) (imagemaster.Status, error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		img, changed, err := m.find(id)
		if err != nil || img.status.State != imagemaster.StateInProgress || wait == 0 {
			return img.status, err
		}
		if m.polled != nil {
			m.polled <- struct{}{}
		}
		select {
		case <-changed:
		case <-over.C:
			return img.status, nil
		case <-ctx.Done():
			return img.status, ctx.Err()
		}
	}
}

func (m *memMaster) Get(_ context.Context, id, rendition string, span storage.Span) (imagemaster.Image, error) {
	img, _, err := m.find(id)
	if err != nil {
		return imagemaster.Image{}, err
	}
	switch st := img.status; st.State {
	case imagemaster.StateFinished:
	case imagemaster.StateFailed:
		return imagemaster.Image{}, fault.New(fault.Unprocessable, "the image could not be processed: "+st.Error).WithState(st.State)
	default:
		return imagemaster.Image{}, fault.New(fault.Conflict, "image "+id+" is "+st.State).WithState(st.State)
	}
	if rendition == "" {
		rendition = "default"
	}
	b, ok := img.result[rendition]
	if !ok {
		return imagemaster.Image{}, fault.Newf(fault.NotFound, "image %s has no rendition %.64q", id, rendition).WithField("rendition")
	}
	from, n, err := span.Resolve(int64(len(b)))
	if err != nil {
		return imagemaster.Image{}, err
	}
	var p imagemaster.Picture
	for _, r := range img.status.Results {
		if r.Name == rendition {
			p = r
		}
	}
	return imagemaster.Image{
		Object: storage.Object{
			Info:   storage.Info{Size: p.Size, SHA256: p.SHA256},
			Offset: from, Length: n, Body: io.NopCloser(bytes.NewReader(b[from : from+n])),
		},
		ContentType: p.ContentType, Name: p.Name, Format: p.Format,
	}, nil
}

func (m *memMaster) Delete(_ context.Context, owner, id string) error {
	img, _, err := m.find(id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if owner == "" || img.upload.Owner == owner {
		delete(m.images, id)
	}
	return nil
}

// only gives the one image that was uploaded.
func (m *memMaster) only() (img memImage, doc map[string]any, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range m.images {
		img = *i
		_ = json.Unmarshal(i.upload.Pipeline, &doc)
	}
	return img, doc, len(m.images)
}

func (m *memMaster) refuseWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = err
}

// of gives the images of an owner in a state, by ID. The lock is held.
func (m *memMaster) of(owner, state, after string) (found []*memImage) {
	for _, id := range slices.Sorted(maps.Keys(m.images)) {
		img := m.images[id]
		if id > after && img.status.State == state && (owner == "" || img.upload.Owner == owner) {
			found = append(found, img)
		}
	}
	return found
}

func (m *memMaster) List(_ context.Context, owner, state, after string, limit int) (imagemaster.Listing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains([]string{imagemaster.StateFinished, imagemaster.StateFailed, imagemaster.StateCancelled}, state) {
		return imagemaster.Listing{}, fault.New(fault.Invalid, "must be finished, failed or cancelled").WithField("state")
	}
	l := imagemaster.Listing{Images: []imagemaster.Status{}}
	for _, img := range m.of(owner, state, after) {
		if limit > 0 && len(l.Images) == limit {
			l.Next = l.Images[limit-1].ID
			break
		}
		l.Images = append(l.Images, img.status)
	}
	return l, m.refuse
}

func (m *memMaster) move(owner, id, to string, from ...string) (imagemaster.Status, error) {
	img, _, err := m.find(id)
	switch {
	case err != nil:
		return imagemaster.Status{}, err
	case owner != "" && img.upload.Owner != owner:
		return imagemaster.Status{}, fault.New(fault.NotFound, "there is no such task")
	case !slices.Contains(from, img.status.State):
		return imagemaster.Status{}, fault.New(fault.Conflict, "image "+id+" is "+img.status.State).WithState(img.status.State)
	}
	m.end(id, to, nil)
	img, _, err = m.find(id)
	return img.status, err
}

func (m *memMaster) Cancel(_ context.Context, owner, id string) (imagemaster.Status, error) {
	return m.move(owner, id, imagemaster.StateCancelled, imagemaster.StateInProgress, imagemaster.StateCancelled)
}

func (m *memMaster) Retry(_ context.Context, owner, id string) (imagemaster.Status, error) {
	return m.move(owner, id, imagemaster.StateInProgress, imagemaster.StateFailed, imagemaster.StateCancelled)
}

func (m *memMaster) RetryFailed(_ context.Context, owner, after string, limit int) (r taskdb.Retries, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, img := range m.of(owner, imagemaster.StateFailed, after) {
		if limit > 0 && r.Retried == limit {
			break
		}
		img.status.State, r.Next = imagemaster.StateInProgress, img.status.ID
		r.Retried++
	}
	if len(m.of(owner, imagemaster.StateFailed, after)) == 0 {
		r.Next = ""
	}
	return r, m.refuse
}
