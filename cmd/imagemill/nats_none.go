//go:build nonats

package main

import (
	"context"
	"errors"

	"imagemill/internal/rungroup"
)

// startNATS has no server to start. A container image leaves it out, as it has
// one beside it: the package wakes every process that holds it once a second,
// each engine too.
func startNATS(context.Context, common, natsConfig) (string, rungroup.Func, error) {
	return "", nil, errors.New("this build holds no NATS server: set IMAGEMILL_NATS to nats://host:port of one, or to none")
}
