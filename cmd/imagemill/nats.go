//go:build !nonats

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"imagemill/internal/rungroup"
	"imagemill/internal/serve"
)

// newNATS makes an embedded server without JetStream: nothing it carries is
// the record of anything.
func newNATS(c common, cfg natsConfig) (*server.Server, error) {
	host, port, err := net.SplitHostPort(cfg.Listen)
	n, perr := strconv.Atoi(port)
	if err = errors.Join(err, perr); err != nil {
		return nil, fmt.Errorf("IMAGEMILL_NATS_LISTEN (--nats-listen): %q is not host:port: %w", cfg.Listen, err)
	}
	if n == 0 {
		n = server.RANDOM_PORT
	}
	ip := net.ParseIP(host)
	open := (ip == nil || !ip.IsLoopback()) && host != "localhost"
	if open && c.Events.Token == "" {
		return nil, fmt.Errorf("nats: IMAGEMILL_NATS_LISTEN: %s is reachable from other machines and nothing protects it: "+
			"set IMAGEMILL_NATS_TOKEN to what `openssl rand -hex 32` prints, or listen on 127.0.0.1", cfg.Listen)
	}
	if err := serve.CheckSecrets(c.log, "nats", open, serve.Secret{Setting: "IMAGEMILL_NATS_TOKEN", Value: c.Events.Token}); err != nil {
		return nil, err
	}
	srv, err := server.NewServer(&server.Options{
		Host: host, Port: n, Authorization: c.Events.Token, NoSigs: true, NoLog: true,
		ServerName: c.instance, WriteDeadline: 2 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("make NATS server: %w", err)
	}
	return srv, nil
}

// natsStart is how long the listener may take to open.
const natsStart = 5 * time.Second

// startNATS starts a server and gives its address and what waits for its end.
func startNATS(ctx context.Context, c common, cfg natsConfig) (url string, run rungroup.Func, err error) {
	srv, err := newNATS(c, cfg)
	if err != nil {
		return "", nil, err
	}
	if err := portIsFree(ctx, "nats", cfg.Listen); err != nil {
		return "", nil, err
	}
	go srv.Start()
	if !srv.ReadyForConnections(natsStart) {
		srv.Shutdown()
		return "", nil, errors.New("the NATS server did not start; is its port taken?")
	}
	return srv.ClientURL(), func(ctx context.Context) error {
		<-ctx.Done()
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil
	}, nil
}
