package enginetest

import (
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// marked renders a document whose watermarks are the picture mark.
func (s conformance) marked(t *testing.T, original, mark []byte, document string) (engine.Report, error) {
	t.Helper()
	dir := t.TempDir()
	source, asset := filepath.Join(dir, "original"), filepath.Join(dir, "asset")
	require.NoError(t, os.WriteFile(source, original, 0o600))
	require.NoError(t, os.WriteFile(asset, mark, 0o600))
	p, err := pipeline.Parse([]byte(`{"renditions":[{"format":"png","operations":[` + document + `]}]}`))
	require.NoError(t, err, document)
	job := engine.Job{Source: source, Dir: dir, Pipeline: p, Assets: map[string]string{}, Limits: engine.Limits{WallTime: patience}}
	for _, a := range p.Assets() {
		if a.Image != "gone" {
			job.Assets[a.Key()] = asset
		}
	}
	return s.Engine.Render(t.Context(), job)
}

// watermarks checks where they lie, and how much they hide.
func (s conformance) watermarks(t *testing.T) {
	white := color.NRGBA{R: 255, G: 255, B: 255, A: 255}
	plain := image.NewGray(image.Rect(0, 0, 8, 8))
	for i := range plain.Pix {
		plain.Pix[i] = 255
	}
	mix := func(c color.NRGBA) color.NRGBA {
		return color.NRGBA{R: uint8((int(c.R) + 255) / 2), G: uint8((int(c.G) + 255) / 2), B: uint8((int(c.B) + 255) / 2), A: 255}
	}
	for _, c := range []struct {
		op    string
		where map[image.Point]color.NRGBA
	}{
		{`"gravity":"northwest"`, map[image.Point]color.NRGBA{{0, 0}: white, {7, 7}: white, {8, 8}: red, {40, 4}: green}},
		{`"gravity":"southeast","x":2,"y":3`, map[image.Point]color.NRGBA{{45, 28}: white, {46, 28}: yellow, {45, 29}: yellow, {38, 21}: white, {37, 21}: yellow}},
		{`"opacity":0.5`, map[image.Point]color.NRGBA{{21, 13}: mix(red), {26, 18}: mix(yellow), {2, 2}: red}},
		{`"tile":true,"x":4,"y":4`, map[image.Point]color.NRGBA{{0, 0}: white, {9, 0}: red, {12, 12}: white, {25, 25}: white, {33, 25}: yellow}},
		{`"scale":0.5,"gravity":"northwest"`, map[image.Point]color.NRGBA{{0, 0}: white, {23, 23}: white, {25, 10}: green}},
		{`"gravity":"northwest","x":-4,"y":-4`, map[image.Point]color.NRGBA{{0, 0}: white, {3, 3}: white, {4, 4}: red}},
	} {
		report, err := s.marked(t, PNG(t, Quadrants(48, 32)), PNG(t, plain), `{"op":"watermark","image":"logo",`+c.op+`}`)
		require.NoError(t, err, c.op)
		got := Open(t, report.Renditions[0])
		require.Equal(t, image.Pt(48, 32), got.Bounds().Size())
		for p, want := range c.where {
			near(t, want, at(got, p.X, p.Y), 2, c.op, p)
		}
	}
	_, err := s.marked(t, PNG(t, Quadrants(48, 32)), PNG(t, plain), `{"op":"watermark","image":"gone"}`)
	require.True(t, engine.Final(err), "%v", err)
	require.Contains(t, fault.As(err).Public, "gone")
	_, err = s.marked(t, PNG(t, Quadrants(48, 32)), []byte("no picture"), `{"op":"watermark","image":"logo"}`)
	require.True(t, engine.Final(err), "%v", err)
	require.Contains(t, fault.As(err).Public, "watermark")
}

// texts checks where letters lie, and in which colour.
func (s conformance) texts(t *testing.T) {
	for _, c := range []struct {
		gravity string
		quarter image.Rectangle
	}{
		{"northwest", image.Rect(0, 0, 120, 60)}, {"southeast", image.Rect(120, 60, 240, 120)}, {"center", image.Rect(60, 30, 180, 90)},
	} {
		document := fmt.Sprintf(`[{"op":"text","text":"Hello","size":24,"color":"#ff0000","gravity":%q}]`, c.gravity)
		m := s.Picture(t, PNG(t, image.NewGray(image.Rect(0, 0, 240, 120))), document)
		inside, outside := 0, 0
		for y := range 120 {
			for x := range 240 {
				switch p := at(m, x, y); {
				case p.R < 128:
				case image.Pt(x, y).In(c.quarter):
					require.Less(t, p.G, uint8(10))
					inside++
				default:
					outside++
				}
			}
		}
		require.Greater(t, inside, 100, c.gravity)
		require.Zero(t, outside, c.gravity)
	}
	_, err := s.Render(t, PNG(t, Quadrants(9, 9)), `[{"op":"text","text":"very long and large","size":1000}]`)
	require.NoError(t, err)
}
