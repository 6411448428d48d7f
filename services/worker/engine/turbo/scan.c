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

// CHUNK bytes are made ready at a time. A block takes less than BLOCK: 64 codes
// and values of at most 31 bits. So many zeros stand behind the data.
enum { LOOK = 11, CHUNK = 1 << 15, RAW = 1 << 16, BLOCK = 512, STEP = 16, LONGEST = 16, DONE = 128 };

// So many looks take no more bits than a refill gives, and leave enough for the next.
enum { TAKES = (56 - LOOK) / LOOK };

// What LOOK bits begin with: a code with the value after it, and where there is
// room another one. A value goes to the place that is so many steps on (to),
// DONE after the last one of a block. Without a second one its step is 0 and its
// value that of the first. all is 0 when not even the first fits in; to is then
// the length of its code, 0 where that is longer than LOOK.
typedef struct {
  int16_t value, value2;
  uint8_t to, to2;
  uint8_t bits, all; // of the first, and of both
} look;

typedef struct {
  look first[1 << LOOK];
  uint32_t end[LONGEST + 1]; // codes of this length are below, in 16 bits
  int offset[LONGEST + 1];
  uint8_t symbol[256];
  int is_dc;
} codes;

typedef struct {
  codes *dc, *ac;
  int16_t quant[DCTSIZE2]; // in natural order
  int h, v, dct, last;
} part;

struct turbo_scan {
  uint64_t bits; // the next ones on top
  int count;     // how many of them are there
  const uint8_t *next, *end; // of plain; next is beyond end when zeros were taken
  int marker;                // the one that stands at end; END_OF_FILE, or 0 for more data
  const uint8_t *raw_next, *raw_end;
  int fd;
  off_t at;
  int components, across, interval, left, restart;
  part parts[TURBO_PLANES];
  codes tables[2 * NUM_HUFF_TBLS];
  uint8_t raw[RAW + STEP];
  uint8_t plain[CHUNK + BLOCK + STEP]; // without stuffed zeros
};

enum { END_OF_FILE = -1, NO_MARKER = 0 };

// The value that size bits stand for, without a branch, because its sign is a coin's.
static inline int value(int v, int size) { return size ? v - ((1 << size) - 1) * (1 - (v >> (size - 1))) : 0; }

// What a code with this symbol begins; all is 0 for a symbol that is none.
static inline look meaning(const codes *c, int length, int symbol, int v) {
  int run = symbol >> 4, size = symbol & 15, all = length + size;
  if (c->is_dc && size > 11) return (look){0};
  int16_t is = (int16_t)value(v, size);
  int to = !c->is_dc && !size && run != 15 ? DONE : run + 1;
  return (look){is, is, (uint8_t)to, 0, (uint8_t)all, (uint8_t)all};
}

// Adds the second code wherever both fit.
static void pair(codes *c) {
  for (uint32_t i = 0; i < 1u << LOOK; i++) {
    look *l = &c->first[i], next = c->first[(i << l->bits) & ((1u << LOOK) - 1)];
    if (!l->all || l->to == DONE || !next.all || l->bits + next.bits > LOOK) continue;
    l->value2 = next.value;
    l->to2 = next.to;
    l->all = (uint8_t)(l->bits + next.bits);
  }
}

// Builds a table; 0 when it is one that libjpeg refuses: lengths that are no
// prefix code, a code of all ones, or sizes of first coefficients above 15.
static int build(codes *c, const JHUFF_TBL *t, int is_dc) {
  uint32_t code = 0;
  int n = 0;
  c->is_dc = is_dc;
  memset(c->first, 0, sizeof c->first);
  memcpy(c->symbol, t->huffval, sizeof c->symbol);
  for (int length = 1; length <= LONGEST; length++) {
    c->offset[length] = n - (int)code;
    for (int i = 0; i < t->bits[length]; i++, n++, code++) {
      if (n > 255 || code + 1 >= 1u << length || (is_dc && t->huffval[n] > 15)) return 0;
      if (length > LOOK) continue;
      int size = t->huffval[n] & 15, spare = LOOK - length - size;
      for (uint32_t k = 0; k < 1u << (LOOK - length); k++)
        c->first[(code << (LOOK - length)) + k] =
            spare < 0 ? (look){.to = (uint8_t)length} : meaning(c, length, t->huffval[n], (int)(k >> spare));
    }
    c->end[length] = code << (LONGEST - length);
    code <<= 1;
  }
  if (!is_dc) pair(c);
  return 1;
}

// A code and value that take more than LOOK bits, of which l is known; all is 0
// when there is no such code.
static __attribute__((noinline)) look find(uint64_t bits, const codes *c, look l) {
  uint32_t top = (uint32_t)(bits >> (64 - LONGEST));
  for (int length = l.to ? l.to : LOOK + 1; length <= LONGEST; length++)
    if (top < c->end[length]) {
      int symbol = c->symbol[((int)(top >> (LONGEST - length)) + c->offset[length]) & 255], size = symbol & 15;
      return meaning(c, length, symbol, size ? (int)((bits << length) >> (64 - size)) : 0);
    }
  return (look){0};
}

// Has two bytes at raw_next at least; 0 when the file ends before.
static int read_raw(turbo_scan *s) {
  size_t rest = (size_t)(s->raw_end - s->raw_next);
  memmove(s->raw, s->raw_next, rest);
  s->raw_next = s->raw;
  while (rest < 2) {
    ssize_t n = pread(s->fd, s->raw + rest, RAW - rest, s->at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    s->at += n;
    rest += (size_t)n;
  }
  s->raw_end = s->raw + rest;
  return rest >= 2;
}

// Makes data ready until there is a chunk of them or a marker stops them.
static void fill(turbo_scan *s) {
  const __m128i ones = _mm_set1_epi8(-1);
  uint8_t *out = s->plain + (s->end - s->next), *limit = s->plain + CHUNK;
  memmove(s->plain, s->next, (size_t)(s->end - s->next));
  s->next = s->plain;
  while (out < limit && !s->marker) {
    if (s->raw_end - s->raw_next < 2 && !read_raw(s)) {
      s->marker = END_OF_FILE; // the last byte of a file belongs to a marker
      break;
    }
    // All is written that was read; what counts of it ends at a byte of ones.
    __m128i v = _mm_loadu_si128((const __m128i *)s->raw_next);
    _mm_storeu_si128((__m128i *)out, v);
    unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, ones));
    ptrdiff_t n = found ? __builtin_ctz(found) : STEP, there = s->raw_end - s->raw_next;
    if (n > there) n = there;
    out += n;
    s->raw_next += n;
    if (n == STEP || s->raw_end - s->raw_next < 2 || s->raw_next[0] != 0xff) continue;
    if (s->raw_next[1] == 0)
      *out++ = 0xff;
    else
      s->marker = s->raw_next[1];
    s->raw_next += 2;
  }
  s->end = out;
  memset(out, 0, BLOCK);
}

// Has 56 bits at least, and never reads beyond the zeros in one block.
static inline void refill(uint64_t *bits, int *count, const uint8_t **next) {
  uint64_t v;
  memcpy(&v, *next, sizeof v);
  *bits |= __builtin_bswap64(v) >> *count;
  *next += (63 - *count) >> 3;
  *count |= 56;
}

// How many bits are left before the marker; below 0 when too many were taken.
static inline ptrdiff_t remaining(const turbo_scan *s) { return 8 * (s->end - s->next) + s->count; }

// One block, to its last coefficient's index; -1 when it is irregular. Its
// coefficients but the first are stored only when wanted.
static inline __attribute__((always_inline)) int block(turbo_scan *s, part *p, int16_t *to, int wanted) {
  if (s->end - s->next < BLOCK && !s->marker) fill(s);
  uint64_t bits = s->bits;
  int count = s->count, k = 0;
  const uint8_t *next = s->next;
  refill(&bits, &count, &next);
  look l = p->dc->first[bits >> (64 - LOOK)];
  if (!l.all && !(l = find(bits, p->dc, l)).all) return -1;
  p->last += l.value;
  if (p->last < -32768 || p->last > 32767) return -1;
  to[0] = (int16_t)p->last;
  bits <<= l.bits;
  count -= l.bits;
  const codes *ac = p->ac;
  while (k < DCTSIZE2 - 1) {
    refill(&bits, &count, &next);
    for (int i = 0; i < TAKES; i++) {
      l = ac->first[bits >> (64 - LOOK)];
      if (__builtin_expect(!l.all, 0)) {
        refill(&bits, &count, &next);
        l = find(bits, ac, l);
        if (!l.all) return -1;
        i = TAKES;
      }
      k += l.to;
      if (k >= DCTSIZE2 - 1) { // what comes next is another block's
        bits <<= l.bits;
        count -= l.bits;
        if (wanted && k == DCTSIZE2 - 1) to[DCTSIZE2 - 1] = l.value;
        break;
      }
      bits <<= l.all;
      count -= l.all;
      if (wanted) to[jpeg_order[k]] = l.value;
      k += l.to2;
      if (k >= DCTSIZE2) break;
      if (wanted) to[jpeg_order[k]] = l.value2;
      if (k == DCTSIZE2 - 1) break;
    }
  }
  s->bits = bits, s->count = count, s->next = next;
  if (k >= DCTSIZE2 && k < DONE) return -1;
  return remaining(s) < 0 ? -1 : k;
}

// Whether all data before the marker were used, but for the bits that fill the last byte.
static int used_up(turbo_scan *s) {
  if (!s->marker) fill(s);
  return remaining(s) >= 0 && remaining(s) < 8;
}

// Begins anew after a restart marker, which must be where it belongs.
static int restart(turbo_scan *s) {
  if (!used_up(s) || s->marker != 0xd0 + s->restart) return 0;
  s->restart = (s->restart + 1) & 7;
  s->left = s->interval;
  s->bits = 0;
  s->count = s->marker = 0;
  s->next = s->end = s->plain;
  for (int c = 0; c < s->components; c++) s->parts[c].last = 0;
  return 1;
}

// A block whose samples are not made yet. Processors wait long for a wide load
// from what narrow stores wrote just before, so a block lies for the time that
// the next one takes.
typedef struct {
  int16_t blocks[2][DCTSIZE2] __attribute__((aligned(16)));
  int turn; // the one to be filled next
  const int16_t *quant;
  JSAMPROW first, second; // NULL when none lies there
} bench;

static inline void make_samples(bench *b) {
  if (b->first) turbo_halves(b->blocks[!b->turn], b->quant, b->first, b->second);
  b->first = NULL;
}

static inline int decode_block(turbo_scan *s, part *p, bench *b, JSAMPROW *rows, int column) {
  int16_t *to = b->blocks[b->turn];
  if (p->dct == 1) {
    if (block(s, p, to, 0) < 0) return 0;
    rows[0][column] = turbo_mean(to[0] * p->quant[0]);
    return 1;
  }
  for (int i = 0; i < DCTSIZE2; i += 8) _mm_store_si128((__m128i *)(to + i), _mm_setzero_si128());
  if (block(s, p, to, 1) < 0) return 0;
  make_samples(b);
  b->turn = !b->turn;
  b->quant = p->quant;
  b->first = rows[0] + 2 * column;
  b->second = rows[1] + 2 * column;
  return 1;
}

int turbo_scan_row(turbo_scan *s, JSAMPROW rows[TURBO_PLANES][4 * DCTSIZE]) {
  bench b = {.turn = 0};
  for (int x = 0; x < s->across; x++) {
    if (s->interval && !s->left && !restart(s)) return 0;
    s->left--;
    for (int c = 0; c < s->components; c++) {
      part *p = &s->parts[c];
      for (int j = 0; j < p->v; j++)
        for (int i = 0; i < p->h; i++)
          if (!decode_block(s, p, &b, rows[c] + j * p->dct, x * p->h + i)) return 0;
    }
  }
  make_samples(&b);
  return 1;
}

int turbo_scan_end(turbo_scan *s) { return used_up(s) && s->marker == 0xd9; }

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
  if (!dc || !ac || !build(p->dc, dc, 1) || !build(p->ac, ac, 0)) return 0;
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
  s->next = s->end = s->plain;
  s->raw_next = s->raw_end = s->raw;
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
