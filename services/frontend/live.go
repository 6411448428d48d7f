package frontend

import (
	"sync/atomic"
	"time"

	"imagemill/internal/comeback"
	"imagemill/internal/config"
	"imagemill/internal/fault"
	"imagemill/internal/shared"
	"imagemill/pkg/discovery/settings"
	"imagemill/pkg/pipeline"
)

// What a user in maintenance is told where nobody has set other words.
const (
	maintenanceMessage = "imagemill is under maintenance and takes no new images for now; those that it has are served as ever"
	maintenanceRetry   = 30 * time.Second
)

// live is what may change while a frontend runs: its configuration until a shared
// setting says otherwise. Each upload goes by what counts when it begins.
type live struct {
	presets     *settings.Family[pipeline.Pipeline]
	maxBody     *settings.Value[config.Bytes]
	maxUploads  *settings.Value[int]
	pixels      *settings.Value[int64]
	side        *settings.Value[int]
	maintenance *settings.Value[bool]
	message     *settings.Value[string]
	retry       *settings.Value[time.Duration]
	uploads     atomic.Int64 // under way
	line        comeback.Line
}

func newLive(set *settings.Set, cfg Config, presets map[string]pipeline.Pipeline) *live {
	return &live{
		presets:     settings.UseFamily(set, shared.Presets(), presets),
		maxBody:     settings.Use(set, shared.MaxBody(), cfg.MaxBody),
		maxUploads:  settings.Use(set, shared.MaxUploads(), cfg.MaxUploads),
		pixels:      settings.Use(set, shared.UploadPixels(), cfg.InputPixels),
		side:        settings.Use(set, shared.UploadSide(), cfg.Side),
		maintenance: settings.Use(set, shared.Maintenance(), false),
		message:     settings.Use(set, shared.MaintenanceMessage(), maintenanceMessage),
		retry:       settings.Use(set, shared.MaintenanceRetryAfter(), maintenanceRetry),
	}
}

// admit takes one more upload in, or says why not. done gives its place back. A
// limit that was lowered ends no upload: it keeps new ones out until enough have
// ended.
func (l *live) admit() (done func(), err error) {
	if l.maintenance.Get() {
		return nil, fault.New(fault.Unavailable, l.message.Get()).WithState("maintenance").WithRetryAfter(l.retry.Get())
	}
	most := l.maxUploads.Get()
	if l.uploads.Add(1) > int64(most) {
		l.uploads.Add(-1)
		return nil, fault.Newf(fault.Unavailable, "%d uploads are under way, which is the limit", most).
			WithRetryAfter(l.line.Wait(0, time.Now()))
	}
	return func() {
		l.uploads.Add(-1)
		l.line.Through(1, time.Now())
	}, nil
}

// notices says, for /readyz, what an operator has switched.
func (l *live) notices() []string {
	if !l.maintenance.Get() {
		return nil
	}
	return []string{"maintenance mode is on: new uploads are refused (imagemill config unset maintenance/mode ends it)"}
}
