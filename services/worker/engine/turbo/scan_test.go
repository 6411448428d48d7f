//go:build vips

package turbo

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
)

// decoded gives the planes of a JPEG as they are decoded at 1/shrink.
func decoded(t testing.TB, file string, shrink int) ([][]byte, error) {
	t.Helper()
	before := live()
	defer func() { require.Equal(t, before, live(), "memory was not given back") }()
	c, stop := begin(t.Context())
	defer stop()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	s, err := open(c, f, 1<<26)
	if err != nil {
		return nil, err
	}
	defer s.close()
	p, err := emptyPicture(s.components)
	require.NoError(t, err)
	defer p.free()
	sizes := blocks(s.head, shrink, sampling{2, 2})
	if err := s.decode(c, shrink, sizes, nil, &p); err != nil {
		return nil, err
	}
	var out [][]byte
	for i := range s.components {
		g := s.grid(i, sizes[i])
		data, stride := p.samples(i)
		plane := make([]byte, 0, g.w*g.h)
		for y := range g.h {
			plane = append(plane, data[y*stride:y*stride+g.w]...)
		}
		out = append(out, plane)
	}
	return out, nil
}

// both puts a JPEG into a folder, and decodes by scan.c, where that goes, and by libjpeg alone.
func both(t testing.TB, dir string, original []byte, shrink int) (own, library [][]byte, err, libraryErr error) {
	t.Helper()
	defer ownScan(true)
	file := filepath.Join(dir, "original")
	require.NoError(t, os.WriteFile(file, original, 0o600))
	own, err = decoded(t, file, shrink)
	ownScan(false)
	library, libraryErr = decoded(t, file, shrink)
	return own, library, err, libraryErr
}

func TestScanAgreesWithLibjpeg(t *testing.T) {
	dir := t.TempDir()
	for name, k := range kinds {
		for _, size := range [][2]int{{640, 480}, {301, 203}, {17, 9}, {8, 8}, {1, 1}} {
			for _, quality := range []int{100, 75, 10} {
				k.quality = quality
				original := jpegOf(t, texture(size[0], size[1]), k)
				for _, shrink := range []int{4, 8} {
					own, library, err, libraryErr := both(t, dir, original, shrink)
					require.NoError(t, err)
					require.NoError(t, libraryErr)
					for c := range own {
						require.Len(t, own[c], len(library[c]))
						for i := range own[c] {
							require.InDelta(t, library[c][i], own[c][i], 1, "%s %v at %d, 1/%d, component %d, sample %d", name, size, quality, shrink, c, i)
						}
					}
				}
			}
		}
	}
}

// Whatever is wrong, the outcome is libjpeg's.
func TestScanLeavesDamageToLibjpeg(t *testing.T) {
	good, alike, dir := 0, 0, t.TempDir()
	for _, name := range []string{"420", "gray", "restarts"} {
		k := kinds[name]
		k.quality = 60
		original := jpegOf(t, texture(97, 61), k)
		step := 1
		if testing.Short() {
			step = 13
		}
		for i := 2; i < len(original); i += step {
			changed := bytes.Clone(original)
			changed[i] ^= byte(1 << (i % 8))
			for _, damaged := range [][]byte{changed, original[:i]} {
				own, library, err, libraryErr := both(t, dir, damaged, 4+4*(i%2))
				require.Equal(t, fault.KindOf(libraryErr), fault.KindOf(err), "%s, byte %d: %v and %v", name, i, libraryErr, err)
				if err == nil {
					good++
					if closeTo(own, library) {
						alike++
					}
				}
			}
		}
	}
	// Coefficients beyond all measure overflow in each in its own way.
	require.Greater(t, good, 100)
	assert.Greater(t, float64(alike), 0.9*float64(good))
}

func closeTo(a, b [][]byte) bool {
	for c := range a {
		for i := range a[c] {
			if d := int(a[c][i]) - int(b[c][i]); d > 1 || d < -1 {
				return false
			}
		}
	}
	return true
}
