// Package enginetest is the suite that every engine passes, in the worker's
// process or behind a pipe.
//
// It checks properties, not bytes: sizes, orientation, colours at known places,
// mean colours, kinds of failure. Its pictures are made by code. Where the
// folder of shared photographs and hostile files lies beside the module, those
// are used too; with IMAGEMILL_CI=1 their absence is a failure, otherwise the
// tests are skipped with a reason. A bug found in one engine becomes a case here.
package enginetest

import (
	"cmp"
	"image"
	_ "image/gif"  // results are read back
	_ "image/jpeg" // results are read back
	_ "image/png"  // results are read back
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "golang.org/x/image/tiff" // results are read back

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// Run puts e through the whole suite but for the hostile files, which need an
// engine that survives crashes: see Hostile.
func Run(t *testing.T, e engine.Engine) {
	s := Suite{e}
	t.Run("sizes follow the plan", s.sizesFollowThePlan)
	t.Run("operations", s.operations)
	t.Run("fits", s.fits)
	t.Run("formats in", s.formatsIn)
	t.Run("formats out", s.formatsOut)
	t.Run("transparency", s.transparency)
	t.Run("orientation", s.orientation)
	t.Run("photographs", s.photographs)
	t.Run("cmyk", s.cmyk)
	t.Run("many renditions", s.manyRenditions)
	t.Run("metadata is dropped", s.metadataIsDropped)
	t.Run("bad input", s.badInput)
	t.Run("limits", s.limits)
	t.Run("cancelled", s.cancelled)
}

// patience is the wall time of a picture whose time is not what is tested: it may
// stand still for long on a machine that is busy with other things.
const patience = 5 * time.Minute

// Suite is an engine with helpers to use it in tests.
type Suite struct{ Engine engine.Engine }

// Render puts bytes into a file and renders a pipeline given as JSON
// operations, or as a whole document when it begins with "{".
func (s Suite) Render(t testing.TB, original []byte, document string) (engine.Report, error) {
	t.Helper()
	source := filepath.Join(t.TempDir(), "original")
	require.NoError(t, os.WriteFile(source, original, 0o600))
	return s.RenderFile(t, source, document, engine.Limits{})
}

// RenderFile is Render for a file and limits; no wall time stands for a long one.
func (s Suite) RenderFile(t testing.TB, source, document string, limits engine.Limits) (engine.Report, error) {
	t.Helper()
	if document == "" || document[0] == '[' {
		document = `{"renditions":[{"format":"png","operations":` + orEmpty(document) + `}]}`
	}
	p, err := pipeline.Parse([]byte(document))
	require.NoError(t, err, document)
	limits.WallTime = cmp.Or(limits.WallTime, patience)
	return s.Engine.Render(t.Context(), engine.Job{Source: source, Dir: t.TempDir(), Pipeline: p, Limits: limits})
}

func orEmpty(list string) string {
	if list == "" {
		return "[]"
	}
	return list
}

// Picture renders and gives the first result, decoded.
func (s Suite) Picture(t testing.TB, original []byte, document string) image.Image {
	t.Helper()
	report, err := s.Render(t, original, document)
	require.NoError(t, err, document)
	return Open(t, report.Renditions[0])
}

// Open decodes a result and holds it to what the report says of it.
func Open(t testing.TB, r engine.Rendition) image.Image {
	t.Helper()
	f, err := os.Open(r.File)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	m, format, err := image.Decode(f)
	require.NoError(t, err)
	stat, err := f.Stat()
	require.NoError(t, err)
	require.Equal(t, string(r.Format), format)
	require.Equal(t, "image/"+format, r.ContentType)
	require.Equal(t, stat.Size(), r.Bytes)
	require.Equal(t, image.Pt(r.Width, r.Height), m.Bounds().Size())
	return m
}

// Shared gives the path of a file or folder of shared test material, which
// lies beside the module. Where there is none it skips the test, or fails it
// when IMAGEMILL_CI is 1.
func Shared(t testing.TB, path ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		require.NotEqual(t, filepath.Dir(dir), dir, "the module's root is not above the test")
		dir = filepath.Dir(dir)
	}
	name := filepath.Join(append([]string{filepath.Dir(dir), "shared"}, path...)...)
	if _, err := os.Stat(name); err != nil {
		if os.Getenv("IMAGEMILL_CI") == "1" {
			t.Fatalf("shared test material is missing: %v", err)
		}
		t.Skipf("shared test material is not here: %v", err)
	}
	return name
}
