// Package plan decides how an engine goes about a pipeline: at which size the
// original is decoded, in which order the renditions are made, which of them
// continues from the picture of a larger one, which take the fast path, and how
// much memory all that needs at most.
//
// A plan is made from the header of the original alone, before anything is
// decoded, and is the same for every engine of the same abilities. Engines
// carry it out; `imagemill explain` prints it. It touches no pixels or files.
//
// # What engines rely on
//
// Renditions have the sizes that [pipeline.Rendition.Plan] gives for the whole
// original, whatever the plan says. The plan only says what they are made from:
//
//   - The original is decoded at 1/Shrink, each side rounded up: [Plan.Width] ×
//     [Plan.Height], as stored. It is never smaller than what the first resize of
//     any rendition makes of it.
//   - What stands in a rendition before its first resize is crops only, when
//     Shrink is above 1. Their rectangles are in pixels of the original: divide
//     them by Shrink. An engine that can only cut at whole pixels may round them;
//     the plan shrinks so little that this moves the result by at most a quarter
//     of a pixel.
//   - A step with From ≥ 0 takes the picture that rendition From had after its
//     operation [FirstResize], and begins with its own operation [FirstResize],
//     resizing to the size that its rendition's Plan gives for that operation.
//     That picture shows the whole original, upright in the same way.
//   - Fast steps continue from fast ones only, those from planes from their like only,
//     others from others only.
package plan
