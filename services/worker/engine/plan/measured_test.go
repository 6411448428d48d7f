package plan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/enginetest"
	"imagemill/services/worker/engine/header"
	"imagemill/services/worker/engine/imaging"
	"imagemill/services/worker/engine/plan"
)

// jobEnv makes this test program render one job, given as JSON, and say the most
// memory that it had.
const jobEnv = "IMAGEMILL_TEST_JOB"

func TestMain(m *testing.M) {
	doc := os.Getenv(jobEnv)
	if doc == "" {
		os.Exit(m.Run())
	}
	var job engine.Job
	err := json.Unmarshal([]byte(doc), &job)
	if err == nil {
		_, err = imaging.New().Render(context.Background(), job)
	}
	status, rerr := os.ReadFile("/proc/self/status")
	if err != nil || rerr != nil {
		fmt.Println(err, rerr)
		os.Exit(1)
	}
	_, _ = os.Stdout.Write(status)
}

// peak renders a picture in a process of its own and gives its VmHWM in bytes.
func peak(t *testing.T, source string, p pipeline.Pipeline) int64 {
	t.Helper()
	doc, err := json.Marshal(engine.Job{Source: source, Dir: t.TempDir(), Pipeline: p, Limits: engine.Limits{WallTime: 5 * time.Minute}})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), jobEnv+"="+string(doc))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	for line := range strings.Lines(string(out)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	t.Fatal("no VmHWM in the status of the process")
	return 0
}

// noisy is a picture that does not compress well, in any of three types.
func noisy(m interface {
	image.Image
	Set(x, y int, c color.Color)
}) image.Image {
	r := rand.New(rand.NewPCG(1, 2))
	for y := 0; y < m.Bounds().Dy(); y += 3 {
		for x := 0; x < m.Bounds().Dx(); x += 3 {
			m.Set(x, y, color.NRGBA{R: uint8(r.Uint32()), G: uint8(x), B: uint8(y), A: uint8(128 + x%128)})
		}
	}
	return m
}

func file(t *testing.T, name string, encode func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, encode(&b))
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

func TestEstimateAgainstMeasured(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("needs /proc, to measure the memory of a process")
	}
	if testing.Short() {
		t.Skip("renders large pictures")
	}
	photos := enginetest.Shared(t, "photos")
	photo := func(name string) string { return filepath.Join(photos, name) }
	large := image.Rect(0, 0, 4000, 3000)
	const one = `{"op":"resize","width":800}`
	six := ""
	for i, w := range []int{320, 640, 960, 1280, 1920, 2560} {
		six += fmt.Sprintf(`,{"name":"w%d","format":"jpeg","operations":[{"op":"resize","width":%d}]}`, i, w)
	}
	six = six[1:]
	rgba := file(t, "rgba.png", func(w io.Writer) error { return png.Encode(w, noisy(image.NewNRGBA(large))) })
	for _, c := range []struct{ name, source, renditions string }{
		{"12 MP JPEG to 800", photo("nuthatch-12mp.jpg"), `{"operations":[` + one + `]}`},
		{"12 MP JPEG to six widths", photo("nuthatch-12mp.jpg"), six},
		{"12 MP JPEG blurred at full size", photo("nuthatch-12mp.jpg"), `{"operations":[{"op":"blur","sigma":2}]}`},
		{"12 MP JPEG to PNG", photo("nuthatch-12mp.jpg"), `{"format":"png"}`},
		{"13 MP progressive 4:2:2", photo("dragonfly.jpg"), `{"operations":[` + one + `]}`},
		{"2 MP JPEG", photo("nuthatch-2mp.jpg"), `{"operations":[` + one + `]}`},
		{"2 MP JPEG turned", photo("orientation/Portrait_6.jpg"), `{"operations":[` + one + `]}`},
		{"tiny PNG", file(t, "tiny.png", func(w io.Writer) error { return png.Encode(w, image.NewNRGBA(image.Rect(0, 0, 64, 64))) }), `{"operations":[{"op":"resize","width":32}]}`},
		{"12 MP PNG with transparency", rgba, `{"operations":[` + one + `]}`},
		{"12 MP PNG cut and turned", rgba, `{"operations":[{"op":"crop","width":2000,"height":2000},{"op":"rotate","angle":45}]}`},
		{"12 MP grey JPEG", file(t, "grey.jpg", func(w io.Writer) error { return jpeg.Encode(w, noisy(image.NewGray(large)), nil) }), `{"operations":[` + one + `]}`},
		{"12 MP PNG of 16 bits", file(t, "deep.png", func(w io.Writer) error { return png.Encode(w, noisy(image.NewNRGBA64(large))) }), `{"operations":[` + one + `]}`},
		{"12 MP GIF", file(t, "flat.gif", func(w io.Writer) error { return gif.Encode(w, noisy(image.NewPaletted(large, palette.WebSafe)), nil) }), `{"format":"png","operations":[` + one + `]}`},
	} {
		p, err := pipeline.Parse([]byte(`{"renditions":[` + c.renditions + `]}`))
		require.NoError(t, err, c.name)
		info, err := header.Open(c.source, 256)
		require.NoError(t, err)
		made, err := plan.Make(p, info.Picture, imaging.Abilities())
		require.NoError(t, err)
		measured := peak(t, c.source, p)
		ratio := float64(made.Memory) / float64(measured)
		t.Logf("%-32s estimate %4d MiB, measured %4d MiB, ratio %.2f", c.name, made.Memory>>20, measured>>20, ratio)
		require.Greater(t, ratio, 0.9, "%s: an estimate that is short lets too much in", c.name)
		require.Less(t, ratio, 6.0, "%s: an estimate that is far too high lets nothing in", c.name)
	}
}
