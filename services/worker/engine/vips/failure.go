//go:build vips

package vips

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"imagemill/internal/fault"
	"imagemill/internal/sniff"
)

// The words in which the decoders say that a file is too short, and that they
// lack something.
var (
	shortWords = []string{
		"premature end", "unexpected eof", "unexpected end", "end of file", "end of stream", "end of input", "eof", "truncated",
		"not enough", "insufficient", "incomplete", "too short", "empty input", "no more data",
	}
	lackWords = []string{"unsupported", "not supported", "not implemented", "unimplemented", "no decoding plugin", "unknown type", "no known route"}
)

// damaged turns a decoder's error into one for the user. What is a failure
// already stays as it is.
func damaged(format sniff.Format, err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return fault.Wrap(fault.Unavailable, "the original cannot be read now", err)
	}
	text, name := strings.ToLower(err.Error()), format.Name()
	switch {
	case contains(text, lackWords):
		return fault.Wrap(fault.Unsupported, "the "+name+" uses a feature that cannot be read here ("+detail(err)+")", err)
	case contains(text, shortWords):
		return fault.Wrap(fault.Unprocessable, "the "+name+" ends before the picture is complete", err)
	}
	return fault.Wrap(fault.Unprocessable, "the "+name+" is damaged ("+detail(err)+")", err)
}

func contains(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// empty words say that something failed, but not what.
var emptyWords = []string{"unable to open source", "read error", "error in tile", "unable to call", "unable to load source"}

// detail is the last line of what a decoder said that tells something, without
// the decoder's own name.
func detail(err error) string {
	said := ""
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		if said == "" || line != "" && !contains(strings.ToLower(line), emptyWords) {
			said = line
		}
	}
	if _, rest, ok := strings.Cut(said, ": "); ok && rest != "" {
		said = rest
	}
	return strings.ToValidUTF8(said[:min(len(said), 120)], "")
}

// unwritable is the failure to write a result; nothing is wrong with the picture.
func unwritable(err error) error {
	err = fmt.Errorf("write rendition: %w", err)
	if errors.Is(err, syscall.ENOSPC) {
		return fault.Wrap(fault.StorageFull, "the scratch disk is full", err)
	}
	return fault.Wrap(fault.Unavailable, "the result cannot be written now", err)
}

// expired turns a done context into a failure of its kind.
func expired(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.DeadlineExceeded, "the picture took longer than is allowed", err)
	default:
		return fault.Wrap(fault.Canceled, "the work on the picture was cancelled", err)
	}
}
