//go:build vips

// The inner half of the resampling: tables, passes, and a resampler that takes
// rows as they come.
#ifndef IMAGEMILL_RESAMPLE_H
#define IMAGEMILL_RESAMPLE_H

#include "turbo.h"

// Weights of one axis: result i is the sum of taps source samples from start[i]
// on, times weight[i * taps]. Weights are in units of 1/16384 and sum up to 1.
typedef struct {
  int n, taps;
  int *start;
  int *used; // how many of the taps are not beyond the last source sample needed
  int16_t *weight;
} turbo_kernel;

int turbo_kernel_make(turbo_kernel *k, const turbo_axis *axis, int multiple);
void turbo_kernel_free(turbo_kernel *k);

// The passes. down sums n columns of taps (even) rows into units of 1/64;
// across sums samples of that row. Both round half up, and give the same
// result whichever way they are computed.
typedef struct {
  void (*down)(const unsigned char *const *rows, const int16_t *weight, int taps, int n, int16_t *out);
  void (*across)(const int16_t *row, const turbo_kernel *k, unsigned char *out);
} turbo_passes;

turbo_passes turbo_best_passes(void);
int turbo_has_lanes(void); // whether that is the wide ones

// One plane of one sink while rows of its source come in.
typedef struct {
  turbo_kernel x, y;
  turbo_plane *out, between; // between is used when the plane is turned
  int turned, mirrored, next;
  int left, width; // the columns of the source that are needed
  int16_t *row;
  const unsigned char **rows;
} turbo_resampler;

int turbo_resampler_make(turbo_resampler *r, const turbo_sink *sink, int plane);
// Writes all results for which the first `ready` rows of from are enough.
void turbo_resampler_run(turbo_resampler *r, const turbo_plane *from, int ready, const turbo_passes *passes, int *cancel);
void turbo_resampler_end(turbo_resampler *r);
void turbo_resampler_free(turbo_resampler *r);

// finish.c
void turbo_transpose(const turbo_plane *from, turbo_plane *to);

#endif
