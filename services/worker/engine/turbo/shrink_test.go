//go:build vips

package turbo

import (
	"image"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/services/worker/engine/enginetest"
)

// lumaOf scales a JPEG to w×h, decoded at 1/shrink, and gives its luma before
// any encoding.
func lumaOf(t testing.TB, file string, w, h, shrink int) *image.Gray {
	t.Helper()
	c, stop := begin(t.Context())
	defer stop()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	s, err := open(c, f, 1<<30)
	require.NoError(t, err)
	defer s.close()
	p, err := newPicture(s.components, w, h, sampling{2, 2})
	require.NoError(t, err)
	defer p.free()
	g := whole(s.width, s.height)
	g.x.resize(w)
	g.y.resize(h)
	require.NoError(t, s.decode(c, shrink, blocks(s.head, shrink, sampling{2, 2}), []result{{p, g}}, nil))
	data, stride := p.samples(0)
	out := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		copy(out.Pix[y*out.Stride:], data[y*stride:][:w])
	}
	return out
}

// A picture decoded at 1/2, 1/4 or 1/8 that is then scaled by little more than
// nothing looks like one that was decoded wholly.
func TestShrinkKeepsQuality(t *testing.T) {
	dir := enginetest.Shared(t, "photos")
	for _, name := range []string{"nuthatch-2mp.jpg", "dragonfly.jpg", "gps/DSCN0010.jpg", "orientation/Landscape_1.jpg", "orientation/Portrait_1.jpg"} {
		file := filepath.Join(dir, name)
		c, stop := begin(t.Context())
		f, err := os.Open(file)
		require.NoError(t, err)
		s, err := open(c, f, 1<<30)
		require.NoError(t, err)
		fullW, fullH := s.width, s.height
		s.close()
		stop()
		_ = f.Close()
		for _, shrink := range []int{2, 4, 8} {
			for _, part := range []float64{1 / enough, 0.65, 0.51} {
				w, h := int(float64(fullW)*part)/shrink, int(float64(fullH)*part)/shrink
				got := likeness(t, lumaOf(t, file, w, h, 1), lumaOf(t, file, w, h, shrink))
				t.Logf("%s at 1/%d, then to %.2f: SSIM %.4f", name, shrink, part, got)
				assert.GreaterOrEqual(t, got, 0.98, "%s %d %g", name, shrink, part)
			}
		}
	}
}
