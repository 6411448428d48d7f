//go:build !nocloud

package main

import (
	"context"
	"fmt"

	"imagemill/services/storage"
	"imagemill/services/storage/cloud"
)

// openCloud opens an object store, which calls nobody yet.
func openCloud(ctx context.Context, c common, cfg storage.Config) (blobs, error) {
	s, err := cloud.Open(ctx, cloud.Config{
		URL: cfg.URL, CallTimeout: cfg.CallTimeout, UploadMemory: int64(cfg.UploadMemory),
	}, cloud.Deps{Log: c.log})
	if err != nil {
		return blobs{}, fmt.Errorf("storage: IMAGEMILL_STORAGE_URL: %w", err)
	}
	return blobs{store: s, missing: s.Missing, run: s.Run, close: s.Close}, nil
}
