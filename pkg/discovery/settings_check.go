package discovery

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// The longest name and value of a setting, in bytes.
const (
	MaxSettingName  = 128
	MaxSettingValue = 64 << 10
)

// settingName is what a name may look like; its length is checked apart.
var settingName = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)

// CheckSetting tells whether a document can hold the value under the name. What
// it returns wraps ErrInvalidSetting and says what is allowed. Every
// SettingsStore asks it before it writes.
func CheckSetting(name, value string) error {
	if err := CheckSettingName(name); err != nil {
		return err
	}
	if len(value) > MaxSettingValue {
		return fmt.Errorf("%w: %s has %d bytes; at most %d are allowed", ErrInvalidSetting, name, len(value), MaxSettingValue)
	}
	return nil
}

// CheckSettingName is CheckSetting for a name alone.
func CheckSettingName(name string) error {
	// A segment of dots alone would be another key by the time it has passed an
	// HTTP client and server.
	dots := strings.Contains("/"+name+"/", "/./") || strings.Contains("/"+name+"/", "/../")
	if dots || len(name) > MaxSettingName || !settingName.MatchString(name) {
		return fmt.Errorf("%w: name %.200q: want letters, digits, '.', '_' or '-', with '/' between segments, at most %d bytes",
			ErrInvalidSetting, name, MaxSettingName)
	}
	return nil
}

// Clone copies the document, so that a receiver may change it. The copy of a nil
// one is empty, not nil.
func (d Document) Clone() Document {
	if d == nil {
		return Document{}
	}
	return maps.Clone(d)
}
