package frontend

import (
	"net/url"
	"time"

	"imagemill/internal/fault"
	"imagemill/services/imagemaster"
)

// The bounds of expires=.
const (
	minKeep = time.Second
	maxKeep = imagemaster.MaxKeep
)

// expiry reads expires= of an upload, and takes it out of the query: a duration,
// such as 24h, or a time in the form of RFC 3339. How long a duration is, and when a
// time has come, taskdb's clock says; this one only refuses what can hardly be meant.
func expiry(query url.Values, u *imagemaster.Upload, now time.Time) error {
	values, given := query["expires"]
	delete(query, "expires")
	if !given {
		return nil
	}
	wrong := fault.Newf(fault.Invalid, "must be one duration from %s to %s, such as 24h, or a time to come like %s, at most as far ahead",
		minKeep, maxKeep, now.UTC().Add(24*time.Hour).Format(time.RFC3339)).WithField("expires")
	if len(values) != 1 {
		return wrong
	}
	if d, err := time.ParseDuration(values[0]); err == nil {
		u.Keep = d
		if d < minKeep || d > maxKeep {
			return wrong
		}
		return nil
	}
	t, err := time.Parse(time.RFC3339, values[0])
	if err != nil || !t.After(now) || t.Sub(now) > maxKeep {
		return wrong
	}
	u.Expires = t
	return nil
}
