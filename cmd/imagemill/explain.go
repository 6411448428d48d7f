package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"imagemill/internal/sniff"
	"imagemill/pkg/pipeline"
	"imagemill/services/worker"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/header"
	"imagemill/services/worker/engine/plan"
)

// explanation is what explain tells of one picture.
type explanation struct {
	Engine   string         `json:"engine"`
	Original engine.Picture `json:"original"`
	// Renditions are the names in the pipeline's order; the plan speaks of them by
	// their places.
	Renditions []string  `json:"renditions"`
	Plan       plan.Plan `json:"plan"`

	name    string
	formats []pipeline.Format
}

// explainCommand tells how a pipeline would be carried out on a picture, of which
// it reads the header only.
func explainCommand() *cobra.Command {
	var file, query string
	cfg := worker.DefaultConfig()
	var asJSON bool
	cmd := &cobra.Command{
		Use: "explain [--pipeline FILE | --query QUERY] PICTURE", Args: cobra.ExactArgs(1),
		Short: "Tell how an engine would make the renditions of a pipeline from a picture",
		Long: "Tell how an engine would make the renditions of a pipeline from a picture: the size at which it is decoded, the\n" +
			"order of the renditions and what each is made from, which code makes each (fast, vips, imaging) and why not the fast path, and an\n" +
			"estimate of the memory. Only the picture's header is read. Without a pipeline, it is only encoded anew.",
		Example: "  imagemill explain --query 'width=800&format=jpeg' photo.jpg\n  imagemill explain --pipeline pipeline.json --json photo.jpg",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := explained(file, query)
			if err != nil {
				return err
			}
			_, can, err := enginePool(cfg)
			if err != nil {
				return err
			}
			e, err := explain(p, args[0], can)
			if err != nil {
				return err
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(e)
			}
			return e.write(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&file, "pipeline", "", "file with a pipeline as JSON; - for standard input")
	cmd.Flags().StringVar(&query, "query", "", "a pipeline as query parameters, such as width=800&format=webp")
	cmd.Flags().StringSliceVar(&cfg.Inputs, "inputs", nil, "further formats that the engine reads: svg, pdf, jxl")
	cmd.Flags().BoolVar(&asJSON, "json", false, "tell it as JSON")
	cmd.MarkFlagsMutuallyExclusive("pipeline", "query")
	return cmd
}

// explained reads the pipeline that the flags name.
func explained(file, query string) (pipeline.Pipeline, error) {
	var p pipeline.Pipeline
	switch {
	case file != "":
		doc, err := readFile(file)
		if err != nil {
			return p, fmt.Errorf("read pipeline: %w", err)
		}
		if p, err = pipeline.Parse(doc); err != nil {
			return p, fmt.Errorf("pipeline %s: %w", file, err)
		}
		return p, nil
	case query != "":
		values, err := url.ParseQuery(query)
		if err != nil {
			return p, fmt.Errorf("--query: %w", err)
		}
		p, given, err := pipeline.FromQuery(values)
		if err != nil {
			return p, fmt.Errorf("--query: %w", err)
		}
		if !given {
			return p, errors.New("--query: names no operation")
		}
		return p, nil
	}
	return pipeline.Pipeline{Version: 1, Renditions: []pipeline.Rendition{{Name: pipeline.DefaultName}}}, nil
}

// readFile reads a file, or standard input for "-", no further than a pipeline
// can be long.
func readFile(name string) ([]byte, error) {
	in := os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, pipeline.MaxDocument+1))
}

// explain plans a pipeline for a picture, within the default limits.
func explain(p pipeline.Pipeline, picture string, can engine.Abilities) (explanation, error) {
	e := explanation{Engine: can.Engine, name: filepath.Base(picture)}
	p = p.Expand(can.Has)
	if err := can.Check(p); err != nil {
		return e, err
	}
	limits := engine.Limits{}.WithDefaults()
	info, err := header.Open(picture, limits.Frames)
	if err != nil {
		return e, fmt.Errorf("%s: %w", picture, err)
	}
	e.Original = info.Picture
	format := sniff.Format(info.Format).Name()
	if !can.Reads(info.Format) {
		return e, fmt.Errorf("%s: %s cannot be read by the engine %s", picture, format, can.Engine)
	}
	if err := errors.Join(limits.CheckInput(format, info.Picture), limits.CheckOutput(p, info.Picture)); err != nil {
		return e, fmt.Errorf("%s: %w", picture, err)
	}
	for _, r := range p.Renditions {
		e.Renditions, e.formats = append(e.Renditions, r.Name), append(e.formats, r.Format)
	}
	e.Plan, err = plan.Make(p, info.Picture, can)
	return e, err
}

// write tells it as text: the original, how it is decoded, and a table of steps.
func (e explanation) write(out io.Writer) error {
	o := e.Original
	var t tabwriter.Writer
	t.Init(out, 0, 4, 2, ' ', 0)
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&t, format, args...) } // Flush tells the error
	say("%s:\t%s %d×%d", e.name, o.Format, o.Width, o.Height)
	for _, part := range []struct {
		format string
		value  any
		given  bool
	}{
		{", orientation %v", o.Orientation, o.Orientation > 1}, {", %v frames", o.Frames, o.Frames > 1},
		{", %v bands", o.Bands, o.Bands > 0}, {" of %v bits", o.Depth, o.Depth > 0}, {", chroma %v", o.Chroma, o.Chroma != ""},
		{", colours %v", o.Profile, o.Profile != ""}, {", %v", "stored in passes", o.Interlaced}, {", %v", "transparent", o.Alpha},
	} {
		if part.given {
			say(part.format, part.value)
		}
	}
	say("\ndecoded:\t%d×%d", e.Plan.Width, e.Plan.Height)
	if e.Plan.Shrink > 1 {
		say(", 1/%d of its size", e.Plan.Shrink)
	}
	say("\nmemory:\tabout %d MiB in the engine %s\n\n", e.Plan.Memory>>20, e.Engine)
	say("\trendition\tsize\tformat\tmade from\tpath\n")
	for i, s := range e.Plan.Steps {
		from, path, format := "original", s.Path, string(e.formats[s.Rendition])
		if s.From != plan.Original {
			from = e.Renditions[s.From]
		}
		if !s.Fast {
			path += ": " + s.Why
		}
		if format == "" {
			format = "same"
		}
		say("%d\t%s\t%d×%d\t%s\t%s\t%s\n", i+1, e.Renditions[s.Rendition], s.Width, s.Height, format, from, path)
	}
	return t.Flush()
}
