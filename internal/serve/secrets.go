package serve

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
)

// MinSecret is the least length of a secret, in bytes, that may guard a listener
// which other machines reach.
const MinSecret = 16

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
		why := weakness(s.Value)
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

// weakness says what is wrong with a secret, "" for nothing. It finds what people
// leave in a file, not what a cracker would find.
func weakness(secret string) string {
	switch {
	case len(secret) < MinSecret:
		return fmt.Sprintf("is shorter than %d characters", MinSecret)
	case len(withoutPlaceholders(secret)) < MinSecret/2:
		return "is a placeholder that everybody knows"
	// A text that occurs in its own double, ends cut off, repeats a piece of itself.
	case strings.Contains((secret + secret)[1:2*len(secret)-1], secret), distinct(secret) < 5, isRun(secret):
		return "only repeats or counts up a few characters"
	}
	return ""
}

// withoutPlaceholders is what is left of a secret without the words that
// examples are made of, and without what such words are joined by.
func withoutPlaceholders(secret string) string {
	left := strings.ToLower(secret)
	// Longer words first, so that none is cut in two.
	for _, word := range []string{
		"replacewith", "placeholder", "imagemill", "changeit", "changeme", "password", "insecure", "cluster", "default",
		"example", "replace", "letmein", "welcome", "qwerty", "secret", "s3cret", "passwd", "change", "please", "sample",
		"token", "admin", "dummy", "value", "nats", "test", "this", "todo", "your", "with", "here", "pass", "key", "api", "foo",
		"bar", "123", "my", "me",
	} {
		left = strings.ReplaceAll(left, word, "")
		for _, joint := range []string{"-", "_", ".", " ", "!", "<", ">"} {
			left = strings.ReplaceAll(left, joint, "")
		}
	}
	return left
}

func distinct(s string) int {
	seen := map[byte]bool{}
	for _, b := range []byte(s) {
		seen[b] = true
	}
	return len(seen)
}

// isRun finds "1234567890123456" and "abcdefghijklmnop": three quarters of the
// steps lead to the same or a neighbouring character.
func isRun(s string) bool {
	near := 0
	for i := 1; i < len(s); i++ {
		if d := int(s[i]) - int(s[i-1]); d >= -1 && d <= 1 {
			near++
		}
	}
	return near*4 >= (len(s)-1)*3
}
