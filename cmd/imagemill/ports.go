package main

import (
	"context"
	"fmt"
	"net"

	"imagemill/internal/serve"
)

// portIsFree tries an address for a moment, where a service listens later or
// would not say why it cannot.
func portIsFree(ctx context.Context, service, addr string) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return serve.ListenError(service, serve.ListenSetting(service), addr, err)
	}
	if err := ln.Close(); err != nil {
		return fmt.Errorf("%s: let go of %s: %w", service, addr, err)
	}
	return nil
}

// portsAreFree tries all addresses before anything is started: a suite that is
// half up takes a while to stop in order, which would keep the reason waiting.
func (u *upConfig) portsAreFree(ctx context.Context) error {
	for _, s := range []struct{ service, addr string }{
		{"frontend", u.frontend.Serve.Listen}, {"frontend-internal", u.frontend.Internal}, {"taskdb", u.taskdb.Serve.Listen},
		{"storage", u.storage.Serve.Listen}, {"imagemaster", u.master.Serve.Listen}, {"worker", u.worker.Serve.Listen},
	} {
		if s.addr == "" {
			continue // no internal listener
		}
		if err := portIsFree(ctx, s.service, s.addr); err != nil {
			return err
		}
	}
	return nil
}
