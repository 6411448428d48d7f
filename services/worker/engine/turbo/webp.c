//go:build vips

#include "turbo.h"

#include <string.h>

#include <webp/encode.h>

typedef struct {
  turbo_output *out;
  size_t room;
  int *cancel;
} writer;

static int on_write(const uint8_t *data, size_t size, const WebPPicture *picture) {
  writer *w = picture->custom_ptr;
  return turbo_write(w->out, &w->room, data, size);
}

static int on_progress(int percent, const WebPPicture *picture) {
  (void)percent;
  writer *w = picture->user_data;
  return !turbo_cancelled(w->cancel);
}

// A JPEG's samples have the full range, WebP's are BT.601's 16 to 235 (chroma
// 16 to 240), of the same matrix. The factors are 219/255 and 224/255 in units
// of 1/65536.
static void limit(const unsigned char *from, unsigned char *to, int n, uint32_t factor, uint32_t add) {
  for (int i = 0; i < n; i++) to[i] = (unsigned char)((from[i] * factor + add) >> 16);
}

static void limit_luma(const turbo_plane *from, turbo_plane *to) {
  for (int y = 0; y < from->height; y++)
    limit(from->data + (size_t)y * from->stride, to->data + (size_t)y * to->stride, from->width, 56284, (16 << 16) + (1 << 15));
}

static void limit_chroma(const turbo_plane *from, turbo_plane *to) {
  const uint32_t factor = 57569; // 128 stays 128
  for (int y = 0; y < from->height; y++)
    limit(from->data + (size_t)y * from->stride, to->data + (size_t)y * to->stride, from->width, factor,
          (128 << 16) + (1 << 15) - 128 * factor);
}

// A copy in WebP's range; grey gets chroma without colour.
static turbo_picture *limited(const turbo_picture *p) {
  turbo_picture *to = turbo_picture_make(3, p->width, p->height, 2, 2);
  if (!to) return NULL;
  limit_luma(&p->plane[0], &to->plane[0]);
  for (int c = 1; c < 3; c++) {
    if (p->n == 3)
      limit_chroma(&p->plane[c], &to->plane[c]);
    else
      memset(to->plane[c].data, 128, to->plane[c].stride * (size_t)to->plane[c].height);
  }
  return to;
}

static int encode(const turbo_picture *p, const WebPConfig *config, writer *w, turbo_status *status) {
  WebPPicture picture;
  if (!WebPPictureInit(&picture)) return turbo_set(status, TURBO_INTERNAL, "libwebp of another version");
  picture.use_argb = 0;
  picture.colorspace = WEBP_YUV420;
  picture.width = p->width;
  picture.height = p->height;
  picture.y = p->plane[0].data;
  picture.u = p->plane[1].data;
  picture.v = p->plane[2].data;
  picture.y_stride = (int)p->plane[0].stride;
  picture.uv_stride = (int)p->plane[1].stride;
  picture.writer = on_write;
  picture.custom_ptr = w;
  picture.progress_hook = on_progress;
  picture.user_data = w;
  int ok = WebPEncode(config, &picture);
  WebPEncodingError why = picture.error_code;
  WebPPictureFree(&picture); // frees nothing of the planes: they are not its own
  if (ok) return TURBO_OK;
  if (why == VP8_ENC_ERROR_USER_ABORT) return turbo_set(status, TURBO_CANCELLED, "cancelled");
  if (why == VP8_ENC_ERROR_OUT_OF_MEMORY || why == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY || why == VP8_ENC_ERROR_BAD_WRITE)
    return turbo_set(status, TURBO_NO_MEMORY, "no memory for the result");
  return turbo_set(status, TURBO_INTERNAL, "libwebp refuses the picture");
}

int turbo_encode_webp(const turbo_picture *p, int quality, int method, turbo_output *out,
                      int *cancel, turbo_status *status) {
  *out = (turbo_output){0};
  WebPConfig config;
  if (!WebPConfigInit(&config)) return turbo_set(status, TURBO_INTERNAL, "libwebp of another version");
  config.quality = (float)quality;
  config.method = method;
  turbo_picture *copy = limited(p);
  if (!copy) return turbo_set(status, TURBO_NO_MEMORY, "no memory for the encoder");
  writer w = {.out = out, .cancel = cancel};
  int code = encode(copy, &config, &w, status);
  turbo_picture_free(copy);
  if (code != TURBO_OK) {
    turbo_free(out->data);
    *out = (turbo_output){0};
  }
  return code;
}
