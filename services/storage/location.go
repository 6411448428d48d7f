package storage

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Location is where an object store keeps blobs, as one URL says it.
type Location struct {
	Scheme string // s3, gs, azblob, file or mem
	Bucket string // its bucket or container; of file, the folder
	Prefix string // goes before all names, "" or with a '/' at its end
	// Options are the rest of the query.
	Options url.Values
}

// parameters are those that a URL may have, by scheme. None of them is a secret:
// those come from where the providers' own tools look for them.
func parameters() map[string][]string {
	return map[string][]string{
		"s3": {"prefix", "region", "endpoint", "s3ForcePathStyle", "use_path_style", "disable_https", "accelerate", "dualstack",
			"fips", "profile", "role", "ssetype", "kmskeyid", "anonymous", "request_checksum_calculation"},
		"gs":     {"prefix", "anonymous", "universe_domain"},
		"azblob": {"prefix", "storage_account", "domain", "protocol", "cdn", "localemu"},
		"file":   {},
		"mem":    {},
	}
}

// ParseLocation reads a URL such as s3://bucket?region=eu-central-1. Its errors
// never repeat the URL, nor any value in it: what is wrong with it may be that it
// holds a secret.
func ParseLocation(text string) (Location, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Location{}, errors.New("this is not a URL such as s3://bucket?region=eu-central-1")
	}
	allowed, known := parameters()[u.Scheme]
	if !known {
		return Location{}, errors.New("the scheme must be s3, gs, azblob or file")
	}
	if u.User != nil {
		return Location{}, errors.New("a URL must hold no credentials: they are taken from the environment")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Location{}, errors.New("the part after the question mark cannot be read")
	}
	for name, values := range q {
		if !slices.Contains(allowed, name) {
			return Location{}, fmt.Errorf("%s:// has no parameter %q (credentials are taken from the environment); there are: %s",
				u.Scheme, name, strings.Join(allowed, ", "))
		}
		if len(values) != 1 {
			return Location{}, fmt.Errorf("the parameter %q stands there twice", name)
		}
	}
	loc := Location{Scheme: u.Scheme, Bucket: u.Host, Prefix: q.Get("prefix"), Options: q}
	q.Del("prefix")
	return loc, loc.check(u)
}

// check looks into the parts.
func (l *Location) check(u *url.URL) error {
	if l.Prefix != "" && !strings.HasSuffix(l.Prefix, "/") {
		l.Prefix += "/"
	}
	if strings.HasPrefix(l.Prefix, "/") || strings.Contains(l.Prefix, "//") || strings.Contains("/"+l.Prefix, "/../") {
		return errors.New("the prefix is a path such as pictures/, without a slash before it")
	}
	switch l.Scheme {
	case "mem":
		return nil
	case "file":
		if l.Bucket != "" && l.Bucket != "localhost" || len(u.Path) < 2 {
			return errors.New("a folder is written file:///its/path")
		}
		l.Bucket = u.Path
		return nil
	}
	if l.Bucket == "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("a bucket is written %s://its-name; what is to go before names is the parameter prefix", l.Scheme)
	}
	if end := l.Options.Get("endpoint"); end != "" {
		e, err := url.Parse(end)
		if err != nil || e.Scheme != "http" && e.Scheme != "https" || e.Host == "" || e.RawQuery != "" {
			return errors.New("the endpoint must be a URL such as https://s3.example.org")
		}
		if e.User != nil {
			return errors.New("an endpoint must hold no credentials: they are taken from the environment")
		}
	}
	return nil
}

// String names the place for people, without its options.
func (l Location) String() string {
	if l.Scheme == "file" {
		return "file://" + l.Bucket
	}
	return strings.TrimSuffix(l.Scheme+"://"+l.Bucket+"/"+l.Prefix, "/")
}
