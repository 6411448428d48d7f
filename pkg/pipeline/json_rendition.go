package pipeline

import (
	"encoding/json"
	"fmt"
)

func parseRendition(path string, raw json.RawMessage, single bool) (Rendition, *Error) {
	f := readObject(path, raw)
	r := Rendition{
		Name: f.text("name"), Format: Format(f.text("format")), Background: lower(f.text("background")),
		Chroma: Chroma(f.text("chroma")), Metadata: Metadata(f.text("metadata")), Profile: Profile(f.text("profile")),
		Effort: f.positive("effort"), Colors: f.positive("colors"), MaxBytes: int64(f.positive("maxBytes")),
	}
	if _, given := f.raw["name"]; !given && single {
		r.Name = DefaultName
	}
	if upright, ok := f.flag("autoOrient"); ok {
		r.KeepOrientation = !upright
	}
	r.Frame, _ = f.integer("frame")
	r.Animated, _ = f.flag("animated")
	r.Progressive, _ = f.flag("progressive")
	r.Lossless, _ = f.flag("lossless")
	f.quality(&r)
	f.focalPoint(&r)
	for i, op := range f.list("operations", MaxOperations) {
		o, err := parseOperation(fmt.Sprintf("%s.operations[%d]", path, i), op)
		if err != nil {
			return r, err
		}
		r.Operations = append(r.Operations, o)
	}
	return r, f.done()
}

// quality reads a number, "auto" or {"ssim": …}.
func (f *fields) quality(r *Rendition) {
	const name = "quality"
	raw, given := f.raw[name]
	switch {
	case given && raw[0] == '"' && string(raw) != `"auto"`:
		f.known = append(f.known, name)
		f.fail(name, `is %s; allowed is a whole number from 1 to %d, "auto" or {"ssim": %g to %g}`, clip(string(raw)), maxQuality, minSSIM, maxSSIM)
	case given && raw[0] == '"':
		f.known = append(f.known, name)
		r.TargetSSIM = DefaultSSIM
	case given && raw[0] == '{':
		inner := f.object(name)
		if r.TargetSSIM = inner.number("ssim"); r.TargetSSIM == 0 {
			inner.fail("ssim", "is 0; allowed is %g to %g", minSSIM, maxSSIM)
		}
		f.adopt(inner.done())
	default:
		v, ok := f.integer(name)
		if r.Quality = v; ok && v == 0 {
			f.fail(name, "is 0; allowed is 1 to %d", maxQuality)
		}
	}
}

// focalPoint reads {"x": …, "y": …}.
func (f *fields) focalPoint(r *Rendition) {
	inner := f.object("focalPoint")
	if inner == nil {
		return
	}
	r.FocalPoint = &Focal{X: inner.number("x"), Y: inner.number("y")}
	f.adopt(inner.done())
}

// MarshalJSON gives the canonical form of one rendition.
func (r Rendition) MarshalJSON() ([]byte, error) {
	doc := struct {
		Name        string            `json:"name"`
		AutoOrient  *bool             `json:"autoOrient,omitempty"`
		Frame       int               `json:"frame,omitempty"`
		Animated    bool              `json:"animated,omitempty"`
		FocalPoint  *Focal            `json:"focalPoint,omitempty"`
		Operations  []json.RawMessage `json:"operations,omitempty"`
		Format      Format            `json:"format,omitempty"`
		Quality     any               `json:"quality,omitempty"`
		MaxBytes    int64             `json:"maxBytes,omitempty"`
		Effort      int               `json:"effort,omitempty"`
		Progressive bool              `json:"progressive,omitempty"`
		Chroma      Chroma            `json:"chroma,omitempty"`
		Lossless    bool              `json:"lossless,omitempty"`
		Colors      int               `json:"colors,omitempty"`
		Metadata    Metadata          `json:"metadata,omitempty"`
		Profile     Profile           `json:"profile,omitempty"`
		Background  Color             `json:"background,omitempty"`
	}{
		Name: r.Name, Frame: r.Frame, Animated: r.Animated, FocalPoint: r.FocalPoint, Format: r.Format,
		Quality: r.qualityValue(), MaxBytes: r.MaxBytes, Effort: r.Effort, Progressive: r.Progressive,
		Chroma: r.Chroma, Lossless: r.Lossless, Colors: r.Colors, Metadata: r.Metadata, Profile: r.Profile,
		Background: lower(string(r.Background)),
	}
	if r.KeepOrientation {
		doc.AutoOrient = new(bool)
	}
	for _, op := range r.Operations {
		b, err := marshalOperation(op)
		if err != nil {
			return nil, fmt.Errorf("marshal operation %s: %w", op.Op(), err)
		}
		doc.Operations = append(doc.Operations, b)
	}
	return json.Marshal(doc)
}

// qualityValue is the quality as a document has it; nil leaves it out.
func (r Rendition) qualityValue() any {
	switch {
	case r.TargetSSIM == DefaultSSIM:
		return "auto"
	case r.TargetSSIM != 0:
		return map[string]float64{"ssim": r.TargetSSIM}
	case r.Quality != 0:
		return r.Quality
	}
	return nil
}
