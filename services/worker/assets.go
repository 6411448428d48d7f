package worker

import (
	"context"
	"fmt"
	"path/filepath"

	"imagemill/internal/fault"
	"imagemill/pkg/pipeline"
	"imagemill/services/imagemaster"
	"imagemill/services/storage"
)

// The bounds of what a pipeline may have fetched beside the original.
const (
	mostAssets = 16
	assetBytes = 32 << 20 // of one
)

// assets fetches the pictures that the pipeline's watermarks are made of into
// the scratch folder, and gives the files by their keys.
func (a *attempt) assets(ctx context.Context, p pipeline.Pipeline) (map[string]string, error) {
	all := p.Assets()
	if len(all) == 0 {
		return nil, nil
	}
	if len(all) > mostAssets {
		return nil, fault.Newf(fault.TooLarge, "the pipeline asks for %d watermark images; at most %d are allowed", len(all), mostAssets)
	}
	files := make(map[string]string, len(all))
	for i, asset := range all {
		path := filepath.Join(a.dir, fmt.Sprintf("asset-%d", i))
		if err := a.fetchAsset(ctx, asset, path); err != nil {
			return nil, err
		}
		files[asset.Key()] = path
	}
	return files, nil
}

func (a *attempt) fetchAsset(ctx context.Context, asset pipeline.Asset, path string) error {
	img, err := a.s.deps.Master.Get(ctx, asset.Image, asset.Rendition, storage.Whole())
	if err != nil {
		return noAsset(asset, err)
	}
	if img.Size > assetBytes {
		_ = img.Body.Close()
		return fault.Newf(fault.TooLarge, "the watermark image %s has %d bytes; at most %d are allowed", asset.Image, img.Size, assetBytes)
	}
	return a.s.save(path, "watermark image "+asset.Image, img.Body, img.SHA256)
}

// noAsset says why a watermark's image is not to be had. One that is still in
// progress may be there at the next attempt; one that will never be there fails
// the task for good.
func noAsset(asset pipeline.Asset, err error) error {
	name := asset.Image
	switch e := fault.As(err); e.Kind {
	case fault.NotFound, fault.Invalid:
		if e.Field == "rendition" {
			return fault.Wrap(fault.Unprocessable, fmt.Sprintf("the watermark image %s has no rendition %q", name, asset.Rendition), err)
		}
		return fault.Wrap(fault.Unprocessable, "the watermark image "+name+" does not exist", err)
	case fault.Unprocessable:
		return fault.Wrap(fault.Unprocessable, "the watermark image "+name+" could not be processed itself", err)
	case fault.Conflict:
		if e.State != imagemaster.StateInProgress {
			return fault.Wrap(fault.Unprocessable, "the watermark image "+name+" is "+e.State, err)
		}
		return fault.Wrap(fault.Unavailable, "the watermark image "+name+" is not finished yet", err)
	default:
		return fmt.Errorf("fetch watermark image %s: %w", name, err)
	}
}
