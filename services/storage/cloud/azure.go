package cloud

import (
	"context"
	"net/url"

	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"

	"imagemill/services/storage"
)

// openAzure takes credentials from AZURE_STORAGE_… and from what azidentity knows.
func openAzure(ctx context.Context, place storage.Location) (bucket, error) {
	return openPortable(ctx, &azureblob.URLOpener{
		MakeClient: azureblob.NewDefaultClient, ServiceURLOptions: *azureblob.NewDefaultServiceURLOptions(),
	}, place)
}

// openPortable opens by a URL that is made of the place's parts alone.
func openPortable(ctx context.Context, o blob.BucketURLOpener, place storage.Location) (*portable, error) {
	b, err := o.OpenBucketURL(ctx, &url.URL{Scheme: place.Scheme, Host: place.Bucket, RawQuery: place.Options.Encode()})
	if err != nil {
		return nil, err
	}
	return &portable{b: b}, nil
}
