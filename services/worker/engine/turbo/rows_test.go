//go:build vips

package turbo

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/plan"
)

// rowsOf decodes a picture that is decoded already.
func rowsOf(m image.Image) Rows {
	b := m.Bounds()
	stride := 3*b.Dx() + 5
	pixels := make([]byte, stride*b.Dy())
	for y := range b.Dy() {
		for x := range b.Dx() {
			c := color.NRGBAModel.Convert(m.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
			copy(pixels[y*stride+3*x:], []byte{c.R, c.G, c.B})
		}
	}
	return func(_ context.Context, most int, use func(unsafe.Pointer, int, int) error) error {
		for y := 0; y < b.Dy(); y += most {
			if err := use(unsafe.Pointer(&pixels[y*stride]), stride, min(most, b.Dy()-y)); err != nil {
				return err
			}
		}
		return nil
	}
}

// renderRows makes p of a picture that is stored by an orientation.
func renderRows(t testing.TB, m image.Image, orientation int, p pipeline.Pipeline, rows Rows) (map[int]engine.Rendition, error) {
	t.Helper()
	b := m.Bounds()
	original := engine.Picture{Format: "png", Width: b.Dx(), Height: b.Dy(), Orientation: orientation, Frames: 1, Bands: 3, Depth: 8}
	pl, err := plan.Make(p, original, abilities())
	require.NoError(t, err)
	for _, s := range pl.Steps {
		require.True(t, s.Planes && !s.Fast, "%+v", s)
	}
	before := live()
	done, err := RenderRows(t.Context(), engine.Job{Dir: t.TempDir(), Pipeline: p}, original, pl, 2, rows)
	require.Equal(t, before, live(), "memory was not given back")
	return done, err
}

// What is made from rows is like what Lanczos makes of the same picture.
func TestRowsAreLikeTheWhole(t *testing.T) {
	pictures := map[string]image.Image{"photograph": photograph(t), "odd": texture(701, 517), "small": texture(33, 19), "one": texture(1, 1)}
	for name, m := range pictures {
		for _, by := range []float64{1, 1.3, 1.6, 2.5, 5, 9} {
			p := one(t, fmt.Sprintf(bothFormats, fmt.Sprintf(`{"op":"resize","width":%d}`, max(int(float64(m.Bounds().Dx())/by), 1))))
			got, err := renderRows(t, m, 1, p, rowsOf(m))
			require.NoError(t, err)
			compare(t, got, engine.PathPlanes, enginetest.Whole{Pixels: enginetest.Opaque(m)}, p, 6, fmt.Sprintf("%s by %g", name, by))
		}
	}
}

// The wide loops and the plain ones give the same planes, which are those that
// the standard library computes; what is too much to make on the way is made later.
func TestRowsBecomePlanes(t *testing.T) {
	defer wide(true)
	c, stop := begin(t.Context())
	defer stop()
	for _, size := range [][2]int{{1, 1}, {2, 3}, {63, 130}, {97, 64}, {200, 129}} {
		m := texture(size[0], size[1])
		for _, every := range []int{1, 2} {
			want := planes(t, m, kind{sampling: sampling{every, every}})
			for _, lanes := range []bool{false, true} {
				wide(lanes)
				f, err := openFeed(c, size[0], size[1], every, nil, nil)
				require.NoError(t, err)
				require.NoError(t, rowsOf(m)(t.Context(), feedRows, func(rgb unsafe.Pointer, stride, n int) error { return f.rows(c, rgb, stride, n) }))
				got, err := emptyPicture(3)
				require.NoError(t, err)
				require.NoError(t, f.end(c, &got))
				f.close()
				for plane := range 3 {
					by := 1
					if plane > 0 {
						by = every
					}
					a, aStride := want.samples(plane)
					b, bStride := got.samples(plane)
					for y := range (size[1] + by - 1) / by {
						for x := range (size[0] + by - 1) / by {
							require.InDelta(t, a[y*aStride+x], b[y*bStride+x], 1, "%v every %d lanes %v plane %d at %d, %d", size, every, lanes, plane, x, y)
						}
					}
				}
				got.free()
			}
			want.free()
		}
	}
}

func TestRowsOfEveryOrientation(t *testing.T) {
	m := texture(120, 80)
	for orientation := 1; orientation <= 8; orientation++ {
		p := one(t, `{"format":"jpeg","quality":95,"operations":[{"op":"crop","x":3,"y":5,"width":60,"height":61},{"op":"resize","width":41}]}`)
		got, err := renderRows(t, m, orientation, p, rowsOf(m))
		require.NoError(t, err)
		turned := enginetest.Upright(enginetest.Opaque(m), orientation)
		want, err := renderRows(t, turned, 1, p, rowsOf(turned))
		require.NoError(t, err)
		a, b := readPicture(t, want[0].File), readPicture(t, got[0].File)
		require.Equal(t, a.Bounds(), b.Bounds())
		require.Greater(t, likeness(t, a, b), 0.98, "orientation %d", orientation)
	}
}

// Whatever goes wrong, memory is given back, and no rows too few make a result.
func TestRowsThatFail(t *testing.T) {
	m := texture(301, 217)
	p := widths([]pipeline.Format{pipeline.JPEG, pipeline.WebP}, 0, 200, 80)
	wrong := fault.New(fault.Unprocessable, "the PNG is damaged")
	_, err := renderRows(t, m, 1, p, func(context.Context, int, func(unsafe.Pointer, int, int) error) error { return wrong })
	require.ErrorIs(t, err, wrong)
	_, err = renderRows(t, m, 1, p, func(ctx context.Context, most int, use func(unsafe.Pointer, int, int) error) error {
		calls := 0
		return rowsOf(m)(ctx, most, func(rgb unsafe.Pointer, stride, n int) error {
			if calls++; calls == 3 {
				return nil // swallowed
			}
			return use(rgb, stride, n)
		})
	})
	require.Error(t, err)
	defer failAfter(-1)
	for n := 0; ; n++ {
		failAfter(n)
		_, err := renderRows(t, m, 1, p, rowsOf(m))
		if err == nil {
			assert.Greater(t, n, 20)
			return
		}
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "allocation %d: %v", n, err)
	}
}
