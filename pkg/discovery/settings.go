package discovery

import (
	"context"
	"errors"
)

// SettingsPrefix is where registries with keys keep the shared settings: the
// setting "log/level" is the key "config/log/level".
const SettingsPrefix = "config/"

// Document is the whole set of shared settings as it is stored, by name. Names
// are of one or more segments of letters, digits, '.', '_' and '-', with '/'
// between them, 128 bytes at most.
type Document map[string]Entry

// Entry is one stored setting.
type Entry struct {
	// Value is the text as it was written; its reader parses it. PutSetting takes
	// MaxSettingValue bytes at most; where others can write to the store too, a
	// longer one may turn up, for the reader to refuse.
	Value string `json:"value"`
	// Version rises with every change of this setting. It says nothing about
	// other settings.
	Version uint64 `json:"version"`
	// Writer is who wrote it, for people: "ada@host", "" where it is not known.
	Writer string `json:"writer,omitempty"`
}

var (
	// ErrInvalidSetting is wrapped by the error for a name or a value that no
	// document can hold.
	ErrInvalidSetting = errors.New("invalid setting")
	// ErrReadOnlySettings is what a store answers whose settings cannot change,
	// such as that of fixed addresses.
	ErrReadOnlySettings = errors.New("settings cannot be changed here")
)

// SettingsStore keeps the shared settings. All methods are safe for concurrent use.
type SettingsStore interface {
	// WatchSettings delivers the whole current document, and again on every
	// change, until ctx is done; then the channel is closed. The first comes as
	// soon as the store has answered (an empty one is a document). Each is the
	// receiver's own. Errors of the store are not delivered: the last document
	// stays valid. A reader that is slow gets only the newest one.
	WatchSettings(ctx context.Context) <-chan Document

	// PutSetting stores a value under a name, whatever was there. When it returns
	// nil the store has it; watchers follow. ErrInvalidSetting and
	// ErrReadOnlySettings are final, any other error may be tried again.
	PutSetting(ctx context.Context, name, value, writer string) error

	// DeleteSetting removes a name, so that the default counts again. A name that
	// is not there is no error.
	DeleteSetting(ctx context.Context, name, writer string) error
}
