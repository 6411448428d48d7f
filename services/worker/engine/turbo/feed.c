//go:build vips

#include "resample.h"

#include <string.h>

// Full-range BT.601, as JPEG counts, in units of 1/65536.
enum { YR = 19595, YG = 38470, YB = 7471, CBR = -11059, CBG = -21709, CRG = -27439, CRB = -5329, HALF = 32768 };

static inline unsigned char to_byte(int v) { return (unsigned char)(v > 255 ? 255 : v < 0 ? 0 : v); }

// The loops are written once, and compiled once for any machine and once for
// wide registers.
static inline __attribute__((always_inline)) void luma(const unsigned char *restrict rgb, unsigned char *restrict y, int n) {
  for (int i = 0; i < n; i++) y[i] = (unsigned char)((YR * rgb[3 * i] + YG * rgb[3 * i + 1] + YB * rgb[3 * i + 2] + HALF) >> 16);
}

static inline __attribute__((always_inline)) void chroma(const unsigned char *restrict rgb, unsigned char *restrict cb, unsigned char *restrict cr, int n) {
  for (int i = 0; i < n; i++) {
    int r = rgb[3 * i], g = rgb[3 * i + 1], b = rgb[3 * i + 2];
    cb[i] = to_byte((CBR * r + CBG * g + HALF * b + (128 << 16) + HALF) >> 16);
    cr[i] = to_byte((HALF * r + CRG * g + CRB * b + (128 << 16) + HALF) >> 16);
  }
}

// The mean of two by two pixels; n is the number of pairs in a row.
static inline __attribute__((always_inline)) void chroma_half(const unsigned char *restrict above, const unsigned char *restrict below,
                                                              unsigned char *restrict cb, unsigned char *restrict cr, int n) {
  for (int i = 0; i < n; i++) {
    const unsigned char *a = above + 6 * i, *o = below + 6 * i;
    int r = a[0] + a[3] + o[0] + o[3], g = a[1] + a[4] + o[1] + o[4], b = a[2] + a[5] + o[2] + o[5];
    cb[i] = to_byte((CBR * r + CBG * g + HALF * b + (128 << 18) + (1 << 17)) >> 18);
    cr[i] = to_byte((HALF * r + CRG * g + CRB * b + (128 << 18) + (1 << 17)) >> 18);
  }
}

typedef struct {
  void (*luma)(const unsigned char *, unsigned char *, int);
  void (*chroma)(const unsigned char *, unsigned char *, unsigned char *, int);
  void (*half)(const unsigned char *, const unsigned char *, unsigned char *, unsigned char *, int);
} colours;

static void luma_plain(const unsigned char *rgb, unsigned char *y, int n) { luma(rgb, y, n); }
static void chroma_plain(const unsigned char *rgb, unsigned char *cb, unsigned char *cr, int n) { chroma(rgb, cb, cr, n); }
static void half_plain(const unsigned char *a, const unsigned char *o, unsigned char *cb, unsigned char *cr, int n) { chroma_half(a, o, cb, cr, n); }
static const colours plain = {luma_plain, chroma_plain, half_plain};

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))
AVX2 static void luma_avx2(const unsigned char *rgb, unsigned char *y, int n) { luma(rgb, y, n); }
AVX2 static void chroma_avx2(const unsigned char *rgb, unsigned char *cb, unsigned char *cr, int n) { chroma(rgb, cb, cr, n); }
AVX2 static void half_avx2(const unsigned char *a, const unsigned char *o, unsigned char *cb, unsigned char *cr, int n) { chroma_half(a, o, cb, cr, n); }
static const colours wide = {luma_avx2, chroma_avx2, half_avx2};
#else
static const colours wide = {luma_plain, chroma_plain, half_plain}; // the compiler's own vectors
#endif

struct turbo_feed {
  int every; // pixels that a sample of chroma covers in either direction: 1 or 2
  int width, height, next;
  turbo_plane strip[TURBO_PLANES];
  turbo_resampler *resamplers;
  int count;
  turbo_passes passes;
  colours colours;
};

void turbo_feed_close(turbo_feed *f) {
  if (!f) return;
  for (int c = 0; c < TURBO_PLANES; c++) turbo_free(f->strip[c].data);
  for (int i = 0; i < f->count; i++) turbo_resampler_free(&f->resamplers[i]);
  turbo_free(f->resamplers);
  turbo_free(f);
}

static int make_resamplers(turbo_feed *f, const turbo_sink *sinks, int count) {
  size_t size = (size_t)count * TURBO_PLANES * sizeof *f->resamplers;
  f->resamplers = turbo_alloc(size);
  if (!f->resamplers) return 0;
  memset(f->resamplers, 0, size);
  f->count = count * TURBO_PLANES;
  for (int i = 0; i < f->count; i++)
    if (!turbo_resampler_make(&f->resamplers[i], &sinks[i / TURBO_PLANES], i % TURBO_PLANES)) return 0;
  return 1;
}

// As many rows as the longest kernel needs beside those that come at a time, or
// all of them when there is nothing to make on the way.
static int make_strips(turbo_feed *f) {
  for (int c = 0; c < TURBO_PLANES; c++) {
    int every = c ? f->every : 1, w = (f->width + every - 1) / every, h = (f->height + every - 1) / every, held = h;
    if (f->count) {
      int taps = 0;
      for (int i = c; i < f->count; i += TURBO_PLANES)
        if (f->resamplers[i].y.taps > taps) taps = f->resamplers[i].y.taps;
      if (taps + TURBO_FEED_ROWS < held) held = taps + TURBO_FEED_ROWS;
    }
    if (!turbo_plane_make(&f->strip[c], w, h, held)) return 0;
  }
  return 1;
}

int turbo_feed_open(turbo_feed **feed, int width, int height, int every, const turbo_sink *sinks, int count, turbo_status *status) {
  *feed = NULL;
  turbo_feed *f = turbo_alloc(sizeof *f);
  if (f) {
    *f = (turbo_feed){.every = every, .width = width, .height = height, .passes = turbo_best_passes(),
                      .colours = turbo_has_lanes() ? wide : plain};
    if (make_resamplers(f, sinks, count) && make_strips(f)) {
      *feed = f;
      return TURBO_OK;
    }
    turbo_feed_close(f);
  }
  return turbo_set(status, TURBO_NO_MEMORY, "no memory for decoding");
}

static unsigned char *row_of(turbo_plane *p, int row) { return p->data + (size_t)(row % p->held) * p->stride; }

// One row of chroma from one or two rows of pixels.
static void add_chroma(turbo_feed *f, const unsigned char *above, const unsigned char *below, int row) {
  unsigned char *cb = row_of(&f->strip[1], row), *cr = row_of(&f->strip[2], row);
  if (f->every == 1) {
    f->colours.chroma(above, cb, cr, f->width);
    return;
  }
  int pairs = f->width / 2;
  f->colours.half(above, below, cb, cr, pairs);
  if (f->width % 2) { // the last column counts twice
    unsigned char a[6], o[6];
    memcpy(a, above + 6 * (size_t)pairs, 3), memcpy(a + 3, a, 3);
    memcpy(o, below + 6 * (size_t)pairs, 3), memcpy(o + 3, o, 3);
    f->colours.half(a, o, cb + pairs, cr + pairs, 1);
  }
}

int turbo_feed_rows(turbo_feed *f, const unsigned char *rgb, size_t stride, int n, int *cancel, turbo_status *status) {
  if (n < 1 || n > TURBO_FEED_ROWS || n > f->height - f->next || f->next % 2 != 0)
    return turbo_set(status, TURBO_INTERNAL, "rows that do not follow");
  for (int i = 0; i < n; i++) {
    const unsigned char *row = rgb + (size_t)i * stride;
    f->colours.luma(row, row_of(&f->strip[0], f->next + i), f->width);
    if (f->every == 1 || i % 2 == 0) add_chroma(f, row, i + 1 < n ? row + stride : row, (f->next + i) / f->every);
  }
  f->next += n;
  for (int i = 0; i < f->count; i++) {
    int c = i % TURBO_PLANES, ready = c ? (f->next + f->every - 1) / f->every : f->next;
    turbo_resampler_run(&f->resamplers[i], &f->strip[c], ready, &f->passes, cancel);
  }
  if (turbo_cancelled(cancel)) return turbo_set(status, TURBO_CANCELLED, "cancelled");
  return TURBO_OK;
}

int turbo_feed_end(turbo_feed *f, turbo_picture *whole, turbo_status *status) {
  if (f->next != f->height) return turbo_set(status, TURBO_TRUNCATED, "rows are missing");
  for (int i = 0; i < f->count; i++) turbo_resampler_end(&f->resamplers[i]);
  for (int c = 0; whole && c < TURBO_PLANES; c++) {
    whole->plane[c] = f->strip[c];
    f->strip[c].data = NULL;
  }
  return TURBO_OK;
}
