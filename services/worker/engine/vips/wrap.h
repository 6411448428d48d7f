#include <vips/vips.h>

// The formats that im_load and im_save know.
enum { IM_JPEG, IM_PNG, IM_WEBP, IM_GIF, IM_TIFF, IM_HEIF, IM_JXL };

// What one result is written as; which fields count depends on the format.
typedef struct {
	int format;
	int quality;
	int effort;     // as the format counts it, -1: its default
	int lossless;
	int progressive;
	int full_chroma;
	int colors;     // of a palette, 0: none
	int strip;      // no metadata at all
	int page_height; // of an animation, 0: none
	int bits;       // of a palette's index, 1 to 8
} im_save_options;

int im_start(void);
void im_forget(void);
char *im_said(void);
int im_known(const char *nickname);

int im_load(int format, int fd, int shrink, double scale, int page, int pages, int sequential, VipsImage **out);
int im_load_buffer(int format, const void *buffer, size_t size, VipsImage **out);
int im_save(VipsImage *in, const im_save_options *o, void **buffer, size_t *size);

int im_from_memory(const void *pixels, size_t size, int width, int height, int bands, VipsImage **out);
int im_memory(VipsImage *in, VipsImage **out);
void *im_pixels(VipsImage *in);

int im_srgb(VipsImage *in, VipsImage **out);
int im_icc(VipsImage *in, VipsImage **out, const char *to, int embedded, const char *from);
int im_uchar(VipsImage *in, VipsImage **out);
int im_bands(VipsImage *in, VipsImage **out, int first, int n);
int im_add_alpha(VipsImage *in, VipsImage **out);
int im_flatten(VipsImage *in, VipsImage **out, const double *background);
int im_premultiply(VipsImage *in, VipsImage **out);
int im_unpremultiply(VipsImage *in, VipsImage **out);
int im_lut(VipsImage *in, VipsImage **out, const unsigned char *table, int bands);
int im_minimum(VipsImage *in, double *out);

int im_resize(VipsImage *in, VipsImage **out, double across, double down);
int im_crop(VipsImage *in, VipsImage **out, int left, int top, int width, int height);
int im_smartcrop(VipsImage *in, int width, int height, int entropy, int *x, int *y);
int im_embed(VipsImage *in, VipsImage **out, int x, int y, int width, int height, const double *background, int n);
int im_flip(VipsImage *in, VipsImage **out, int vertical);
int im_turn(VipsImage *in, VipsImage **out, int quarters);
int im_affine(VipsImage *in, VipsImage **out, double angle, int width, int height, const double *background, int n);
int im_blur(VipsImage *in, VipsImage **out, double sigma);
int im_unsharp(VipsImage *in, VipsImage *soft, VipsImage **out);
int im_over(VipsImage *under, VipsImage *over, VipsImage **out, int x, int y);
int im_join(VipsImage **frames, int n, VipsImage **out);

int im_header_int(VipsImage *in, const char *name, int fallback);
const void *im_blob(VipsImage *in, const char *name, size_t *size);
int im_copy(VipsImage *in, VipsImage **out);
void im_copy_fields(VipsImage *from, VipsImage *to, const char *prefix);
void im_set_int(VipsImage *in, const char *name, int v);
void im_set_text(VipsImage *in, const char *name, const char *v);
void im_set_blob(VipsImage *in, const char *name, const void *data, size_t size);
void im_remove(VipsImage *in, const char *name);
