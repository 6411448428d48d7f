package static

import (
	"context"
	"fmt"

	"imagemill/pkg/discovery"
)

var _ discovery.SettingsStore = (*Registry)(nil)

// WithSettings gives the registry settings that are written down as well, and
// returns it. Without, there are none. A name or value that no document can hold
// is an error (discovery.ErrInvalidSetting).
func (r *Registry) WithSettings(doc discovery.Document) (*Registry, error) {
	for name, e := range doc {
		if err := discovery.CheckSetting(name, e.Value); err != nil {
			return nil, fmt.Errorf("static registry: %w", err)
		}
	}
	r.settings = doc.Clone()
	return r, nil
}

// WatchSettings delivers the fixed settings, once; the channel is closed when ctx
// is done.
func (r *Registry) WatchSettings(ctx context.Context) <-chan discovery.Document {
	ch := make(chan discovery.Document, 1)
	discovery.Offer(ch, r.settings.Clone())
	context.AfterFunc(ctx, func() { close(ch) })
	return ch
}

// PutSetting is refused: ErrInvalidSetting, or else ErrReadOnlySettings.
func (r *Registry) PutSetting(_ context.Context, name, value, _ string) error {
	if err := discovery.CheckSetting(name, value); err != nil {
		return fmt.Errorf("put setting: %w", err)
	}
	return fmt.Errorf("put setting %s: %w", name, discovery.ErrReadOnlySettings)
}

// DeleteSetting is refused: ErrInvalidSetting, or else ErrReadOnlySettings.
func (r *Registry) DeleteSetting(_ context.Context, name, _ string) error {
	if err := discovery.CheckSettingName(name); err != nil {
		return fmt.Errorf("delete setting: %w", err)
	}
	return fmt.Errorf("delete setting %s: %w", name, discovery.ErrReadOnlySettings)
}
