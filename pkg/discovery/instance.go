package discovery

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
)

// What a service name and an instance ID may look like. An ID is part of a key
// in some registries, so it has no separators. Lengths are checked apart: counted
// in the pattern, they would make up a tenth of the start of every process.
var (
	serviceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	instanceID  = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)
)

const (
	maxServiceName = 63
	maxInstanceID  = 128
)

// Validate tells whether the instance can be announced: it needs an ID (letters,
// digits and ".", "_", ":", "-"; at most 128), a service name (lower-case letters,
// digits and "-", at most 63) and an http or https URL with a host and nothing
// behind it. What it returns wraps ErrInvalidInstance and names the field.
func (in Instance) Validate() error {
	if len(in.ID) > maxInstanceID || !instanceID.MatchString(in.ID) {
		return fmt.Errorf("%w: id %q: want letters, digits, '.', '_', ':' or '-', at most 128", ErrInvalidInstance, in.ID)
	}
	if len(in.Service) > maxServiceName || !serviceName.MatchString(in.Service) {
		return fmt.Errorf("%w: service %q: want lower-case letters, digits and '-', at most 63", ErrInvalidInstance, in.Service)
	}
	_, err := in.base()
	return err
}

// base is the parsed URL of a valid instance.
func (in Instance) base() (*url.URL, error) {
	u, err := url.Parse(in.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: url %q: %w", ErrInvalidInstance, in.URL, err)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, fmt.Errorf("%w: url %q: want http://host:port or https://host:port", ErrInvalidInstance, in.URL)
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.ForceQuery:
		return nil, fmt.Errorf("%w: url %q: want nothing but scheme, host and port", ErrInvalidInstance, in.URL)
	}
	return u, nil
}

// Equal tells whether both say the same of the same instance.
func (in Instance) Equal(other Instance) bool {
	return in.ID == other.ID && in.Service == other.Service && in.URL == other.URL &&
		in.Version == other.Version && in.Started.Equal(other.Started) && maps.Equal(in.Tags, other.Tags)
}

// Clone copies the instance with its tags.
func (in Instance) Clone() Instance {
	in.Tags = maps.Clone(in.Tags)
	return in
}

// CloneSet copies a set with all its instances, so that a receiver may change it.
// The copy of an empty or nil set is empty, not nil.
func CloneSet(set []Instance) []Instance {
	out := make([]Instance, len(set))
	for i, in := range set {
		out[i] = in.Clone()
	}
	return out
}

// Offer puts a set, or a Document, into a channel of capacity one in place of the
// one that has not been read yet, and never blocks. It is how a Registry and a
// SettingsStore keep a slow reader from holding them up. Only one goroutine at a
// time may offer to a channel.
func Offer[T any](ch chan T, set T) {
	select {
	case <-ch:
	default:
	}
	ch <- set
}
