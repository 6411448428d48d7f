// Package pipeline is the document that says what becomes of a picture: a list
// of renditions, each with ordered operations and an output format, as data.
//
// The same document is read from JSON ([Parse]), from query parameters for a
// single rendition ([FromQuery]), or taken from the presets ([DefaultPresets]).
// It promises that what it hands out is completely valid: unknown, repeated and
// mistyped fields are refused, and every refusal is an [*Error] with the path of
// the wrong field and what is allowed there. Marshalling is canonical: equal
// pipelines give equal bytes, and Parse reads them back to an equal pipeline.
//
// [Schema] is the document's JSON Schema. The form is version 1 and only grows.
//
// [Rendition.Plan] computes the size after every step from the size of the
// original alone, so that a giant result is refused before any pixel is touched.
// Engines give exactly the planned sizes. Behind a [Trim], which depends on
// pixels, [Rendition.PlanFrom] plans again. [Pipeline.Expand] makes the set of
// files that format "auto" stands for. Where a cut at the focal point lies, and
// where the point goes, is in [Focal], so that all engines agree.
//
// It knows no pixels, files or network, and imports nothing of imagemill.
package pipeline
