//go:build vips

#include "scan.h"

#if !defined(__x86_64__)

turbo_scan *turbo_scan_make(struct jpeg_decompress_struct *jpeg, const int *dct, int fd, off_t at) {
  (void)jpeg, (void)dct, (void)fd, (void)at;
  return NULL;
}
int turbo_scan_row(turbo_scan *s, JSAMPROW rows[TURBO_PLANES][4 * DCTSIZE]) { return (void)s, (void)rows, 0; }
int turbo_scan_end(turbo_scan *s) { return (void)s, 0; }
void turbo_scan_free(turbo_scan *s) { (void)s; }

#else

#include "halves.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { LOOK = 10, CHUNK = 1 << 17, LONGEST = 16 };

// What LOOK bits begin with: bits of the code, its run of zeros, and the bits
// of the value that follows. bits is 0 when the code is longer.
typedef struct {
  uint8_t bits, run, size, all; // all = bits + size
} look;

typedef struct {
  look first[1 << LOOK];
  uint32_t end[LONGEST + 1]; // codes of this length are below, in 16 bits
  int offset[LONGEST + 1];
  uint8_t symbol[256];
} codes;

typedef struct {
  codes *dc, *ac;
  int16_t quant[DCTSIZE2]; // in natural order
  int h, v, dct, last;
} part;

struct turbo_scan {
  uint64_t bits; // the next ones on top
  int count;     // how many of them are there
  int padding;   // how many of these come from beyond the data
  int stopped;   // a marker or the end is at next
  const uint8_t *next, *end;
  int fd, at_end;
  off_t at;
  int components, across, interval, left, restart;
  part parts[TURBO_PLANES];
  codes tables[2 * NUM_HUFF_TBLS];
  uint8_t chunk[CHUNK];
};

// Builds a table; 0 when it is one that libjpeg refuses: lengths that are no
// prefix code, a code of all ones, or sizes of first coefficients above most.
static int build(codes *c, const JHUFF_TBL *t, int most) {
  uint32_t code = 0;
  int n = 0;
  memset(c->first, 0, sizeof c->first);
  memcpy(c->symbol, t->huffval, sizeof c->symbol);
  for (int length = 1; length <= LONGEST; length++) {
    c->offset[length] = n - (int)code;
    for (int i = 0; i < t->bits[length]; i++, n++, code++) {
      if (n > 255 || code + 1 >= 1u << length || t->huffval[n] > most) return 0;
      if (length > LOOK) continue;
      uint8_t run = c->symbol[n] >> 4, size = c->symbol[n] & 15;
      for (uint32_t k = 0; k < 1u << (LOOK - length); k++)
        c->first[(code << (LOOK - length)) + k] = (look){(uint8_t)length, run, size, (uint8_t)(length + size)};
    }
    c->end[length] = code << (LONGEST - length);
    code <<= 1;
  }
  return 1;
}

// Keeps 16 bytes at hand as long as the file has them.
static void more(turbo_scan *s) {
  size_t rest = (size_t)(s->end - s->next);
  memmove(s->chunk, s->next, rest);
  s->next = s->chunk;
  s->end = s->chunk + rest;
  while (!s->at_end && rest < 16) {
    ssize_t n = pread(s->fd, s->chunk + rest, sizeof s->chunk - rest, s->at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      s->at_end = 1;
      break;
    }
    s->at += n;
    rest += (size_t)n;
    s->end = s->chunk + rest;
  }
}

// Byte by byte: stuffed zeros are left out, a marker stops.
static void refill_slowly(turbo_scan *s) {
  while (s->count <= 56) {
    if (s->end - s->next < 16 && !s->at_end) more(s);
    uint64_t byte = 0;
    if (s->end - s->next < 2 || (s->next[0] == 0xff && s->next[1] != 0)) {
      s->stopped = 1;
      s->padding += 8;
    } else {
      byte = s->next[0];
      s->next += byte == 0xff ? 2 : 1;
    }
    s->bits |= byte << (56 - s->count);
    s->count += 8;
  }
}

static inline void refill(turbo_scan *s) {
  uint64_t v;
  if (s->end - s->next >= 16) {
    memcpy(&v, s->next, sizeof v);
    v = __builtin_bswap64(v);
    if (!(v & (~v - 0x0101010101010101u) & 0x8080808080808080u)) { // no byte of all ones
      s->bits |= v >> s->count;
      s->next += (63 - s->count) >> 3;
      s->count |= 56;
      return;
    }
  }
  refill_slowly(s);
}

// A code that is longer than LOOK; 0 bits when there is no such code.
static __attribute__((noinline)) look find(uint64_t bits, const codes *c) {
  uint32_t top = (uint32_t)(bits >> (64 - LONGEST));
  for (int length = LOOK + 1; length <= LONGEST; length++)
    if (top < c->end[length]) {
      uint8_t symbol = c->symbol[((int)(top >> (LONGEST - length)) + c->offset[length]) & 255];
      return (look){(uint8_t)length, symbol >> 4, symbol & 15, (uint8_t)(length + (symbol & 15))};
    }
  return (look){0};
}

static inline look next_code(uint64_t bits, const codes *c) {
  look l = c->first[bits >> (64 - LOOK)];
  return __builtin_expect(l.bits != 0, 1) ? l : find(bits, c);
}

// The value in the size bits (at least 1) after a code of so many bits: without
// a branch, because its sign is a coin's.
static inline int value(uint64_t bits, look l) {
  int v = (int)((bits << l.bits) >> (64 - l.size));
  return v - ((1 << l.size) - 1) * (1 - (v >> (l.size - 1)));
}

// One block. Its coefficients but the first are stored only when wanted. The
// state is kept in registers as far as it goes.
static inline __attribute__((always_inline)) int block(turbo_scan *s, part *p, int16_t *to, int wanted) {
  refill(s);
  look l = next_code(s->bits, p->dc);
  if (!l.bits || l.run || l.size > 11) return 0;
  if (l.size) p->last += value(s->bits, l);
  if (p->last < -32768 || p->last > 32767) return 0;
  to[0] = (int16_t)p->last;
  uint64_t bits = s->bits << l.all;
  int count = s->count - l.all;
  const codes *ac = p->ac;
  for (int k = 1; k < DCTSIZE2; k++) {
    if (count < 32) {
      s->bits = bits, s->count = count;
      refill(s);
      bits = s->bits, count = s->count;
    }
    l = next_code(bits, ac);
    if (!l.bits) return 0;
    if (!l.size) {
      bits <<= l.bits;
      count -= l.bits;
      if (l.run != 15) break;
      k += 15;
      continue;
    }
    k += l.run;
    if (k >= DCTSIZE2) return 0;
    if (wanted) to[jpeg_order[k]] = (int16_t)value(bits, l);
    bits <<= l.all;
    count -= l.all;
  }
  s->bits = bits, s->count = count;
  return !s->stopped || s->padding <= s->count;
}

// Begins anew after a restart marker, which must be where it belongs.
static int restart(turbo_scan *s) {
  refill_slowly(s);
  if (!s->stopped || s->count - s->padding >= 8 || s->end - s->next < 2) return 0;
  if (s->next[0] != 0xff || s->next[1] != 0xd0 + s->restart) return 0;
  s->next += 2;
  s->restart = (s->restart + 1) & 7;
  s->left = s->interval;
  s->bits = 0;
  s->count = s->padding = s->stopped = 0;
  for (int c = 0; c < s->components; c++) s->parts[c].last = 0;
  return 1;
}

static int decode_block(turbo_scan *s, part *p, JSAMPROW *rows, int column) {
  if (p->dct == 1) {
    int16_t only[1];
    if (!block(s, p, only, 0)) return 0;
    rows[0][column] = turbo_mean(only[0] * p->quant[0]);
    return 1;
  }
  int16_t to[DCTSIZE2] __attribute__((aligned(16)));
  for (int i = 0; i < DCTSIZE2; i += 8) _mm_store_si128((__m128i *)(to + i), _mm_setzero_si128());
  if (!block(s, p, to, 1)) return 0;
  turbo_halves(to, p->quant, rows[0] + 2 * column, rows[1] + 2 * column);
  return 1;
}

int turbo_scan_row(turbo_scan *s, JSAMPROW rows[TURBO_PLANES][4 * DCTSIZE]) {
  for (int x = 0; x < s->across; x++) {
    if (s->interval && !s->left && !restart(s)) return 0;
    s->left--;
    for (int c = 0; c < s->components; c++) {
      part *p = &s->parts[c];
      for (int j = 0; j < p->v; j++)
        for (int i = 0; i < p->h; i++)
          if (!decode_block(s, p, rows[c] + j * p->dct, x * p->h + i)) return 0;
    }
  }
  return 1;
}

int turbo_scan_end(turbo_scan *s) {
  refill_slowly(s);
  return s->stopped && s->count - s->padding < 8 && s->end - s->next >= 2 && s->next[0] == 0xff && s->next[1] == 0xd9;
}

void turbo_scan_free(turbo_scan *s) { turbo_free(s); }

static int is_regular(const struct jpeg_decompress_struct *j, const int *dct) {
  if (j->progressive_mode || j->arith_code || j->comps_in_scan != j->num_components || j->num_components > TURBO_PLANES) return 0;
  if (j->Ss != 0 || j->Se != DCTSIZE2 - 1 || j->Ah || j->Al) return 0;
  if (j->num_components == 1 && (j->comp_info[0].h_samp_factor != 1 || j->comp_info[0].v_samp_factor != 1)) return 0;
  for (int c = 0; c < j->num_components; c++)
    if (j->cur_comp_info[c] != &j->comp_info[c] || dct[c] > 2) return 0;
  return 1;
}

static int make_part(turbo_scan *s, const struct jpeg_decompress_struct *j, int c, int dct) {
  const jpeg_component_info *info = &j->comp_info[c];
  if ((unsigned)info->dc_tbl_no >= NUM_HUFF_TBLS || (unsigned)info->ac_tbl_no >= NUM_HUFF_TBLS) return 0;
  if ((unsigned)info->quant_tbl_no >= NUM_QUANT_TBLS || !j->quant_tbl_ptrs[info->quant_tbl_no]) return 0;
  const JHUFF_TBL *dc = j->dc_huff_tbl_ptrs[info->dc_tbl_no], *ac = j->ac_huff_tbl_ptrs[info->ac_tbl_no];
  part *p = &s->parts[c];
  p->dc = &s->tables[info->dc_tbl_no];
  p->ac = &s->tables[NUM_HUFF_TBLS + info->ac_tbl_no];
  if (!dc || !ac || !build(p->dc, dc, 15) || !build(p->ac, ac, 255)) return 0;
  for (int k = 0; k < DCTSIZE2; k++) {
    int q = j->quant_tbl_ptrs[info->quant_tbl_no]->quantval[k];
    if (q > 255) return 0;
    p->quant[k] = (int16_t)q;
  }
  p->h = info->h_samp_factor;
  p->v = info->v_samp_factor;
  p->dct = dct;
  return 1;
}

turbo_scan *turbo_scan_make(struct jpeg_decompress_struct *j, const int *dct, int fd, off_t at) {
  if (!is_regular(j, dct)) return NULL;
  turbo_scan *s = turbo_alloc(sizeof *s);
  if (!s) return NULL;
  memset(s, 0, offsetof(turbo_scan, tables));
  s->components = j->num_components;
  s->fd = fd;
  s->at = at;
  s->next = s->end = s->chunk;
  s->interval = s->left = (int)j->restart_interval;
  int across = j->max_h_samp_factor * DCTSIZE;
  s->across = ((int)j->image_width + across - 1) / across;
  for (int c = 0; c < s->components; c++)
    if (!make_part(s, j, c, dct[c])) {
      turbo_free(s);
      return NULL;
    }
  return s;
}

#endif
