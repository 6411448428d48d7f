package serve

import (
	"net/http"
	"net/http/pprof"
	"strconv"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"imagemill/pkg/discovery"
)

// operating adds the endpoints that every service has.
func (s *Server) operating(e *echo.Echo) {
	// healthz: called by orchestrators; 200 as long as the process serves.
	e.GET("/healthz", func(c echo.Context) error {
		return c.JSON(http.StatusOK, map[string]string{"status": "alive", "service": s.app.Service, "version": s.app.Version})
	})
	// readyz: called by orchestrators and people; 503 names what is missing.
	e.GET("/readyz", s.readyz)
	if !s.app.Public {
		OperatingRoutes(e, s.app, s.cfg.Pprof)
	}
}

// OperatingRoutes adds /services, /config, /metrics and, if asked, /debug/pprof
// of an app: to its own server, or to a public one's internal listener.
func OperatingRoutes(e *echo.Echo, app App, withPprof bool) {
	e.GET("/services", func(c echo.Context) error {
		seen := map[string][]discovery.Instance{}
		if app.Services != nil {
			seen = app.Services()
		}
		return c.JSON(http.StatusOK, seen)
	})
	e.GET("/config", func(c echo.Context) error { return c.JSON(http.StatusOK, app.configuration()) })
	if app.Metrics != nil {
		e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(app.Metrics, promhttp.HandlerOpts{})))
	}
	if withPprof {
		e.GET("/debug/pprof/*", echo.WrapHandler(http.HandlerFunc(pprof.Index)))
		e.GET("/debug/pprof/profile", echo.WrapHandler(http.HandlerFunc(pprof.Profile)))
		e.GET("/debug/pprof/trace", echo.WrapHandler(http.HandlerFunc(pprof.Trace)))
		e.GET("/debug/pprof/symbol", echo.WrapHandler(http.HandlerFunc(pprof.Symbol)))
		e.GET("/debug/pprof/cmdline", echo.WrapHandler(http.HandlerFunc(pprof.Cmdline)))
	}
}

// configuration is what the service was started with, by the names of its
// variables, and under "settings" what of it the shared settings have changed.
func (app App) configuration() map[string]any {
	all := map[string]any{}
	for name, value := range app.Effective {
		all[name] = value
	}
	if app.Settings != nil {
		all["settings"] = app.Settings.Show()
	}
	return all
}

func (s *Server) readyz(c echo.Context) error {
	missing := []string{}
	if s.app.Ready != nil {
		missing = append(missing, s.app.Ready()...)
	}
	if s.lingers.Load() {
		missing = append(missing, "this instance is stopping")
	}
	status := http.StatusOK
	if len(missing) > 0 {
		status = http.StatusServiceUnavailable
	}
	answer := map[string]any{"ready": len(missing) == 0, "missing": missing}
	if s.app.Notices != nil && !s.app.Public {
		if n := s.app.Notices(); len(n) > 0 {
			answer["notices"] = n
		}
	}
	return c.JSON(status, answer)
}

// operatingPath reports whether a path is always answered, also when stopping.
func operatingPath(path string) bool { return path == "/healthz" || path == "/readyz" }

// metrics are the server's own measurements.
type metrics struct {
	duration *prometheus.HistogramVec
}

func newMetrics(reg *prometheus.Registry) *metrics {
	m := &metrics{duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "imagemill_http_request_duration_seconds",
		Help: "Time from a request's header to the end of its answer, long polls included.",
		Buckets: []float64{
			0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
		},
	}, []string{"method", "route", "status"})}
	reg.MustRegister(m.duration, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) observe(o outcome) {
	if o.route == "" {
		o.route = "none"
	}
	m.duration.WithLabelValues(o.method, o.route, strconv.Itoa(o.status)).Observe(o.took.Seconds())
}
