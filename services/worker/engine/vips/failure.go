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
		"not enough", "insufficient", "incomplete", "short", "empty input", "unable to read", "cannot read", "no more data",
	}
	lackWords = []string{"unsupported", "not supported", "not implemented", "unimplemented", "no decoding plugin", "unknown type", "no known route"}
)

// damaged turns a decoder's error into one for the user. What is a failure
// already stays as it is.
func damaged(format sniff.Format, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return fault.Wrap(fault.Unavailable, "the original cannot be read now", err)
	}
	text, name := strings.ToLower(err.Error()), format.Name()
	switch {
	case strings.Contains(text, "unable to open") || strings.Contains(text, "no such file"):
		return fault.Wrap(fault.Unavailable, "the original cannot be read now", err)
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

// detail is the first line of what a decoder said, without its own name.
func detail(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if _, rest, ok := strings.Cut(text, ": "); ok && rest != "" {
		text = rest
	}
	return strings.ToValidUTF8(text[:min(len(text), 120)], "")
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
