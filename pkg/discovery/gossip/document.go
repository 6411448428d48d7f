package gossip

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"imagemill/pkg/discovery"
)

// MaxDocument bounds all settings together, in bytes as JSON.
const MaxDocument = 1 << 20

// maxGeneration is far beyond what changes can count up to. A higher one could
// never be outdone, so it is refused.
const maxGeneration = 1 << 53

// version says which of two documents wins.
type version struct {
	// Generation is one more than that of the document that was changed.
	Generation uint64 `json:"generation"`
	// Origin is the member that made the change.
	Origin string `json:"origin,omitempty"`
	// Digest is of the settings. It decides nothing between two documents of one
	// member in order, only if a member lost its memory and counts anew.
	Digest string `json:"digest,omitempty"`
}

// compare is below 0 if v loses to other, and 0 if they are the same.
func (v version) compare(other version) int {
	return cmp.Or(cmp.Compare(v.Generation, other.Generation), cmp.Compare(v.Origin, other.Origin), cmp.Compare(v.Digest, other.Digest))
}

// document is all settings with their version, as members hand it on and keep it.
// It is never changed once it is made.
type document struct {
	version
	Settings discovery.Document
}

// sheet is a document as JSON.
type sheet struct {
	version
	Settings map[string]stored `json:"settings"`
}

// stored is an Entry whose value may hold any bytes, which JSON's own text cannot.
type stored struct {
	Value   []byte `json:"value"`
	Version uint64 `json:"version"`
	Writer  string `json:"writer,omitempty"`
}

// MarshalJSON writes the document as a sheet.
func (d *document) MarshalJSON() ([]byte, error) {
	return json.Marshal(sheet{d.version, storedOf(d.Settings)})
}

// UnmarshalJSON reads a sheet.
func (d *document) UnmarshalJSON(text []byte) error {
	var s sheet
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	d.version, d.Settings = s.version, discovery.Document{}
	for name, e := range s.Settings {
		d.Settings[name] = discovery.Entry{Value: string(e.Value), Version: e.Version, Writer: e.Writer}
	}
	return nil
}

func storedOf(settings discovery.Document) map[string]stored {
	out := make(map[string]stored, len(settings))
	for name, e := range settings {
		out[name] = stored{[]byte(e.Value), e.Version, e.Writer}
	}
	return out
}

// after makes the document that follows d by a change of settings at origin.
func (d *document) after(origin string, settings discovery.Document) (*document, error) {
	digest, size, err := digest(settings)
	if err != nil {
		return nil, err
	}
	if size > MaxDocument {
		return nil, fmt.Errorf("%w: all settings together would have %d bytes; at most %d are allowed",
			discovery.ErrInvalidSetting, size, MaxDocument)
	}
	return &document{version: version{d.Generation + 1, origin, digest}, Settings: settings}, nil
}

// parse reads a document that came from elsewhere and believes nothing of it.
func parse(text []byte) (*document, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	sum, size, err := digest(d.Settings)
	if err != nil {
		return nil, err
	}
	if size > MaxDocument {
		return nil, fmt.Errorf("settings of %d bytes: at most %d are allowed", size, MaxDocument)
	}
	if d.Generation > 0 && sum != d.Digest {
		return nil, errors.New("settings do not match their digest")
	}
	for name, entry := range d.Settings {
		if err := discovery.CheckSetting(name, entry.Value); err != nil {
			return nil, err
		}
	}
	return &d, nil
}

// check refuses a version that no member makes.
func (v version) check() error {
	if v.Generation > maxGeneration || len(v.Origin) > maxName || len(v.Digest) > digestLength {
		return fmt.Errorf("settings with an impossible version: generation %d of %.100q", v.Generation, v.Origin)
	}
	return nil
}

// digestLength is that of a digest as text.
const digestLength = 22

// digest gives the first half of the SHA-256 of the settings as JSON, whose names
// are in order, and its size.
func digest(settings discovery.Document) (sum string, size int, err error) {
	text, err := json.Marshal(storedOf(settings))
	if err != nil {
		return "", 0, fmt.Errorf("digest settings: %w", err)
	}
	hash := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(hash[:16]), len(text), nil
}
