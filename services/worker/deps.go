package worker

import (
	"context"

	"imagemill/services/imagemaster"
	"imagemill/services/storage"
)

// master is what a worker asks of an imagemaster: work, and the finished
// renditions of other images, which watermarks are made of.
type master interface {
	imagemaster.WorkQueue
	// Get is imagemaster.Images.Get.
	Get(ctx context.Context, id, rendition string, span storage.Span) (imagemaster.Image, error)
}
