//go:build vips

#include "resample.h"

#include <math.h>

#define ONE 16384

// One sine that is taken at equal steps: the next value is the last one turned
// by the step, which costs four multiplications.
typedef struct {
  double sine, cosine, step_sine, step_cosine;
} turning;

static turning turning_from(double angle, double step) {
  return (turning){sin(angle), cos(angle), sin(step), cos(step)};
}

static double turn(turning *t) {
  double sine = t->sine;
  t->sine = sine * t->step_cosine + t->cosine * t->step_sine;
  t->cosine = t->cosine * t->step_cosine - sine * t->step_sine;
  return sine;
}

// Fills in n values of Lanczos3 from x on, step apart.
static double lanczos3(double x, double step, int n, double *out) {
  turning fast = turning_from(M_PI * x, M_PI * step), slow = turning_from(M_PI * x / 3, M_PI * step / 3);
  double sum = 0;
  for (int k = 0; k < n; k++) {
    double at = M_PI * (x + k * step), both = turn(&fast) * turn(&slow);
    out[k] = fabs(at) < 1e-6 ? 1 : fabs(at) >= 3 * M_PI ? 0 : 3 * both / (at * at);
    sum += out[k];
  }
  return sum;
}

// Weighs source samples around one result. Gives how many there are; the first
// one is *start. Samples that are cut off give their weight to the others.
static int weigh(const turbo_axis *a, int i, double stretch, double *weight, int *start) {
  double center = a->offset + (i + 0.5) * a->scale - 0.5;
  center = fmin(fmax(center, a->lo - 0.5), a->hi - 0.5);
  int first = (int)ceil(center - 3 * stretch), last = (int)floor(center + 3 * stretch);
  if (first < a->lo) first = a->lo;
  if (last > a->hi - 1) last = a->hi - 1;
  int n = last - first + 1;
  double sum = lanczos3((first - center) / stretch, 1 / stretch, n, weight);
  for (int k = 0; k < n; k++) weight[k] /= sum;
  *start = first;
  return n;
}

// Rounds weights so that they sum up to ONE, and drops those at both ends that
// are nothing.
static int quantize(const double *weight, int n, int16_t *to, int *start) {
  double sum = 0;
  int before = 0, first = -1, end = 0;
  for (int k = 0; k < n; k++) {
    sum += weight[k];
    int up_to = (int)floor(sum * ONE + 0.5), w = up_to - before;
    before = up_to;
    if (w && first < 0) first = k;
    if (first >= 0) to[k - first] = (int16_t)w;
    if (w) end = k + 1;
  }
  *start += first;
  return end - first;
}

int turbo_kernel_make(turbo_kernel *k, const turbo_axis *a, int multiple) {
  double stretch = fmax(fabs(a->scale), 1);
  double most = fmin(6 * stretch + 2, (double)a->hi - a->lo + 1);
  size_t room = ((size_t)most + 1 + (size_t)multiple - 1) / (size_t)multiple * (size_t)multiple;
  *k = (turbo_kernel){.n = a->n};
  size_t n = (size_t)a->n;
  double *weight = turbo_alloc(room * sizeof *weight);
  k->start = turbo_alloc(n * sizeof *k->start);
  k->used = turbo_alloc(n * sizeof *k->used);
  k->weight = turbo_alloc(n * room * sizeof *k->weight);
  if (!weight || !k->start || !k->used || !k->weight) {
    turbo_free(weight);
    return 0;
  }
  int taps = 1;
  for (size_t i = 0; i < n; i++) {
    int16_t *to = k->weight + i * room;
    int all = weigh(a, (int)i, stretch, weight, &k->start[i]);
    for (size_t j = 0; j < room; j++) to[j] = 0;
    k->used[i] = quantize(weight, all, to, &k->start[i]);
    for (size_t j = (size_t)k->used[i]; j < room; j++) to[j] = 0;
    if (k->used[i] > taps) taps = k->used[i];
  }
  turbo_free(weight);
  // Move the weights together: most of the room is often not needed.
  k->taps = (taps + multiple - 1) / multiple * multiple;
  for (size_t i = 1; i < n; i++)
    for (int j = 0; j < k->taps; j++) k->weight[i * (size_t)k->taps + (size_t)j] = k->weight[i * room + (size_t)j];
  return 1;
}

void turbo_kernel_free(turbo_kernel *k) {
  turbo_free(k->start);
  turbo_free(k->used);
  turbo_free(k->weight);
  *k = (turbo_kernel){0};
}
