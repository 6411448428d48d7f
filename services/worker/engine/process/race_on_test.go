//go:build race

package process_test

// raceDetector: its memory is beyond any limit.
const raceDetector = true
