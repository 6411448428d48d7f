//go:build vips

#include "resample.h"

#include <string.h>

enum { BLOCK = 32 };

void turbo_transpose(const turbo_plane *from, turbo_plane *to) {
  for (int y0 = 0; y0 < from->height; y0 += BLOCK)
    for (int x0 = 0; x0 < from->width; x0 += BLOCK) {
      int y1 = y0 + BLOCK < from->height ? y0 + BLOCK : from->height;
      int x1 = x0 + BLOCK < from->width ? x0 + BLOCK : from->width;
      for (int x = x0; x < x1; x++) {
        unsigned char *row = to->data + (size_t)x * to->stride;
        for (int y = y0; y < y1; y++) row[y] = from->data[(size_t)y * from->stride + (size_t)x];
      }
    }
}

// How much of sample i, step pixels wide, lies in pixels from to end; in units
// of 1/step.
static int covered(int i, int step, int from, int end) {
  int a = i * step, b = a + step;
  if (a < from) a = from;
  if (b > end) b = end;
  return b > a ? b - a : 0;
}

static void pad_plane(turbo_plane *p, int sx, int sy, int x, int y, int w, int h, int color) {
  for (int j = 0; j < p->height; j++) {
    unsigned char *row = p->data + (size_t)j * p->stride;
    int down = covered(j, sy, y, y + h);
    if (!down) {
      memset(row, color, (size_t)p->width);
      continue;
    }
    int first = x / sx, end = (x + w + sx - 1) / sx;
    if (end > p->width) end = p->width;
    memset(row, color, (size_t)first);
    memset(row + end, color, (size_t)(p->width - end));
    for (int i = first; i < end; i++) {
      int part = down * covered(i, sx, x, x + w);
      if (part < sx * sy) row[i] = (unsigned char)((row[i] * part + color * (sx * sy - part) + sx * sy / 2) / (sx * sy));
    }
  }
}

void turbo_pad(turbo_picture *p, int x, int y, int w, int h, const unsigned char *color) {
  // A chroma sample that reaches over the picture's own edge is not mixed.
  if (x + w == p->width) w += p->sx;
  if (y + h == p->height) h += p->sy;
  for (int c = 0; c < p->n; c++) pad_plane(&p->plane[c], c ? p->sx : 1, c ? p->sy : 1, x, y, w, h, color[c]);
}
