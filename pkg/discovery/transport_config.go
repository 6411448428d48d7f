package discovery

import (
	"log/slog"
	"net"
	"net/http"
	"time"
)

// TransportConfig says whom a Transport resolves and how hard it tries. Fields
// that are zero or less take the value given with them.
type TransportConfig struct {
	// Services are the names that stand for instances; a request for any other
	// host is none of the Transport's business.
	Services []string
	// SetAside (1 s) is how long an instance is avoided after a failure. It doubles
	// with each failure in a row, up to SetAsideMax (10 s).
	SetAside, SetAsideMax time.Duration
	// Silence (1 s) is how long an instance may let requests wait without answering
	// any before it is asked for a sign of life, and again how long it has for that.
	// While it gives signs of life but no other answer, it is asked less often, down
	// to every eighth time. Negative: it is never asked, and may hang unnoticed.
	Silence time.Duration
	// ProbePath ("/") is what it is asked for, by GET. Any answer will do, of any
	// status, but with a good path the question is cheap.
	ProbePath string
	// Patience (10 s) is how long a request waits for an instance that takes it.
	// The request's own deadline may come first.
	Patience time.Duration
	// RetryMin (50 ms) and RetryMax (500 ms) bound the pauses within Patience. A
	// change of the set ends a pause.
	RetryMin, RetryMax time.Duration
	// ReplayWindow (64 KiB) is how much of a body without GetBody is kept in memory,
	// so that it can be sent again from its start. A body of which more has been
	// read cannot be repeated. Negative: none is kept.
	ReplayWindow int
	// DialTimeout (2 s) bounds connecting to an instance.
	DialTimeout time.Duration
	// IdlePerInstance (256) is how many unused connections are kept to each.
	IdlePerInstance int
}

func (c TransportConfig) withDefaults() TransportConfig {
	orDefault(&c.SetAside, time.Second)
	orDefault(&c.SetAsideMax, 10*time.Second)
	c.SetAsideMax = max(c.SetAside, c.SetAsideMax)
	if c.Silence == 0 {
		c.Silence = time.Second
	}
	if c.ProbePath == "" {
		c.ProbePath = "/"
	}
	orDefault(&c.Patience, 10*time.Second)
	orDefault(&c.RetryMin, 50*time.Millisecond)
	orDefault(&c.RetryMax, 500*time.Millisecond)
	c.RetryMax = max(c.RetryMin, c.RetryMax)
	if c.ReplayWindow == 0 {
		c.ReplayWindow = 64 << 10
	}
	orDefault(&c.DialTimeout, 2*time.Second)
	orDefault(&c.IdlePerInstance, 256)
	return c
}

func orDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// TransportDeps are what a Transport leans on; all may be left out.
type TransportDeps struct {
	// Log hears of instances that fail and come back; nil for silence.
	Log *slog.Logger
	// Base takes the requests for hosts that are not among the services; nil
	// refuses them with ErrUnknownService.
	Base http.RoundTripper
	// PerInstance makes what carries the requests to one instance, for example with
	// TLS; nil for InstanceTransport. If it has CloseIdleConnections, that is
	// called when the instance is gone.
	PerInstance func(Instance) http.RoundTripper
	// Observer hears of instances and of their answers; nil for nobody.
	Observer Observer
}

// InstanceTransport is what carries the requests to one instance unless
// TransportDeps says otherwise: plain HTTP/1.1, many idle connections, no
// compression, no proxy, and no limit on the wait for an answer, since long polls
// are answered late. A copy with TLSClientConfig set makes a good PerInstance.
func InstanceTransport(cfg TransportConfig) *http.Transport {
	cfg = cfg.withDefaults()
	dialer := &net.Dialer{Timeout: cfg.DialTimeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext:         countedDial(dialer),
		TLSHandshakeTimeout: cfg.DialTimeout,
		MaxIdleConns:        cfg.IdlePerInstance,
		MaxIdleConnsPerHost: cfg.IdlePerInstance,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}
}
