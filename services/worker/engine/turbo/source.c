//go:build vips

#include "resample.h"
#include "scan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jpeglib.h>
#include <jerror.h>

enum { MAX_SCANS = 100, MAX_WARNINGS = 1000, READ_BYTES = 1 << 16 };

struct turbo_source {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr input;
  struct jpeg_progress_mgr progress;
  void (*realize)(j_common_ptr);
  jmp_buf escape; // every call of the library stands behind a setjmp of its own
  turbo_status *status;
  int *cancel;
  int dct[TURBO_PLANES];
  int fd;
  off_t at;
  int warnings;
  JOCTET buffer[READ_BYTES];
};

static turbo_source *source_of(j_common_ptr jpeg) { return jpeg->client_data; }

static void leave(turbo_source *s, int code, const char *message) {
  turbo_set(s->status, code, message);
  longjmp(s->escape, 1);
}

static int code_of(int library_code) {
  switch (library_code) {
  case JERR_OUT_OF_MEMORY:
    return TURBO_NO_MEMORY;
  case JERR_NO_BACKING_STORE: // what it needs is more than turbo_open allows
    return TURBO_TOO_LARGE;
  case JERR_INPUT_EMPTY:
  case JERR_INPUT_EOF:
  case JWRN_JPEG_EOF:
    return TURBO_TRUNCATED;
  case JERR_ARITH_NOTIMPL:
  case JERR_BAD_PRECISION:
  case JERR_CCIR601_NOTIMPL:
  case JERR_COMPONENT_COUNT:
  case JERR_CONVERSION_NOTIMPL:
  case JERR_FRACT_SAMPLE_NOTIMPL:
  case JERR_NOT_COMPILED:
  case JERR_SOF_UNSUPPORTED:
    return TURBO_NOT_FAST;
  }
  return TURBO_DAMAGED;
}

static void on_error(j_common_ptr jpeg) {
  char text[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, text);
  leave(source_of(jpeg), code_of(jpeg->err->msg_code), text);
}

// Warnings that mean that pixels are missing or made up end the work, as they
// do in Go's decoder; rubbish between segments and lost restart markers do not.
static void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  switch (jpeg->err->msg_code) {
  case JWRN_JPEG_EOF:
  case JWRN_HIT_MARKER:
  case JWRN_HUFF_BAD_CODE:
    on_error(jpeg);
  }
  if (++source_of(jpeg)->warnings > MAX_WARNINGS) on_error(jpeg);
}

static void no_output(j_common_ptr jpeg) { (void)jpeg; }

// Called for every row of blocks of every scan.
static void on_progress(j_common_ptr jpeg) {
  turbo_source *s = source_of(jpeg);
  if (turbo_cancelled(s->cancel)) leave(s, TURBO_CANCELLED, "cancelled");
  if (s->jpeg.input_scan_number > MAX_SCANS) leave(s, TURBO_TOO_LARGE, "more than 100 scans");
}

static void input_start(j_decompress_ptr jpeg) { (void)jpeg; }

static boolean input_fill(j_decompress_ptr jpeg) {
  turbo_source *s = source_of((j_common_ptr)jpeg);
  ssize_t n;
  do n = pread(s->fd, s->buffer, sizeof s->buffer, s->at);
  while (n < 0 && errno == EINTR);
  if (n < 0) leave(s, TURBO_UNREADABLE, strerror(errno));
  if (n == 0) ERREXIT(jpeg, JERR_INPUT_EOF);
  s->at += n;
  s->input.next_input_byte = s->buffer;
  s->input.bytes_in_buffer = (size_t)n;
  return TRUE;
}

static void input_skip(j_decompress_ptr jpeg, long bytes) {
  turbo_source *s = source_of((j_common_ptr)jpeg);
  if (bytes <= 0) return;
  if ((size_t)bytes <= s->input.bytes_in_buffer) {
    s->input.next_input_byte += bytes;
    s->input.bytes_in_buffer -= (size_t)bytes;
    return;
  }
  s->at += bytes - (long)s->input.bytes_in_buffer;
  s->input.bytes_in_buffer = 0;
}

static void input_end(j_decompress_ptr jpeg) { (void)jpeg; }

static int is_fast(turbo_source *s) {
  struct jpeg_decompress_struct *j = &s->jpeg;
  if (j->data_precision != 8) return turbo_set(s->status, TURBO_NOT_FAST, "more than 8 bits a sample"), 0;
  if (j->arith_code) return turbo_set(s->status, TURBO_NOT_FAST, "arithmetic coding"), 0;
  if (!(j->num_components == 1 && j->jpeg_color_space == JCS_GRAYSCALE) &&
      !(j->num_components == 3 && j->jpeg_color_space == JCS_YCbCr))
    return turbo_set(s->status, TURBO_NOT_FAST, "neither YCbCr nor grey"), 0;
  return 1;
}

static void describe(struct jpeg_decompress_struct *j, turbo_header *h) {
  *h = (turbo_header){(int)j->image_width, (int)j->image_height, j->num_components, {0}, {0}, j->progressive_mode};
  for (int c = 0; c < j->num_components; c++) {
    h->h[c] = j->comp_info[c].h_samp_factor;
    h->v[c] = j->comp_info[c].v_samp_factor;
  }
}

int turbo_open(turbo_source **source, int fd, long memory, turbo_header *header, turbo_status *status) {
  *source = NULL;
  turbo_source *s = turbo_alloc(sizeof *s);
  if (!s) return turbo_set(status, TURBO_NO_MEMORY, "no memory for the decoder");
  memset(s, 0, offsetof(turbo_source, buffer));
  s->fd = fd;
  s->status = status;
  s->jpeg.err = jpeg_std_error(&s->errors);
  s->errors.error_exit = on_error;
  s->errors.emit_message = on_message;
  s->errors.output_message = no_output;
  s->jpeg.client_data = s;
  if (setjmp(s->escape)) {
    turbo_close(s);
    return status->code;
  }
  jpeg_create_decompress(&s->jpeg);
  s->jpeg.mem->max_memory_to_use = memory;
  s->input = (struct jpeg_source_mgr){
      .init_source = input_start, .fill_input_buffer = input_fill, .skip_input_data = input_skip,
      .resync_to_restart = jpeg_resync_to_restart, .term_source = input_end};
  s->jpeg.src = &s->input;
  s->progress.progress_monitor = on_progress;
  s->jpeg.progress = &s->progress;
  jpeg_read_header(&s->jpeg, TRUE);
  if (!is_fast(s)) {
    turbo_close(s);
    return status->code;
  }
  describe(&s->jpeg, header);
  s->status = NULL;
  *source = s;
  return TURBO_OK;
}

void turbo_close(turbo_source *s) {
  if (!s) return;
  jpeg_destroy_decompress(&s->jpeg);
  turbo_free(s);
}

// The library would rather decode chroma larger than upsample it; the planes
// are wanted as they are. This runs after it has chosen sizes and before it has
// used them for anything but the size of buffers that raw output does not touch.
static void choose_sizes(j_common_ptr jpeg) {
  turbo_source *s = source_of(jpeg);
  for (int c = 0; c < s->jpeg.num_components; c++) s->jpeg.comp_info[c].DCT_scaled_size = s->dct[c];
  s->realize(jpeg);
}

// What one call of turbo_decode holds, so that one function can give it back.
typedef struct {
  int components, rows[TURBO_PLANES]; // rows of each component in one row of blocks
  turbo_plane strip[TURBO_PLANES];
  JSAMPROW row[TURBO_PLANES][4 * DCTSIZE];
  turbo_resampler *resamplers;
  int count;
  turbo_passes passes;
} decoding;

static void drop(decoding *d) {
  for (int c = 0; c < d->components; c++) turbo_free(d->strip[c].data);
  for (int i = 0; i < d->count; i++) turbo_resampler_free(&d->resamplers[i]);
  turbo_free(d->resamplers);
}

static int div_up(int a, int b) { return (a + b - 1) / b; }

// Makes the strips: as many rows as the longest kernel needs, or all of them.
static int make_strips(turbo_source *s, decoding *d, int whole) {
  struct jpeg_decompress_struct *j = &s->jpeg;
  for (int c = 0; c < d->components; c++) {
    jpeg_component_info *info = &j->comp_info[c];
    int blocks_w = div_up((int)j->image_width, j->max_h_samp_factor * DCTSIZE) * info->h_samp_factor;
    int blocks_h = div_up((int)j->image_height, j->max_v_samp_factor * DCTSIZE) * info->v_samp_factor;
    int all = blocks_h * s->dct[c], taps = 0;
    d->rows[c] = info->v_samp_factor * s->dct[c];
    for (int i = c; i < d->count; i += d->components)
      if (d->resamplers[i].y.taps > taps) taps = d->resamplers[i].y.taps;
    int held = (div_up(taps, d->rows[c]) + 1) * d->rows[c];
    if (whole || held > all) held = all;
    if (!turbo_plane_make(&d->strip[c], blocks_w * s->dct[c], all, held)) return 0;
    d->strip[c].width = div_up((int)j->image_width * info->h_samp_factor * s->dct[c], j->max_h_samp_factor * DCTSIZE);
    d->strip[c].height = div_up((int)j->image_height * info->v_samp_factor * s->dct[c], j->max_v_samp_factor * DCTSIZE);
  }
  return 1;
}

static int make_resamplers(decoding *d, const turbo_sink *sinks, int count) {
  size_t size = (size_t)count * (size_t)d->components * sizeof *d->resamplers;
  d->resamplers = turbo_alloc(size);
  if (!d->resamplers) return 0;
  memset(d->resamplers, 0, size);
  d->count = count * d->components;
  for (int i = 0; i < d->count; i++)
    if (!turbo_resampler_make(&d->resamplers[i], &sinks[i / d->components], i % d->components)) return 0;
  return 1;
}

// Points to where the rows of blocks number `row` are to be put.
static void aim(decoding *d, int row) {
  for (int c = 0; c < d->components; c++)
    for (int r = 0; r < d->rows[c]; r++)
      d->row[c][r] = d->strip[c].data + (size_t)((row * d->rows[c] + r) % d->strip[c].held) * d->strip[c].stride;
}

// Makes all results for which the rows of blocks up to `row` are enough.
static void advance(turbo_source *s, decoding *d, int row) {
  for (int i = 0; i < d->count; i++) {
    int c = i % d->components, ready = (row + 1) * d->rows[c];
    if (ready > d->strip[c].height) ready = d->strip[c].height;
    turbo_resampler_run(&d->resamplers[i], &d->strip[c], ready, &d->passes, s->cancel);
  }
}

static int block_rows(const turbo_source *s) {
  return div_up((int)s->jpeg.image_height, s->jpeg.max_v_samp_factor * DCTSIZE);
}

// The way that is taken when the scan is of the common kind and regular.
// Otherwise it gives 0, and what it has made is made anew.
static int scan_all(turbo_source *s, decoding *d) {
  turbo_scan *scan = turbo_scan_make(&s->jpeg, s->dct, s->fd, s->at - (off_t)s->input.bytes_in_buffer);
  if (!scan) return 0;
  int ok = 1;
  for (int row = 0; ok && row < block_rows(s) && !turbo_cancelled(s->cancel); row++) {
    aim(d, row);
    ok = turbo_scan_row(scan, d->row);
    if (ok) advance(s, d, row);
  }
  ok = ok && (turbo_cancelled(s->cancel) || turbo_scan_end(scan));
  turbo_scan_free(scan);
  for (int i = 0; !ok && i < d->count; i++) d->resamplers[i].next = 0;
  return ok;
}

static void decode_all(turbo_source *s, decoding *d, int shrink) {
  struct jpeg_decompress_struct *j = &s->jpeg;
  j->raw_data_out = TRUE;
  j->out_color_space = j->jpeg_color_space;
  j->do_fancy_upsampling = FALSE;
  j->do_block_smoothing = FALSE;
  j->dct_method = JDCT_ISLOW;
  j->scale_num = 1;
  j->scale_denom = (unsigned)shrink;
  s->realize = j->mem->realize_virt_arrays;
  j->mem->realize_virt_arrays = choose_sizes;
  jpeg_start_decompress(j);
  for (int c = 0; c < d->components; c++)
    if (j->comp_info[c].DCT_scaled_size != s->dct[c]) leave(s, TURBO_NOT_FAST, "the library decodes to other sizes");
  JSAMPARRAY image[TURBO_PLANES] = {d->row[0], d->row[1], d->row[2]};
  for (int row = 0; row < block_rows(s); row++) {
    aim(d, row);
    jpeg_read_raw_data(j, image, (JDIMENSION)(j->max_v_samp_factor * DCTSIZE));
    advance(s, d, row);
  }
  jpeg_finish_decompress(j);
}

static int own_scan = 1;

void turbo_own_scan(int on) { __atomic_store_n(&own_scan, on, __ATOMIC_RELAXED); }

int turbo_decode(turbo_source *s, int shrink, const int *dct, const turbo_sink *sinks, int count,
                 turbo_picture *whole, int *cancel, turbo_status *status) {
  decoding d = {.components = s->jpeg.num_components, .passes = turbo_best_passes()};
  int own = __atomic_load_n(&own_scan, __ATOMIC_RELAXED);
  s->status = status;
  s->cancel = cancel;
  for (int c = 0; c < d.components; c++) s->dct[c] = dct[c];
  if (!make_resamplers(&d, sinks, count) || !make_strips(s, &d, whole != NULL)) {
    drop(&d);
    s->status = NULL, s->cancel = NULL;
    return turbo_set(status, TURBO_NO_MEMORY, "no memory for decoding");
  }
  // d is not changed between setjmp and longjmp but for what it points to and
  // its row pointers, which are not looked at afterwards.
  if (setjmp(s->escape)) {
    drop(&d);
    s->status = NULL, s->cancel = NULL;
    return status->code;
  }
  if (!own || !scan_all(s, &d)) decode_all(s, &d, shrink);
  for (int i = 0; i < d.count; i++) turbo_resampler_end(&d.resamplers[i]);
  if (turbo_cancelled(cancel)) leave(s, TURBO_CANCELLED, "cancelled");
  if (whole)
    for (int c = 0; c < d.components; c++) {
      whole->plane[c] = d.strip[c];
      d.strip[c].data = NULL;
    }
  drop(&d);
  s->status = NULL, s->cancel = NULL;
  return TURBO_OK;
}
