package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif"  // the formats of results
	_ "image/jpeg" // the formats of results
	_ "image/png"  // the formats of results
	"os"
	"path/filepath"
	"runtime"
	"time"

	_ "golang.org/x/image/bmp"  // the formats of results
	_ "golang.org/x/image/tiff" // the formats of results
	"golang.org/x/sync/errgroup"

	"imagemill/pkg/client"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/imaging"
)

// verifier compares results with what they are said to be, and with what the
// built-in engine makes of the same picture.
type verifier struct {
	client *client.Client
	engine engine.Engine
	// doc is what the server makes of the pictures; nil where only it knows.
	doc *pipeline.Pipeline
}

// newVerifier makes a verifier. The pixels of a preset that is not built in
// cannot be foretold.
func newVerifier(c *client.Client, o client.Options) *verifier {
	v := &verifier{client: c, engine: imaging.New()}
	if doc, err := document(o); err == nil {
		v.doc = &doc
	}
	return v
}

// verifyAll checks all pictures that went well so far. It does so after the
// measurement, which it would slow down otherwise.
func (v *verifier) verifyAll(ctx context.Context, all []sample, timeout time.Duration) {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range all {
		if all[i].err != nil {
			continue
		}
		g.Go(func() error {
			ctx, stop := context.WithTimeout(ctx, timeout)
			defer stop()
			all[i].err = v.verify(ctx, all[i].picture, all[i].status)
			return nil
		})
	}
	_ = g.Wait() // each sample has its own error
}

// verify checks every rendition of one picture.
func (v *verifier) verify(ctx context.Context, picture []byte, st client.Status) error {
	if len(st.Renditions) == 0 {
		return fmt.Errorf("image %s is finished without a rendition", st.ID)
	}
	want, err := v.expected(ctx, picture)
	if err != nil {
		return fmt.Errorf("image %s: %w", st.ID, err)
	}
	for _, r := range st.Renditions {
		got, err := v.download(ctx, st.ID, r)
		if err != nil {
			return err
		}
		if v.doc == nil {
			continue
		}
		if m, ok := want[r.Name]; !ok || !alike(got, m, r.Format) {
			return fmt.Errorf("image %s: the pixels of %s are wrong", st.ID, r.Name)
		}
	}
	return nil
}

// expected renders the picture here; by name of the rendition.
func (v *verifier) expected(ctx context.Context, picture []byte) (_ map[string]image.Image, err error) {
	if v.doc == nil {
		return nil, nil //nolint:nilnil // nothing is expected
	}
	dir, err := os.MkdirTemp("", "imagemill-bench-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	source := filepath.Join(dir, "original")
	if err := os.WriteFile(source, picture, 0o600); err != nil {
		return nil, fmt.Errorf("write original: %w", err)
	}
	rep, err := v.engine.Render(ctx, engine.Job{Source: source, Dir: dir, Pipeline: *v.doc})
	if err != nil {
		return nil, fmt.Errorf("render what is expected: %w", err)
	}
	out := map[string]image.Image{}
	for _, r := range rep.Renditions {
		data, err := os.ReadFile(r.File)
		if err != nil {
			return nil, fmt.Errorf("read what is expected: %w", err)
		}
		if out[r.Name], _, err = image.Decode(bytes.NewReader(data)); err != nil {
			return nil, fmt.Errorf("decode what is expected: %w", err)
		}
	}
	return out, nil
}

// download fetches a rendition and compares it with what the status says. The
// client has compared the bytes with the announced digest already.
func (v *verifier) download(ctx context.Context, id string, want client.Picture) (image.Image, error) {
	var b bytes.Buffer
	got, err := v.client.Download(ctx, id, want.Name, &b)
	if err != nil {
		return nil, err
	}
	if got.SHA256 != want.SHA256 || got.Size != want.Size {
		return nil, fmt.Errorf("image %s: %s has %d bytes and digest %s, not %d and %s",
			id, want.Name, got.Size, got.SHA256, want.Size, want.SHA256)
	}
	m, format, err := image.Decode(&b)
	if err != nil {
		return nil, fmt.Errorf("image %s: decode %s: %w", id, want.Name, err)
	}
	if size := m.Bounds().Size(); size.X != want.Width || size.Y != want.Height || format != want.Format {
		return nil, fmt.Errorf("image %s: %s is a %s of %d×%d, not a %s of %d×%d",
			id, want.Name, format, size.X, size.Y, want.Format, want.Width, want.Height)
	}
	return m, nil
}

// Engines may round differently: so much may a channel of any pixel of a
// lossless format differ, and all of a lossy one on average, of 255.
const (
	mostApart    = 3
	averageApart = 6
)

// alike reports whether two pictures show the same.
func alike(a, b image.Image, format string) bool {
	ra, rb := a.Bounds(), b.Bounds()
	if ra.Size() != rb.Size() {
		return false
	}
	sum, most := 0, 0
	for y := range ra.Dy() {
		for x := range ra.Dx() {
			p := color.NRGBAModel.Convert(a.At(ra.Min.X+x, ra.Min.Y+y)).(color.NRGBA)
			q := color.NRGBAModel.Convert(b.At(rb.Min.X+x, rb.Min.Y+y)).(color.NRGBA)
			for _, d := range [4]int{apart(p.R, q.R), apart(p.G, q.G), apart(p.B, q.B), apart(p.A, q.A)} {
				sum, most = sum+d, max(most, d)
			}
		}
	}
	if format == "png" {
		return most <= mostApart
	}
	return sum <= averageApart*4*ra.Dx()*ra.Dy()
}

func apart(a, b uint8) int { return max(int(a), int(b)) - min(int(a), int(b)) }
