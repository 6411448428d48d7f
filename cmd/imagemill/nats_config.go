package main

import (
	"context"

	"imagemill/internal/rungroup"
)

// natsConfig sets the embedded NATS server.
type natsConfig struct {
	Listen string `env:"LISTEN" help:"address to listen on, host:port; port 0 picks a free one"`
}

func defaultNATSConfig() natsConfig { return natsConfig{Listen: "127.0.0.1:4222"} }

// wireNATS runs an embedded server.
func wireNATS(c common, cfg natsConfig) (rungroup.Func, error) {
	return func(ctx context.Context) error {
		url, run, err := startNATS(ctx, c, cfg)
		if err != nil {
			return err
		}
		c.log.Info("serving", "url", url)
		return run(ctx)
	}, nil
}
