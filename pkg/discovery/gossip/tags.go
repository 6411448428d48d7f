package gossip

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"imagemill/pkg/discovery"
)

// MaxTags is how many bytes all instances of one member may take in its tags,
// packed. Serf allows 512 for tags and their names together. An instance with a
// UUID in its ID takes 60 to 90, each further one of the same process about 45.
const MaxTags = 480

// tagKey is the tag that instances are in. A new way of packing needs a new key,
// so that old members see no instance rather than a wrong one.
const tagKey = "i1"

// maxUnpacked bounds what a tag may unpack to: Serf's limit is on the packed size.
const maxUnpacked = 64 << 10

// dictionary holds what most instances have in common, the most common last, so
// that it need not be sent. It is part of the format.
const dictionary = `"g":{"zone":"kvstore-imagemaster-frontend-storage-taskdb-worker--7https://10.0.0.192.168.172.1` +
	`"}},{"i":"","s":"","u":"http://127.0.0.1:","v":"0.1.0","t":17`

// packed is an instance with short names.
type packed struct {
	ID      string            `json:"i"`
	Service string            `json:"s"`
	URL     string            `json:"u"`
	Version string            `json:"v,omitempty"`
	Started int64             `json:"t"` // Unix nanoseconds; 0 for the zero time
	Tags    map[string]string `json:"g,omitempty"`
}

// pack gives the member's tags for a set of instances. A set that takes more than
// MaxTags is an error that wraps ErrInvalidInstance.
func pack(set []discovery.Instance) (map[string]string, error) {
	if len(set) == 0 {
		return map[string]string{}, nil
	}
	list := make([]packed, len(set))
	for i, in := range set {
		list[i] = packed{ID: in.ID, Service: in.Service, URL: in.URL, Version: in.Version, Tags: in.Tags}
		if !in.Started.IsZero() {
			list[i].Started = in.Started.UnixNano()
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("pack instances: %w", err)
	}
	if len(text) > maxUnpacked {
		return nil, tooLarge(len(set), len(text))
	}
	var buf bytes.Buffer
	w, err := flate.NewWriterDict(&buf, flate.BestCompression, []byte(dictionary))
	if err != nil {
		return nil, fmt.Errorf("pack instances: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return nil, fmt.Errorf("pack instances: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack instances: %w", err)
	}
	if buf.Len() > MaxTags {
		return nil, tooLarge(len(set), buf.Len())
	}
	return map[string]string{tagKey: buf.String()}, nil
}

func tooLarge(instances, size int) error {
	return fmt.Errorf("%w: %d of one process take %d bytes, at most %d are gossiped: want fewer or shorter tags",
		discovery.ErrInvalidInstance, instances, size, MaxTags)
}

// unpack reads what pack wrote. Instances that are not valid are an error: a
// member announces none of those.
func unpack(tags map[string]string) ([]discovery.Instance, error) {
	blob, ok := tags[tagKey]
	if !ok {
		return nil, nil
	}
	r := flate.NewReaderDict(bytes.NewReader([]byte(blob)), []byte(dictionary))
	text, err := io.ReadAll(io.LimitReader(r, maxUnpacked+1))
	if err != nil {
		return nil, fmt.Errorf("unpack instances: %w", err)
	}
	if len(text) > maxUnpacked {
		return nil, fmt.Errorf("unpack instances: more than %d bytes", maxUnpacked)
	}
	var list []packed
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("unpack instances: %w", err)
	}
	set := make([]discovery.Instance, len(list))
	for i, p := range list {
		set[i] = discovery.Instance{ID: p.ID, Service: p.Service, URL: p.URL, Version: p.Version, Tags: p.Tags}
		if p.Started != 0 {
			set[i].Started = time.Unix(0, p.Started).UTC()
		}
		if err := set[i].Validate(); err != nil {
			return nil, err
		}
	}
	return set, nil
}
