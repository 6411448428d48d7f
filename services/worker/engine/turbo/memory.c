//go:build vips

#include "turbo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long live;
static long fail_after = -1;

static int must_fail(void) {
  if (__atomic_load_n(&fail_after, __ATOMIC_RELAXED) < 0) return 0;
  return __atomic_fetch_sub(&fail_after, 1, __ATOMIC_RELAXED) <= 0;
}

void *turbo_alloc(size_t size) {
  void *p = NULL;
  if (must_fail() || posix_memalign(&p, 64, size ? size : 1)) return NULL;
  __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
  return p;
}

void *turbo_grow(void *old, size_t size) {
  if (must_fail()) return NULL;
  void *p = realloc(old, size);
  if (p && !old) __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
  return p;
}

void turbo_free(void *p) {
  if (!p) return;
  __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
  free(p);
}

long turbo_live(void) { return __atomic_load_n(&live, __ATOMIC_RELAXED); }

void turbo_fail_after(long allocations) { __atomic_store_n(&fail_after, allocations, __ATOMIC_RELAXED); }

int turbo_set(turbo_status *s, int code, const char *message) {
  s->code = code;
  snprintf(s->message, sizeof s->message, "%s", message);
  return code;
}

// The largest side and the two kinds of rounding up fit into 2^33 bytes a plane.
int turbo_plane_make(turbo_plane *p, int width, int height, int held) {
  size_t stride = (((size_t)width + 63) & ~(size_t)63) + TURBO_EDGE;
  *p = (turbo_plane){.width = width, .height = height, .held = held, .stride = stride};
  p->data = turbo_alloc(stride * (size_t)held);
  return p->data != NULL;
}

turbo_picture *turbo_picture_make(int n, int width, int height, int sx, int sy) {
  if (width < 1 || height < 1 || width > TURBO_MAX_SIDE || height > TURBO_MAX_SIDE) return NULL;
  turbo_picture *p = turbo_alloc(sizeof *p);
  if (!p) return NULL;
  *p = (turbo_picture){.n = n, .width = width, .height = height, .sx = sx, .sy = sy};
  for (int c = 0; c < n; c++) {
    int w = c ? (width + sx - 1) / sx : width, h = c ? (height + sy - 1) / sy : height;
    if (!turbo_plane_make(&p->plane[c], w, h, h)) {
      turbo_picture_free(p);
      return NULL;
    }
  }
  return p;
}

turbo_picture *turbo_picture_empty(int n) {
  turbo_picture *p = turbo_alloc(sizeof *p);
  if (p) *p = (turbo_picture){.n = n};
  return p;
}

void turbo_picture_free(turbo_picture *p) {
  if (!p) return;
  for (int c = 0; c < p->n; c++) turbo_free(p->plane[c].data);
  turbo_free(p);
}
