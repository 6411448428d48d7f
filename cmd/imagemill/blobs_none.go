//go:build nocloud

package main

import (
	"context"
	"errors"

	"imagemill/services/storage"
)

// openCloud tells how to get what this program was built without.
func openCloud(context.Context, common, storage.Config) (blobs, error) {
	return blobs{}, errors.New("storage: IMAGEMILL_STORAGE_URL: this program was built without object stores: build it without the tag nocloud")
}
