//go:build gcs

package cloud

import (
	"context"
	"errors"

	gcs "cloud.google.com/go/storage"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/gcp"

	"imagemill/services/storage"
)

// openGCS takes Application Default Credentials.
func openGCS(ctx context.Context, place storage.Location) (bucket, error) {
	var client *gcp.HTTPClient
	if place.Options.Get("anonymous") == "true" {
		client = gcp.NewAnonymousHTTPClient(gcp.DefaultTransport())
	} else {
		creds, err := gcp.DefaultCredentials(ctx)
		if err != nil {
			return nil, err
		}
		if client, err = gcp.NewHTTPClient(gcp.DefaultTransport(), gcp.CredentialsTokenSource(creds)); err != nil {
			return nil, err
		}
	}
	p, err := openPortable(ctx, &gcsblob.URLOpener{Client: client}, place)
	if err != nil {
		return nil, err
	}
	p.startAt = func(name string) func(func(any) bool) error {
		return func(as func(any) bool) error {
			var q *gcs.Query
			if !as(&q) {
				return errors.New("the driver shows no query")
			}
			q.StartOffset = name
			return nil
		}
	}
	return p, nil
}
