//go:build vips

// The inverse DCT of a block to 2 by 2 samples, each the mean of a quarter of
// the block, as libjpeg's: of 8 frequencies along an axis only the mean and the
// odd ones differ between the halves.
#ifndef IMAGEMILL_HALVES_H
#define IMAGEMILL_HALVES_H

#include <emmintrin.h>
#include <stdint.h>
#include <string.h>

// From the order in which coefficients are stored to that of the rows.
static const uint8_t jpeg_order[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

// The share of a frequency in the mean of the first half, times 32768.
enum { SHARE0 = 11585, SHARE1 = 10498, SHARE3 = -3686, SHARE5 = 2463, SHARE7 = -2088 };

// A block's mean, of its first coefficient.
static inline unsigned char turbo_mean(int dc) {
  int v = (dc + 4 + 1024) >> 3;
  return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static inline __m128i turbo_row(const int16_t *block, const int16_t *quant, int row) {
  return _mm_mullo_epi16(_mm_load_si128((const __m128i *)(block + 8 * row)), _mm_loadu_si128((const __m128i *)(quant + 8 * row)));
}

// Upper and lower half of every column, with 4 bits of fraction.
static inline void turbo_columns(const int16_t *block, const int16_t *quant, __m128i *upper, __m128i *lower) {
  const __m128i zero = _mm_setzero_si128(), half = _mm_set1_epi32(1 << 10);
  const __m128i w0 = _mm_set1_epi32(SHARE0), w13 = _mm_set1_epi32((int)((uint32_t)SHARE3 << 16 | (SHARE1 & 0xffff)));
  const __m128i w57 = _mm_set1_epi32((int)((uint32_t)SHARE7 << 16 | (SHARE5 & 0xffff)));
  __m128i r0 = turbo_row(block, quant, 0), r1 = turbo_row(block, quant, 1), r3 = turbo_row(block, quant, 3);
  __m128i r5 = turbo_row(block, quant, 5), r7 = turbo_row(block, quant, 7);
  __m128i even_l = _mm_add_epi32(half, _mm_madd_epi16(_mm_unpacklo_epi16(r0, zero), w0));
  __m128i even_h = _mm_add_epi32(half, _mm_madd_epi16(_mm_unpackhi_epi16(r0, zero), w0));
  __m128i odd_l = _mm_add_epi32(_mm_madd_epi16(_mm_unpacklo_epi16(r1, r3), w13), _mm_madd_epi16(_mm_unpacklo_epi16(r5, r7), w57));
  __m128i odd_h = _mm_add_epi32(_mm_madd_epi16(_mm_unpackhi_epi16(r1, r3), w13), _mm_madd_epi16(_mm_unpackhi_epi16(r5, r7), w57));
  *upper = _mm_packs_epi32(_mm_srai_epi32(_mm_add_epi32(even_l, odd_l), 11), _mm_srai_epi32(_mm_add_epi32(even_h, odd_h), 11));
  *lower = _mm_packs_epi32(_mm_srai_epi32(_mm_sub_epi32(even_l, odd_l), 11), _mm_srai_epi32(_mm_sub_epi32(even_h, odd_h), 11));
}

// The sums of the four lanes of a, b, c and d, in one vector.
static inline __m128i turbo_sums(__m128i a, __m128i b, __m128i c, __m128i d) {
  __m128i ab = _mm_add_epi32(_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
  __m128i cd = _mm_add_epi32(_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
  return _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
}

static inline void turbo_halves(const int16_t *block, const int16_t *quant, unsigned char *first, unsigned char *second) {
  const __m128i left = _mm_setr_epi16(SHARE0, SHARE1, 0, SHARE3, 0, SHARE5, 0, SHARE7);
  const __m128i right = _mm_setr_epi16(SHARE0, -SHARE1, 0, -SHARE3, 0, -SHARE5, 0, -SHARE7);
  __m128i upper, lower;
  turbo_columns(block, quant, &upper, &lower);
  __m128i sums = turbo_sums(_mm_madd_epi16(upper, left), _mm_madd_epi16(upper, right), _mm_madd_epi16(lower, left), _mm_madd_epi16(lower, right));
  sums = _mm_srai_epi32(_mm_add_epi32(sums, _mm_set1_epi32((128 << 19) + (1 << 18))), 19);
  sums = _mm_packs_epi32(sums, sums);
  uint32_t four = (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(sums, sums));
  memcpy(first, &four, 2);
  four >>= 16;
  memcpy(second, &four, 2);
}

#endif
