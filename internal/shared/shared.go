// Package shared lists the settings that all services of a suite share and that
// change while it runs: what each is called, what its values mean, and which are
// allowed. Services apply them by these definitions, and the operator's tool
// checks by the same ones before it writes.
//
// A setting that a service also has in its configuration is called like its
// variable: frontend/max-body is what IMAGEMILL_FRONTEND_MAX_BODY configures. The
// package applies nothing itself.
package shared

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"imagemill/internal/config"
	"imagemill/pkg/discovery/settings"
	"imagemill/pkg/pipeline"
)

// The shortest names of types, which stand in every definition below.
type (
	level    = settings.Definition[slog.Level]
	preset   = settings.Definition[pipeline.Pipeline]
	flag     = settings.Definition[bool]
	text     = settings.Definition[string]
	span     = settings.Definition[time.Duration]
	number   = settings.Definition[int]
	quantity = settings.Definition[int64]
	size     = settings.Definition[config.Bytes]
)

// Catalogue is all of them.
func Catalogue() settings.Catalogue {
	return settings.Catalogue{
		LogLevel(), Presets(),
		Maintenance(), MaintenanceMessage(), MaintenanceRetryAfter(),
		MaxBody(), MaxUploads(), UploadPixels(), UploadSide(),
		Engines(), InFlight(), WallTime(), InputPixels(), OutputPixels(), Side(), Frames(),
	}
}

// LogLevel is what each process logs.
func LogLevel() settings.Definition[slog.Level] {
	return level{
		Name: "log/level", Help: "what every service logs", Allowed: "debug, info, warn or error",
		Parse: func(s string) (l slog.Level, err error) {
			switch s = strings.ToLower(s); s {
			case "debug", "info", "warn", "error":
				return l, l.UnmarshalText([]byte(s))
			}
			return l, fmt.Errorf("is %.40q; allowed is debug, info, warn or error", s)
		},
		Format: func(l slog.Level) string { return strings.ToLower(l.String()) },
	}
}

// Presets are pipelines that users ask for by name.
func Presets() settings.Definition[pipeline.Pipeline] {
	return preset{
		Name: "presets/*", Help: "pipeline that uploads ask for as preset=NAME", Allowed: "a pipeline as JSON",
		Parse: func(s string) (pipeline.Pipeline, error) { return pipeline.Parse([]byte(s)) },
		Format: func(p pipeline.Pipeline) string {
			doc, err := p.MarshalJSON()
			if err != nil {
				return err.Error() // what Parse gave marshals
			}
			return string(doc)
		},
	}
}

// Maintenance keeps new uploads out.
func Maintenance() settings.Definition[bool] {
	return flag{
		Name: "maintenance/mode", Help: "refuse new uploads; what is there is still served", Allowed: "on or off",
		Parse: func(s string) (bool, error) {
			switch strings.ToLower(s) {
			case "on", "true":
				return true, nil
			case "off", "false":
				return false, nil
			}
			return false, fmt.Errorf("is %.40q; allowed is on or off", s)
		},
		Format: func(on bool) string {
			if on {
				return "on"
			}
			return "off"
		},
	}
}

// MaintenanceMessage is what a refused user reads.
func MaintenanceMessage() settings.Definition[string] {
	return text{
		Name: "maintenance/message", Help: "what users read whose upload is refused", Allowed: "1 to 500 bytes of text on one line",
		Parse: func(s string) (string, error) {
			if s == "" || len(s) > 500 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
				return "", errors.New("is empty, too long or of several lines; allowed are 1 to 500 bytes on one line")
			}
			return s, nil
		},
	}
}

// MaintenanceRetryAfter is when a refused user should come back.
func MaintenanceRetryAfter() settings.Definition[time.Duration] {
	return between("maintenance/retry-after", "when clients whose upload is refused should try again", time.Second, 24*time.Hour)
}

// between defines a duration.
func between(name, help string, low, high time.Duration) settings.Definition[time.Duration] {
	return span{
		Name: name, Help: help, Allowed: fmt.Sprintf("a duration from %s to %s", short(low), short(high)),
		Parse: func(s string) (time.Duration, error) {
			d, err := time.ParseDuration(s)
			if err != nil || d < low || d > high {
				return 0, fmt.Errorf("is %.40q; allowed is a duration from %s to %s, such as 30s", s, short(low), short(high))
			}
			return d, nil
		},
		Format: short,
	}
}

// short writes 1h0m0s as 1h.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// count defines a number.
func count(name, help string, low, high int) settings.Definition[int] {
	d := amount(name, help, int64(low), int64(high))
	return number{Name: name, Help: help, Allowed: d.Allowed, Parse: func(s string) (int, error) {
		n, err := d.Parse(s)
		return int(n), err
	}}
}

// amount defines a number that may be large.
func amount(name, help string, low, high int64) settings.Definition[int64] {
	return quantity{
		Name: name, Help: help, Allowed: fmt.Sprintf("a whole number from %d to %d", low, high),
		Parse: func(s string) (int64, error) {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n < low || n > high {
				return 0, fmt.Errorf("is %.40q; allowed is a whole number from %d to %d", s, low, high)
			}
			return n, nil
		},
	}
}
