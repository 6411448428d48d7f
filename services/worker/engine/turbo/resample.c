//go:build vips

#include "resample.h"

#include <string.h>

enum { ACROSS_TAPS = 16 };

int turbo_resampler_make(turbo_resampler *r, const turbo_sink *sink, int plane) {
  const turbo_axis *x = &sink->x[plane], *y = &sink->y[plane];
  *r = (turbo_resampler){.out = &sink->out->plane[plane], .turned = sink->turned, .mirrored = y->scale < 0};
  if (!turbo_kernel_make(&r->x, x, ACROSS_TAPS) || !turbo_kernel_make(&r->y, y, 2)) return 0;
  int left = r->x.start[0], right = left;
  for (int i = 0; i < r->x.n; i++) {
    if (r->x.start[i] < left) left = r->x.start[i];
    if (r->x.start[i] + r->x.used[i] > right) right = r->x.start[i] + r->x.used[i];
  }
  for (int i = 0; i < r->x.n; i++) r->x.start[i] -= left;
  r->left = left;
  size_t room = (size_t)(right - left) + (size_t)r->x.taps + 64;
  r->row = turbo_alloc(room * sizeof *r->row);
  r->rows = turbo_alloc((size_t)r->y.taps * sizeof *r->rows);
  if (!r->row || !r->rows) return 0;
  memset(r->row, 0, room * sizeof *r->row);
  r->width = right - left;
  return !r->turned || turbo_plane_make(&r->between, x->n, y->n, y->n);
}

void turbo_resampler_run(turbo_resampler *r, const turbo_plane *from, int ready, const turbo_passes *passes, int *cancel) {
  turbo_plane *out = r->turned ? &r->between : r->out;
  for (; r->next < r->y.n && !turbo_cancelled(cancel); r->next++) {
    int i = r->mirrored ? r->y.n - 1 - r->next : r->next;
    int start = r->y.start[i], used = r->y.used[i], taps = (used + 1) & ~1;
    if (start + used > ready) return;
    for (int t = 0; t < taps; t++) {
      int row = start + (t < used ? t : used - 1);
      r->rows[t] = from->data + (size_t)(row % from->held) * from->stride + r->left;
    }
    passes->down(r->rows, r->y.weight + (size_t)i * (size_t)r->y.taps, taps, r->width, r->row);
    passes->across(r->row, &r->x, out->data + (size_t)i * out->stride);
  }
}

void turbo_resampler_end(turbo_resampler *r) {
  if (r->turned) turbo_transpose(&r->between, r->out);
}

void turbo_resampler_free(turbo_resampler *r) {
  turbo_kernel_free(&r->x);
  turbo_kernel_free(&r->y);
  turbo_free(r->row);
  turbo_free(r->rows);
  turbo_free(r->between.data);
  *r = (turbo_resampler){0};
}

int turbo_resample(const turbo_picture *from, const turbo_sink *sink, int *cancel, turbo_status *status) {
  turbo_passes passes = turbo_best_passes();
  for (int c = 0; c < from->n && c < sink->out->n; c++) {
    turbo_resampler r;
    int ok = turbo_resampler_make(&r, sink, c);
    if (ok) {
      turbo_resampler_run(&r, &from->plane[c], from->plane[c].height, &passes, cancel);
      turbo_resampler_end(&r);
    }
    turbo_resampler_free(&r);
    if (!ok) return turbo_set(status, TURBO_NO_MEMORY, "no memory for resampling");
    if (turbo_cancelled(cancel)) return turbo_set(status, TURBO_CANCELLED, "cancelled");
  }
  return TURBO_OK;
}
