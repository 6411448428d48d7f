//go:build vips

package yardstick

/*
#cgo pkg-config: vips
#include <vips/vips.h>

static int start(void) {
  if (VIPS_INIT("yardstick")) return -1;
  vips_concurrency_set(1);
  vips_cache_set_max(0);
  return 0;
}

// effort < 0: libvips' default. webp chooses the format.
static int thumbnail(void *data, size_t size, int width, int webp, int quality, int effort, void **out, size_t *length) {
  VipsImage *image = NULL;
  if (vips_thumbnail_buffer(data, size, &image, width, "height", 100000, NULL)) return -1;
  int failed = !webp ? vips_jpegsave_buffer(image, out, length, "Q", quality, "strip", TRUE, NULL)
    : effort < 0 ? vips_webpsave_buffer(image, out, length, "Q", quality, "strip", TRUE, NULL)
    : vips_webpsave_buffer(image, out, length, "Q", quality, "strip", TRUE, "effort", effort, NULL);
  g_object_unref(image);
  return failed;
}

// The reference: everything decoded, then Lanczos3; three bytes a pixel.
static int reference(void *data, size_t size, int width, int height, void **out, size_t *length) {
  VipsImage *image = NULL, *upright = NULL, *small = NULL, *rgb = NULL;
  int failed = -1;
  if (!(image = vips_image_new_from_buffer(data, size, "", NULL))) return -1;
  if (!vips_autorot(image, &upright, NULL) &&
      !vips_resize(upright, &small, (double)width / upright->Xsize, "vscale", (double)height / upright->Ysize,
                   "kernel", VIPS_KERNEL_LANCZOS3, NULL) &&
      !vips_colourspace(small, &rgb, VIPS_INTERPRETATION_sRGB, NULL) && rgb->Xsize == width && rgb->Ysize == height)
    failed = !(*out = vips_image_write_to_memory(rgb, length));
  VipsImage *all[] = {image, upright, small, rgb};
  for (int i = 0; i < 4; i++) if (all[i]) g_object_unref(all[i]);
  return failed;
}
*/
import "C"

import (
	"errors"
	"sync"
	"unsafe"
)

var start = sync.OnceValue(func() error {
	if C.start() != 0 {
		return failure()
	}
	return nil
})

func failure() error {
	defer C.vips_error_clear()
	return errors.New("libvips: " + C.GoString(C.vips_error_buffer()))
}

// Start starts libvips with one thread to a picture and without its cache.
func Start() error { return start() }

// Thumbnail shrinks a picture to a width and encodes it as JPEG, or as WebP
// with an effort of 0 to 6; a negative effort is libvips' default.
func Thumbnail(original []byte, width int, webp bool, quality, effort int) ([]byte, error) {
	var out unsafe.Pointer
	var n C.size_t
	isWebP := C.int(0)
	if webp {
		isWebP = 1
	}
	if C.thumbnail(unsafe.Pointer(&original[0]), C.size_t(len(original)), C.int(width), isWebP, C.int(quality), C.int(effort), &out, &n) != 0 {
		return nil, failure()
	}
	defer C.g_free(C.gpointer(out))
	return C.GoBytes(out, C.int(n)), nil
}

// Reference decodes a whole picture, sets it upright and resamples it with
// Lanczos3: its bytes are R, G, B, or grey alone where the original is grey.
func Reference(original []byte, width, height int) ([]byte, error) {
	var out unsafe.Pointer
	var n C.size_t
	if C.reference(unsafe.Pointer(&original[0]), C.size_t(len(original)), C.int(width), C.int(height), &out, &n) != 0 {
		return nil, failure()
	}
	defer C.g_free(C.gpointer(out))
	return C.GoBytes(out, C.int(n)), nil
}
