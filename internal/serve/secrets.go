package serve

import (
	"fmt"
	"log/slog"
	"net"

	"imagemill/internal/secret"
)

// Secret is a shared secret under the name of the setting that it came from.
type Secret struct {
	// Setting is the whole name, such as IMAGEMILL_CLUSTER_TOKEN.
	Setting string
	// Value is the secret itself; an empty one is not set, and not weighed.
	Value string
}

// CheckSecrets weighs the secrets of a service whose listener other machines
// reach (open), or only this one. A weak one is an error if open, else a
// warning; either names the setting and says what to do, never the value.
func CheckSecrets(log *slog.Logger, service string, open bool, secrets ...Secret) error {
	for _, s := range secrets {
		why := secret.Weakness(s.Value)
		if s.Value == "" || why == "" {
			continue
		}
		err := fmt.Errorf("%s: %s %s: set it to a secret of your own, the same for all who share it; `openssl rand -hex 32` makes one",
			service, s.Setting, why)
		if open {
			return fmt.Errorf("%w. Or listen on 127.0.0.1 only", err)
		}
		log.Warn("weak secret; it is let pass since only this machine reaches the listener", "setting", s.Setting, "error", err)
	}
	return nil
}

// weakSecrets weighs the cluster token and the app's own secrets.
func (s *Server) weakSecrets(addr net.Addr) error {
	all := append([]Secret{{"IMAGEMILL_CLUSTER_TOKEN", s.cfg.Token}}, s.app.Secrets...)
	return CheckSecrets(s.app.Log, s.app.Service, !loopback(addr), all...)
}
