//go:build vips

#include "resample.h"

#include <string.h>

// The bits of a weight are 14; between the passes 6 bits of fraction are kept.
enum { DOWN_SHIFT = 8, ACROSS_SHIFT = 20 };

static int16_t to_row(int32_t sum) {
  sum = (sum + (1 << (DOWN_SHIFT - 1))) >> DOWN_SHIFT;
  return (int16_t)(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
}

static unsigned char to_sample(int32_t sum) {
  sum = (sum + (1 << (ACROSS_SHIFT - 1))) >> ACROSS_SHIFT;
  return (unsigned char)(sum > 255 ? 255 : sum < 0 ? 0 : sum);
}

enum { TILE = 256 };

static void down_plain(const unsigned char *const *rows, const int16_t *weight, int taps, int n, int16_t *out) {
  int32_t sum[TILE];
  for (int x = 0; x < n; x += TILE) {
    int m = n - x < TILE ? n - x : TILE;
    memset(sum, 0, sizeof sum);
    for (int t = 0; t < taps; t++) {
      const unsigned char *row = rows[t] + x;
      int32_t w = weight[t];
      for (int i = 0; i < m; i++) sum[i] += row[i] * w;
    }
    for (int i = 0; i < m; i++) out[x + i] = to_row(sum[i]);
  }
}

static void across_plain(const int16_t *row, const turbo_kernel *k, unsigned char *out) {
  for (int i = 0; i < k->n; i++) {
    const int16_t *from = row + k->start[i], *weight = k->weight + (size_t)i * (size_t)k->taps;
    int32_t sum = 0;
    for (int t = 0; t < k->taps; t++) sum += from[t] * weight[t];
    out[i] = to_sample(sum);
  }
}

static const turbo_passes plain = {down_plain, across_plain};

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

// 32 columns at a time: bytes of two rows are interleaved, so that one
// multiplication adds up two taps.
AVX2 static void down_avx2(const unsigned char *const *rows, const int16_t *weight, int taps, int n, int16_t *out) {
  const __m256i zero = _mm256_setzero_si256(), half = _mm256_set1_epi32(1 << (DOWN_SHIFT - 1));
  for (int x = 0; x < n; x += 32) {
    __m256i s0 = half, s1 = half, s2 = half, s3 = half;
    for (int t = 0; t < taps; t += 2) {
      int32_t pair;
      memcpy(&pair, weight + t, sizeof pair);
      __m256i w = _mm256_set1_epi32(pair);
      __m256i a = _mm256_loadu_si256((const __m256i *)(rows[t] + x));
      __m256i b = _mm256_loadu_si256((const __m256i *)(rows[t + 1] + x));
      __m256i lo = _mm256_unpacklo_epi8(a, b), hi = _mm256_unpackhi_epi8(a, b);
      s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(_mm256_unpacklo_epi8(lo, zero), w));
      s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(_mm256_unpackhi_epi8(lo, zero), w));
      s2 = _mm256_add_epi32(s2, _mm256_madd_epi16(_mm256_unpacklo_epi8(hi, zero), w));
      s3 = _mm256_add_epi32(s3, _mm256_madd_epi16(_mm256_unpackhi_epi8(hi, zero), w));
    }
    __m256i r0 = _mm256_packs_epi32(_mm256_srai_epi32(s0, DOWN_SHIFT), _mm256_srai_epi32(s1, DOWN_SHIFT));
    __m256i r1 = _mm256_packs_epi32(_mm256_srai_epi32(s2, DOWN_SHIFT), _mm256_srai_epi32(s3, DOWN_SHIFT));
    _mm256_storeu_si256((__m256i *)(out + x), _mm256_permute2x128_si256(r0, r1, 0x20));
    _mm256_storeu_si256((__m256i *)(out + x + 16), _mm256_permute2x128_si256(r0, r1, 0x31));
  }
}

AVX2 static inline __m256i sum16(const int16_t *from, const int16_t *weight, int taps) {
  __m256i s = _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)from), _mm256_loadu_si256((const __m256i *)weight));
  for (int t = 16; t < taps; t += 16)
    s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(from + t)),
                                              _mm256_loadu_si256((const __m256i *)(weight + t))));
  return s;
}

// Eight results at a time; taps is a multiple of 16.
AVX2 static void across_avx2(const int16_t *row, const turbo_kernel *k, unsigned char *out) {
  const __m256i half = _mm256_set1_epi32(1 << (ACROSS_SHIFT - 1));
  int taps = k->taps, i = 0;
  for (; i + 8 <= k->n; i += 8) {
    const int16_t *w = k->weight + (size_t)i * (size_t)taps;
    const int *at = k->start + i;
    __m256i s[8];
    for (int j = 0; j < 8; j++) s[j] = sum16(row + at[j], w + (size_t)j * (size_t)taps, taps);
    __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
    __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(s[4], s[5]), _mm256_hadd_epi32(s[6], s[7]));
    __m256i sum = _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
    sum = _mm256_srai_epi32(_mm256_add_epi32(sum, half), ACROSS_SHIFT);
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    _mm_storel_epi64((__m128i *)(out + i), _mm_packus_epi16(words, words));
  }
  turbo_kernel rest = {.n = k->n - i, .taps = taps, .start = k->start + i, .weight = k->weight + (size_t)i * (size_t)taps};
  across_plain(row, &rest, out + i);
}

static const turbo_passes wide = {down_avx2, across_avx2};
static int has_wide(void) { return __builtin_cpu_supports("avx2"); }
#else
static const turbo_passes wide = {down_plain, across_plain};
static int has_wide(void) { return 0; }
#endif

static int allowed = 1;

int turbo_lanes(int set) {
  __atomic_store_n(&allowed, set, __ATOMIC_RELAXED);
  return set && has_wide();
}

int turbo_has_lanes(void) { return __atomic_load_n(&allowed, __ATOMIC_RELAXED) && has_wide(); }

turbo_passes turbo_best_passes(void) { return turbo_has_lanes() ? wide : plain; }
