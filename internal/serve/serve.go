package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"imagemill/pkg/discovery"
	"imagemill/pkg/discovery/settings"
)

// App is what a service hands to its server.
type App struct {
	// Service, Instance and Version name this process in the registry and the log.
	Service, Instance, Version string
	Log                        *slog.Logger
	// Registry is where the server announces itself; nil announces nothing.
	Registry discovery.Registry
	// Tags are further facts that it announces, small ones; it may be nil.
	Tags map[string]string
	// Routes adds the service's own routes.
	Routes func(e *echo.Echo)
	// Ready names what the service still lacks; nil or an empty answer is ready.
	Ready func() []string
	// Notices says what needs a look but keeps nothing from being ready; nil for
	// nothing. A public server keeps it to itself.
	Notices func() []string
	// Services gives what the service sees of others; nil for none.
	Services func() map[string][]discovery.Instance
	// Effective is the configuration shown on /config, already redacted.
	Effective map[string]string
	// Settings are the shared ones, which /config shows as they are now; nil for none.
	Settings *settings.Set
	// Listener replaces Config.Listen where it is already open; it may be nil.
	Listener net.Listener
	// Public marks a server for users: it checks no cluster token, and its
	// operating endpoints but /healthz and /readyz are left to an internal one.
	Public bool
	// Protected says that a Public server checks its callers itself, so that it
	// may listen on more than loopback.
	Protected bool
	// Secrets are weighed at the start beside the cluster token, see [CheckSecrets].
	Secrets []Secret
	// PlainErrors leaves writing errors to the routes (another protocol's format).
	PlainErrors bool
	// Metrics collects the service's own metrics beside the server's; it may be nil.
	Metrics *prometheus.Registry
}

// Server is one listener with one handler. Make it with [New].
type Server struct {
	cfg      Config
	app      App
	echo     *echo.Echo
	metrics  *metrics
	draining chan struct{}
	lingers  atomic.Bool
	refusing atomic.Bool
	inFlight atomic.Int64
	parks    *lot
	url      atomic.Pointer[string]
}

// New checks the configuration and assembles the handler. It opens nothing.
func New(cfg Config, app App) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", app.Service, err)
	}
	if app.Log == nil || app.Service == "" || app.Instance == "" || app.Routes == nil {
		return nil, errors.New("serve: App needs Log, Service, Instance and Routes")
	}
	if app.Metrics == nil {
		app.Metrics = prometheus.NewRegistry()
	}
	s := &Server{cfg: cfg, app: app, draining: make(chan struct{}), parks: newLot(), metrics: newMetrics(app.Metrics)}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = func(err error, c echo.Context) { s.writeError(c, err) }
	e.Pre(s.around)
	s.operating(e)
	app.Routes(e)
	s.echo = e
	return s, nil
}

// Handler gives the whole handler, for tests and for a listener of another's.
func (s *Server) Handler() http.Handler { return s.echo }

// URL is where the server is reached, "" before it listens.
func (s *Server) URL() string {
	if u := s.url.Load(); u != nil {
		return *u
	}
	return ""
}

// Run listens, announces, serves, and stops in order when ctx is done. It
// returns nil after an orderly stop, and an error if it could not listen, or
// if requests in hand outlived the grace time.
func (s *Server) Run(ctx context.Context) error {
	ln, err := s.listen(ctx)
	if err != nil {
		return err
	}
	url := "http://" + advertised(ln.Addr(), s.cfg.Advertise)
	s.url.Store(&url)
	srv := &http.Server{
		Handler:           s.echo,
		ReadHeaderTimeout: s.cfg.ReadTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    256 << 10,
		ErrorLog:          slog.NewLogLogger(s.app.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), serverKey{}, s)
		},
	}
	served := make(chan error, 1)
	s.parks.addr = ln.Addr()
	go func() { served <- serveBoth(srv, ln, s.parks) }()
	withdraw := s.announce(ctx, url)
	s.app.Log.Info("serving", "url", url, "listen", ln.Addr().String())
	select {
	case <-ctx.Done():
	case err := <-served:
		withdraw()
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return s.stop(srv, withdraw, served)
}

// serveBoth serves the connections that are new, and those that come back.
func serveBoth(srv *http.Server, ln, back net.Listener) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(back) // which ends with the other, and never by itself
	}()
	err := srv.Serve(ln)
	_ = back.Close()
	<-done
	return err
}

// stop follows the order that the package comment gives, and why.
func (s *Server) stop(srv *http.Server, withdraw func(), served <-chan error) error {
	s.lingers.Store(true)
	withdraw()
	// Callers learn of the withdrawal through their watches; until they have,
	// they are served as before.
	if s.app.Registry != nil && s.cfg.Linger > 0 {
		t := time.NewTimer(s.cfg.Linger)
		<-t.C
	}
	close(s.draining)
	s.parks.wakeAll()
	s.refusing.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Grace)
	defer cancel()
	err := srv.Shutdown(ctx)
	err = errors.Join(err, s.parks.wait(ctx))
	if err != nil {
		err = fmt.Errorf("requests in hand outlived the grace time of %s: %w", s.cfg.Grace, errors.Join(err, srv.Close()))
	}
	if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	s.app.Log.Info("stopped serving")
	return err
}

// listen opens the listener and refuses one that would be open to the network
// without a secret.
func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	ln := s.app.Listener
	if ln == nil {
		var err error
		if ln, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Listen); err != nil {
			return nil, ListenError(s.app.Service, ListenSetting(s.app.Service), s.cfg.Listen, err)
		}
	}
	open := s.cfg.Token == ""
	if s.app.Public {
		open = !s.app.Protected
	}
	if open && !loopback(ln.Addr()) {
		err := fmt.Errorf("%s: %s is reachable from other machines and nothing protects it: "+
			"set IMAGEMILL_CLUSTER_TOKEN (services) or IMAGEMILL_FRONTEND_API_KEYS (frontend) to what `openssl rand -hex 32` prints, "+
			"or listen on 127.0.0.1",
			s.app.Service, ln.Addr())
		return nil, errors.Join(err, ln.Close())
	}
	if err := s.weakSecrets(ln.Addr()); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// announce keeps the instance announced until the returned func is called,
// which waits for the withdrawal, but not for longer than two seconds.
func (s *Server) announce(ctx context.Context, url string) (withdraw func()) {
	if s.app.Registry == nil {
		return func() {}
	}
	actx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		in := discovery.Instance{
			ID: s.app.Instance, Service: s.app.Service, URL: url,
			Version: s.app.Version, Started: time.Now().UTC(), Tags: s.app.Tags,
		}
		err := s.app.Registry.Announce(actx, in, func() { s.app.Log.Info("announced", "url", url) })
		if err != nil {
			s.app.Log.Error("announce", "error", err)
		}
	}()
	return func() {
		cancel()
		select {
		case <-done:
		case <-time.After(2 * time.Second):
			s.app.Log.Warn("withdrawing from the registry took too long; it will expire there")
		}
	}
}

type serverKey struct{}

// Draining gives a channel that is closed when the server of this request
// stops: a long poll answers then, with what it has. Outside a request of this
// package it gives nil, which is never ready.
func Draining(ctx context.Context) <-chan struct{} {
	if s, ok := ctx.Value(serverKey{}).(*Server); ok {
		return s.draining
	}
	return nil
}
