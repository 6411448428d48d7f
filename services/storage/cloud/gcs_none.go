//go:build !gcs

package cloud

import (
	"context"
	"errors"

	"imagemill/services/storage"
)

// openGCS tells how to get what this program was built without: the driver is as
// large as all the rest of it.
func openGCS(context.Context, storage.Location) (bucket, error) {
	return nil, errors.New("this program was built without Google Cloud Storage: build it with -tags gcs")
}
