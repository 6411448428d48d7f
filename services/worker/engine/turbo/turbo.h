//go:build vips

// The C half of package turbo: one call for each stage, no call back into Go.
#ifndef IMAGEMILL_TURBO_H
#define IMAGEMILL_TURBO_H

#include <stddef.h>
#include <stdint.h>

// How a call ended. Everything but TURBO_OK comes with a message.
enum {
  TURBO_OK,
  TURBO_NOT_FAST,   // a sound file, but nothing for this path
  TURBO_TRUNCATED,  // the file ends too early
  TURBO_DAMAGED,
  TURBO_TOO_LARGE,  // more scans or memory than is allowed
  TURBO_CANCELLED,
  TURBO_NO_MEMORY,
  TURBO_UNREADABLE, // reading the file failed; errno is in the message
  TURBO_INTERNAL,
};

typedef struct {
  int code;
  char message[256];
} turbo_status;

enum { TURBO_PLANES = 3, TURBO_MAX_SIDE = 65535, TURBO_EDGE = 64 };

// Samples of one component. Row r stands at data + (r % held) * stride; each
// row may be read TURBO_EDGE bytes beyond its width.
typedef struct {
  int width, height;
  int held;
  size_t stride;
  unsigned char *data;
} turbo_plane;

// A picture in full-range YCbCr (n = 3) or grey (n = 1). A chroma sample covers
// sx by sy pixels.
typedef struct {
  int n, width, height, sx, sy;
  turbo_plane plane[TURBO_PLANES];
} turbo_picture;

// n samples of a result along one axis: sample i lies at offset + (i + 0.5) *
// scale of the source, in its samples, whose edges are whole numbers. Only
// source samples lo to hi-1 are used. A negative scale mirrors.
typedef struct {
  int n, lo, hi;
  double offset, scale;
} turbo_axis;

// One result of a resampling: x and y are the source's axes. With turned set,
// columns and rows are exchanged afterwards.
typedef struct {
  turbo_picture *out;
  turbo_axis x[TURBO_PLANES], y[TURBO_PLANES];
  int turned;
} turbo_sink;

// What a header says.
typedef struct {
  int width, height, components;
  int h[TURBO_PLANES], v[TURBO_PLANES]; // sampling factors
  int progressive;
} turbo_header;

typedef struct {
  unsigned char *data;
  size_t size;
} turbo_output;

typedef struct turbo_source turbo_source;

// memory.c: all memory of this package goes through these and is counted.
void *turbo_alloc(size_t size);
void *turbo_grow(void *old, size_t size);
void turbo_free(void *p);
long turbo_live(void);
void turbo_fail_after(long allocations); // for tests; negative: never
int turbo_plane_make(turbo_plane *p, int width, int height, int held);
turbo_picture *turbo_picture_make(int n, int width, int height, int sx, int sy);
turbo_picture *turbo_picture_empty(int n); // planes follow
void turbo_picture_free(turbo_picture *p);
int turbo_set(turbo_status *s, int code, const char *message);

// source.c: the decoder. dct is the size of a block of each component after
// decoding: 1, 2, 4 or 8. A sink's source is the decoded component.
int turbo_open(turbo_source **source, int fd, long memory, turbo_header *header, turbo_status *status);
int turbo_decode(turbo_source *source, int shrink, const int *dct, const turbo_sink *sinks, int count,
                 turbo_picture *whole, int *cancel, turbo_status *status);
void turbo_own_scan(int on); // for tests and benchmarks: whether scan.c is used
void turbo_close(turbo_source *source);

// feed.c: an original that somebody else decodes, in rows of RGB from the top.
// every is how many pixels a sample of chroma covers in either direction: 1 or 2.
// At most TURBO_FEED_ROWS come at a time, an even number but for the last. With
// no sinks all rows are kept, and turbo_feed_end gives them to whole.
enum { TURBO_FEED_ROWS = 64 };
typedef struct turbo_feed turbo_feed;
int turbo_feed_open(turbo_feed **feed, int width, int height, int every, const turbo_sink *sinks, int count, turbo_status *status);
int turbo_feed_rows(turbo_feed *feed, const unsigned char *rgb, size_t stride, int n, int *cancel, turbo_status *status);
int turbo_feed_end(turbo_feed *feed, turbo_picture *whole, turbo_status *status);
void turbo_feed_close(turbo_feed *feed);

// resample.c, resampler.c
int turbo_resample(const turbo_picture *from, const turbo_sink *sink, int *cancel, turbo_status *status);
int turbo_lanes(int set); // for tests: 0 plain C, 1 as the machine allows; gives what is used

// finish.c: everything outside of the rectangle becomes the colour.
void turbo_pad(turbo_picture *p, int x, int y, int w, int h, const unsigned char *color);

// jpeg.c, webp.c: the encoders. The output is freed by turbo_free.
// restart is the number of MCUs between restart markers, 0 for none.
int turbo_encode_jpeg(const turbo_picture *p, int quality, int optimize, int progressive, int restart, turbo_output *out,
                      int *cancel, turbo_status *status);
int turbo_encode_webp(const turbo_picture *p, int quality, int method, turbo_output *out,
                      int *cancel, turbo_status *status);
int turbo_write(turbo_output *out, size_t *room, const void *data, size_t size);

static inline int turbo_cancelled(int *cancel) { return cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED); }

#endif
