//go:build vips

#include "turbo.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

typedef struct {
  struct jpeg_compress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_destination_mgr destination;
  struct jpeg_progress_mgr progress;
  jmp_buf escape;
  turbo_status *status;
  int *cancel;
  turbo_output *out;
  size_t room;
  JOCTET buffer[1 << 14];
} encoder;

int turbo_write(turbo_output *out, size_t *room, const void *data, size_t size) {
  if (size > *room - out->size) {
    size_t more = *room + *room / 2 + size + (1 << 16);
    unsigned char *grown = turbo_grow(out->data, more);
    if (!grown) return 0;
    out->data = grown;
    *room = more;
  }
  memcpy(out->data + out->size, data, size);
  out->size += size;
  return 1;
}

static void leave(encoder *e, int code, const char *message) {
  turbo_set(e->status, code, message);
  longjmp(e->escape, 1);
}

static void on_error(j_common_ptr jpeg) {
  char text[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, text);
  leave(jpeg->client_data, jpeg->err->msg_code == JERR_OUT_OF_MEMORY ? TURBO_NO_MEMORY : TURBO_INTERNAL, text);
}

static void on_message(j_common_ptr jpeg, int level) { (void)jpeg, (void)level; }

static void on_progress(j_common_ptr jpeg) {
  encoder *e = jpeg->client_data;
  if (turbo_cancelled(e->cancel)) leave(e, TURBO_CANCELLED, "cancelled");
}

static void output_start(j_compress_ptr jpeg) {
  encoder *e = jpeg->client_data;
  e->destination.next_output_byte = e->buffer;
  e->destination.free_in_buffer = sizeof e->buffer;
}

static void flush(encoder *e, size_t n) {
  if (!turbo_write(e->out, &e->room, e->buffer, n)) leave(e, TURBO_NO_MEMORY, "no memory for the result");
}

static boolean output_empty(j_compress_ptr jpeg) {
  encoder *e = jpeg->client_data;
  flush(e, sizeof e->buffer);
  output_start(jpeg);
  return TRUE;
}

static void output_end(j_compress_ptr jpeg) {
  encoder *e = jpeg->client_data;
  flush(e, sizeof e->buffer - e->destination.free_in_buffer);
}

static void configure(encoder *e, const turbo_picture *p, int quality, int optimize, int progressive) {
  struct jpeg_compress_struct *j = &e->jpeg;
  j->image_width = (JDIMENSION)p->width;
  j->image_height = (JDIMENSION)p->height;
  j->input_components = p->n;
  j->in_color_space = p->n == 1 ? JCS_GRAYSCALE : JCS_YCbCr;
  jpeg_set_defaults(j);
  jpeg_set_quality(j, quality, TRUE);
  j->comp_info[0].h_samp_factor = p->n == 1 ? 1 : p->sx;
  j->comp_info[0].v_samp_factor = p->n == 1 ? 1 : p->sy;
  j->optimize_coding = optimize ? TRUE : FALSE;
  if (progressive) jpeg_simple_progression(j);
  j->raw_data_in = TRUE;
  j->dct_method = JDCT_ISLOW;
}

// Repeats the last sample of each row up to the end of its last block.
static void extend(const turbo_plane *p, int block) {
  int end = (p->width + block - 1) / block * block;
  if (end == p->width) return;
  for (int y = 0; y < p->height; y++) {
    unsigned char *row = p->data + (size_t)y * p->stride;
    memset(row + p->width, row[p->width - 1], (size_t)(end - p->width));
  }
}

static void write_rows(encoder *e, const turbo_picture *p) {
  struct jpeg_compress_struct *j = &e->jpeg;
  JSAMPROW row[TURBO_PLANES][4 * DCTSIZE];
  JSAMPARRAY image[TURBO_PLANES] = {row[0], row[1], row[2]};
  for (int c = 0; c < p->n; c++) extend(&p->plane[c], DCTSIZE);
  for (int block = 0; j->next_scanline < j->image_height; block++) {
    for (int c = 0; c < p->n; c++) {
      int rows = j->comp_info[c].v_samp_factor * DCTSIZE;
      for (int r = 0; r < rows; r++) {
        int y = block * rows + r;
        if (y >= p->plane[c].height) y = p->plane[c].height - 1;
        row[c][r] = p->plane[c].data + (size_t)y * p->plane[c].stride;
      }
    }
    jpeg_write_raw_data(j, image, (JDIMENSION)(j->max_v_samp_factor * DCTSIZE));
  }
}

int turbo_encode_jpeg(const turbo_picture *p, int quality, int optimize, int progressive, int restart, turbo_output *out,
                      int *cancel, turbo_status *status) {
  *out = (turbo_output){0};
  encoder *e = turbo_alloc(sizeof *e);
  if (!e) return turbo_set(status, TURBO_NO_MEMORY, "no memory for the encoder");
  memset(e, 0, offsetof(encoder, buffer));
  e->status = status;
  e->cancel = cancel;
  e->out = out;
  e->jpeg.err = jpeg_std_error(&e->errors);
  e->errors.error_exit = on_error;
  e->errors.emit_message = on_message;
  e->jpeg.client_data = e;
  e->destination = (struct jpeg_destination_mgr){
      .init_destination = output_start, .empty_output_buffer = output_empty, .term_destination = output_end};
  if (setjmp(e->escape)) {
    jpeg_destroy_compress(&e->jpeg);
    turbo_free(e);
    turbo_free(out->data);
    *out = (turbo_output){0};
    return status->code;
  }
  jpeg_create_compress(&e->jpeg);
  e->jpeg.dest = &e->destination;
  e->progress.progress_monitor = on_progress;
  e->jpeg.progress = &e->progress;
  configure(e, p, quality, optimize, progressive);
  e->jpeg.restart_interval = (unsigned)restart;
  jpeg_start_compress(&e->jpeg, TRUE);
  write_rows(e, p);
  jpeg_finish_compress(&e->jpeg);
  jpeg_destroy_compress(&e->jpeg);
  turbo_free(e);
  return TURBO_OK;
}
