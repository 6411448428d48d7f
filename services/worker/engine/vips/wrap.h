#include <vips/vips.h>

// The formats that mill_load and mill_save know.
enum { IM_JPEG, IM_PNG, IM_WEBP, IM_GIF, IM_TIFF, IM_HEIF, IM_JXL, IM_SVG, IM_PDF };

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
	double dither;  // how much a palette's errors are spread, 0 to 1
} mill_save_options;

/* Writes a small AVIF and reads it back; gives 0, 1 where it cannot be written,
 * 2 where it cannot be read. */
int mill_try_avif(void);
/* Has libheif load its codecs, and asks it; gives the same, 3 for neither, or -1
 * where it cannot be asked. */
int mill_ask_avif(void);
int mill_start(void);
void mill_forget(void);
char *mill_said(void);
int mill_known(const char *nickname);
/* Loads a module of libvips that is not loaded otherwise, and blocks what it brings. */
void mill_more(const char *module);
void mill_allow(const char *class);

int mill_load(int format, int fd, int shrink, double scale, int page, int pages, int sequential, VipsImage **out);
int mill_load_buffer(int format, const void *buffer, size_t size, VipsImage **out);
int mill_save(VipsImage *in, const mill_save_options *o, void **buffer, size_t *size);

int mill_from_memory(const void *pixels, size_t size, int width, int height, int bands, VipsImage **out);
int mill_memory(VipsImage *in, VipsImage **out);
void *mill_pixels(VipsImage *in);
void *mill_rows(VipsRegion *region, int top, int n, size_t *stride);

int mill_srgb(VipsImage *in, VipsImage **out);
int mill_icc(VipsImage *in, VipsImage **out, const char *to, int embedded, const char *from);
int mill_uchar(VipsImage *in, VipsImage **out);
int mill_bands(VipsImage *in, VipsImage **out, int first, int n);
int mill_add_alpha(VipsImage *in, VipsImage **out);
int mill_flatten(VipsImage *in, VipsImage **out, const double *background);
int mill_premultiply(VipsImage *in, VipsImage **out);
int mill_unpremultiply(VipsImage *in, VipsImage **out);
int mill_lut(VipsImage *in, VipsImage **out, const unsigned char *table, int bands);
int mill_minimum(VipsImage *in, double *out);

int mill_resize(VipsImage *in, VipsImage **out, double across, double down);
int mill_crop(VipsImage *in, VipsImage **out, int left, int top, int width, int height);
int mill_smartcrop(VipsImage *in, int width, int height, int entropy, int *x, int *y);
int mill_embed(VipsImage *in, VipsImage **out, int x, int y, int width, int height, const double *background, int n);
int mill_flip(VipsImage *in, VipsImage **out, int vertical);
int mill_turn(VipsImage *in, VipsImage **out, int quarters);
int mill_affine(VipsImage *in, VipsImage **out, double angle, int width, int height, const double *background, int n);
int mill_blur(VipsImage *in, VipsImage **out, double sigma);
int mill_unsharp(VipsImage *in, VipsImage *soft, VipsImage **out);
int mill_over(VipsImage *under, VipsImage *over, VipsImage **out, int x, int y);
int mill_join(VipsImage **frames, int n, VipsImage **out);

int mill_header_int(VipsImage *in, const char *name, int fallback);
const void *mill_blob(VipsImage *in, const char *name, size_t *size);
int mill_copy(VipsImage *in, VipsImage **out);
void mill_copy_fields(VipsImage *from, VipsImage *to, const char *prefix);
void mill_set_int(VipsImage *in, const char *name, int v);
void mill_set_text(VipsImage *in, const char *name, const char *v);
void mill_set_blob(VipsImage *in, const char *name, const void *data, size_t size);
void mill_bare(VipsImage *in);
void mill_remove(VipsImage *in, const char *name);
