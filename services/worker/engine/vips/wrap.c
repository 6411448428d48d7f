//go:build vips

#define _GNU_SOURCE
#include "wrap.h"

#include <dlfcn.h>
#include <errno.h>
#include <gmodule.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

// What libvips and its libraries warned of since mill_forget, first lines first.
// Decoders give their reasons so, and fail later with few words.
static GMutex said_lock;
static char said[1024];

static void note(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer data) {
	if ((level & G_LOG_LEVEL_WARNING) == 0)
		return;
	g_mutex_lock(&said_lock);
	size_t used = strlen(said);
	g_snprintf(said + used, sizeof said - used, "%s\n", text);
	g_mutex_unlock(&said_lock);
}

void mill_forget(void) {
	g_mutex_lock(&said_lock);
	said[0] = 0;
	g_mutex_unlock(&said_lock);
	vips_error_clear();
}

char *mill_said(void) {
	g_mutex_lock(&said_lock);
	char *copy = g_strdup(said);
	said[0] = 0;
	g_mutex_unlock(&said_lock);
	return copy;
}

// What libvips itself would load as it starts are all of its modules, among them
// those for ImageMagick and microscopes with some thirty libraries of their own,
// which take a third of a process's memory and are never used here. So it is sent
// to a folder that is none, and the modules that are wanted are loaded after that.
static GModule *heif;

static void load_modules(const char *const *modules) {
	Dl_info where;
	if (!dladdr((void *) vips_init, &where) || !where.dli_fname)
		return;
	char *folder = g_path_get_dirname(where.dli_fname);
	for (; *modules; modules++) {
		char *file = g_strdup_printf("%s/vips-modules-%d.%d/%s.so", folder, vips_version(0), vips_version(1), *modules);
		GModule *module = g_module_open(file, G_MODULE_BIND_LAZY); // a libvips may have it built in, or lack it
		if (module)
			g_module_make_resident(module);
		if (module && g_str_equal(*modules, "vips-heif"))
			heif = module;
		g_free(file);
	}
	g_free(folder);
}

// block switches off whatever libvips calls untrusted, of all that is loaded now.
static void block(void) {
#if VIPS_MAJOR_VERSION > 8 || (VIPS_MAJOR_VERSION == 8 && VIPS_MINOR_VERSION >= 13)
	vips_block_untrusted_set(TRUE);
#else
#error "libvips 8.13 or newer is needed"
#endif
	// Only what this program itself wrote is read or written through these.
	vips_operation_block_set("VipsForeignSaveJxl", FALSE);
	vips_operation_block_set("VipsForeignLoadJxlBuffer", FALSE);
}

int mill_start(void) {
	static const char *const modules[] = {"vips-heif", "vips-jxl", NULL};
	char *home = g_strdup(g_getenv("VIPSHOME"));
	g_setenv("VIPSHOME", "/nonexistent", TRUE);
	int failed = vips_init("imagemill");
	if (home)
		g_setenv("VIPSHOME", home, TRUE);
	else
		g_unsetenv("VIPSHOME");
	g_free(home);
	if (failed)
		return -1;
	load_modules(modules);
	g_log_set_handler("VIPS", G_LOG_LEVEL_WARNING | G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG | G_LOG_LEVEL_MESSAGE, note, NULL);
	block();
	vips_concurrency_set(1);
	vips_cache_set_max(0);
	vips_cache_set_max_mem(0);
	vips_cache_set_max_files(0);
	return 0;
}

int mill_known(const char *nickname) {
	GType t = vips_type_find("VipsOperation", nickname);
	if (t == 0)
		return 0;
	gpointer class = g_type_class_ref(t);
	int blocked = VIPS_OPERATION_CLASS(class)->flags & VIPS_OPERATION_BLOCKED;
	g_type_class_unref(class);
	return !blocked;
}

void mill_more(const char *module) {
	const char *const modules[] = {module, NULL};
	load_modules(modules);
	block(); // what came with it, too
}

void mill_allow(const char *class) { vips_operation_block_set(class, FALSE); }

static int load(int format, VipsSource *from, int shrink, double scale, int page, int pages, VipsAccess access, VipsImage **out) {
	switch (format) {
	case IM_JPEG:
		return vips_jpegload_source(from, out, "shrink", shrink, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
	case IM_PNG:
		return vips_pngload_source(from, out, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
	case IM_WEBP:
		return vips_webpload_source(from, out, "scale", scale, "page", page, "n", pages, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
	case IM_GIF:
		return vips_gifload_source(from, out, "page", page, "n", pages, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
	case IM_TIFF:
		return vips_tiffload_source(from, out, "page", page, "n", pages, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
	case IM_HEIF:
		if (page == 0) // the picture that the file calls its primary one
			return vips_heifload_source(from, out, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
		return vips_heifload_source(from, out, "page", page, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
	case IM_JXL:
		return vips_jxlload_source(from, out, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
	case IM_SVG:
		// It is read from a stream that has no place: what it refers to is nowhere.
		return vips_svgload_source(from, out, "dpi", 96.0, "scale", scale, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
	case IM_PDF:
		return vips_pdfload_source(from, out, "page", page, "scale", scale, "access", access, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
	}
	vips_error("imagemill", "there is no loader %d", format);
	return -1;
}

// mill_load reads from an open file, whose offset it moves: only one picture at a
// time can be decoded from it.
int mill_load(int format, int fd, int shrink, double scale, int page, int pages, int sequential, VipsImage **out) {
	if (lseek(fd, 0, SEEK_SET) < 0) {
		vips_error_system(errno, "imagemill", "seek");
		return -1;
	}
	VipsSource *from = vips_source_new_from_descriptor(fd);
	if (!from)
		return -1;
	int wrong = load(format, from, shrink, scale, page, pages, sequential ? VIPS_ACCESS_SEQUENTIAL : VIPS_ACCESS_RANDOM, out);
	g_object_unref(from);
	return wrong;
}

int mill_load_buffer(int format, const void *buffer, size_t size, VipsImage **out) {
	switch (format) {
	case IM_JPEG:
		return vips_jpegload_buffer((void *) buffer, size, out, NULL);
	case IM_WEBP:
		return vips_webpload_buffer((void *) buffer, size, out, NULL);
	case IM_HEIF:
		return vips_heifload_buffer((void *) buffer, size, out, NULL);
	case IM_JXL:
		return vips_jxlload_buffer((void *) buffer, size, out, NULL);
	}
	vips_error("imagemill", "there is no loader %d", format);
	return -1;
}

int mill_save(VipsImage *in, const mill_save_options *o, void **buffer, size_t *size) {
	VipsForeignSubsample chroma = o->full_chroma ? VIPS_FOREIGN_SUBSAMPLE_OFF : VIPS_FOREIGN_SUBSAMPLE_ON;
	switch (o->format) {
	case IM_JPEG:
		return vips_jpegsave_buffer(in, buffer, size, "Q", o->quality, "interlace", o->progressive, "subsample_mode", chroma,
			"optimize_coding", o->effort >= 7, "strip", o->strip, NULL);
	case IM_PNG:
		if (o->colors > 0)
			return vips_pngsave_buffer(in, buffer, size, "palette", TRUE, "bitdepth", o->bits <= 2 ? o->bits : o->bits <= 4 ? 4 : 8,
				"dither", o->dither, "compression", o->effort, "interlace", o->progressive, "strip", o->strip, NULL);
		return vips_pngsave_buffer(in, buffer, size, "compression", o->effort, "filter", VIPS_FOREIGN_PNG_FILTER_ALL,
			"interlace", o->progressive, "strip", o->strip, NULL);
	case IM_WEBP:
		if (o->page_height > 0)
			return vips_webpsave_buffer(in, buffer, size, "Q", o->quality, "lossless", o->lossless, "effort", o->effort,
				"strip", o->strip, "page_height", o->page_height, NULL);
		return vips_webpsave_buffer(in, buffer, size, "Q", o->quality, "lossless", o->lossless, "effort", o->effort,
			"strip", o->strip, NULL);
	case IM_GIF:
		if (o->page_height > 0)
			return vips_gifsave_buffer(in, buffer, size, "effort", o->effort, "bitdepth", o->bits, "dither", o->dither, "strip", o->strip, "page_height", o->page_height, NULL);
		return vips_gifsave_buffer(in, buffer, size, "effort", o->effort, "bitdepth", o->bits, "dither", o->dither, "strip", o->strip, NULL);
	case IM_TIFF:
		return vips_tiffsave_buffer(in, buffer, size, "compression", VIPS_FOREIGN_TIFF_COMPRESSION_DEFLATE,
			"predictor", VIPS_FOREIGN_TIFF_PREDICTOR_HORIZONTAL, "strip", o->strip, NULL);
	case IM_HEIF:
		return vips_heifsave_buffer(in, buffer, size, "Q", o->quality, "lossless", o->lossless, "effort", o->effort,
			"compression", VIPS_FOREIGN_HEIF_COMPRESSION_AV1, "subsample_mode", chroma, "strip", o->strip, NULL);
	case IM_JXL:
		return vips_jxlsave_buffer(in, buffer, size, "Q", o->quality, "lossless", o->lossless, "effort", o->effort, "strip", o->strip, NULL);
	}
	vips_error("imagemill", "there is no saver %d", o->format);
	return -1;
}

int mill_from_memory(const void *pixels, size_t size, int width, int height, int bands, VipsImage **out) {
	VipsImage *raw = vips_image_new_from_memory_copy(pixels, size, width, height, bands, VIPS_FORMAT_UCHAR);
	if (!raw)
		return -1;
	// Nobody else has seen it yet, so its header may be changed in place.
	raw->Type = bands < 3 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
	*out = raw;
	return 0;
}

int mill_memory(VipsImage *in, VipsImage **out) {
	*out = vips_image_copy_memory(in);
	return *out ? 0 : -1;
}

void *mill_pixels(VipsImage *in) { return VIPS_IMAGE_ADDR(in, 0, 0); }

// mill_rows computes n rows, which stay where they are until the next call.
void *mill_rows(VipsRegion *region, int top, int n, size_t *stride) {
	VipsRect area = {0, top, region->im->Xsize, n};
	if (vips_region_prepare(region, &area))
		return NULL;
	*stride = VIPS_REGION_LSKIP(region);
	return VIPS_REGION_ADDR(region, 0, top);
}

int mill_srgb(VipsImage *in, VipsImage **out) { return vips_colourspace(in, out, VIPS_INTERPRETATION_sRGB, NULL); }

int mill_icc(VipsImage *in, VipsImage **out, const char *to, int embedded, const char *from) {
	if (from)
		return vips_icc_transform(in, out, to, "embedded", embedded, "input_profile", from, "intent", VIPS_INTENT_PERCEPTUAL, NULL);
	return vips_icc_transform(in, out, to, "embedded", embedded, "intent", VIPS_INTENT_PERCEPTUAL, NULL);
}

// mill_uchar rounds to whole numbers of 0 to 255.
int mill_uchar(VipsImage *in, VipsImage **out) {
	if (in->BandFmt == VIPS_FORMAT_UCHAR) {
		*out = in;
		g_object_ref(in);
		return 0;
	}
	if (in->BandFmt != VIPS_FORMAT_FLOAT && in->BandFmt != VIPS_FORMAT_DOUBLE)
		return vips_cast_uchar(in, out, NULL);
	VipsImage *whole;
	if (vips_rint(in, &whole, NULL))
		return -1;
	int wrong = vips_cast_uchar(whole, out, NULL);
	g_object_unref(whole);
	return wrong;
}

int mill_bands(VipsImage *in, VipsImage **out, int first, int n) { return vips_extract_band(in, out, first, "n", n, NULL); }

int mill_add_alpha(VipsImage *in, VipsImage **out) { return vips_addalpha(in, out, NULL); }

int mill_flatten(VipsImage *in, VipsImage **out, const double *background) {
	VipsArrayDouble *colour = vips_array_double_new(background, 3);
	int wrong = vips_flatten(in, out, "background", colour, NULL);
	vips_area_unref(VIPS_AREA(colour));
	return wrong;
}

int mill_premultiply(VipsImage *in, VipsImage **out) { return vips_premultiply(in, out, NULL); }

int mill_unpremultiply(VipsImage *in, VipsImage **out) { return vips_unpremultiply(in, out, NULL); }

int mill_lut(VipsImage *in, VipsImage **out, const unsigned char *table, int bands) {
	VipsImage *lut;
	if (mill_from_memory(table, 256 * (size_t) bands, 256, 1, bands, &lut))
		return -1;
	int wrong = vips_maplut(in, out, lut, NULL);
	g_object_unref(lut);
	return wrong;
}

int mill_minimum(VipsImage *in, double *out) { return vips_min(in, out, NULL); }

int mill_resize(VipsImage *in, VipsImage **out, double across, double down) {
	return vips_resize(in, out, across, "vscale", down, "kernel", VIPS_KERNEL_LANCZOS3, NULL);
}

int mill_crop(VipsImage *in, VipsImage **out, int left, int top, int width, int height) {
	return vips_extract_area(in, out, left, top, width, height, NULL);
}

int mill_smartcrop(VipsImage *in, int width, int height, int entropy, int *x, int *y) {
	VipsImage *cut;
	if (vips_smartcrop(in, &cut, width, height, "interesting", entropy ? VIPS_INTERESTING_ENTROPY : VIPS_INTERESTING_ATTENTION, NULL))
		return -1;
	*x = -cut->Xoffset;
	*y = -cut->Yoffset;
	g_object_unref(cut);
	return 0;
}

int mill_embed(VipsImage *in, VipsImage **out, int x, int y, int width, int height, const double *background, int n) {
	VipsArrayDouble *colour = vips_array_double_new(background, n);
	int wrong = vips_embed(in, out, x, y, width, height, "extend", VIPS_EXTEND_BACKGROUND, "background", colour, NULL);
	vips_area_unref(VIPS_AREA(colour));
	return wrong;
}

int mill_flip(VipsImage *in, VipsImage **out, int vertical) {
	return vips_flip(in, out, vertical ? VIPS_DIRECTION_VERTICAL : VIPS_DIRECTION_HORIZONTAL, NULL);
}

int mill_turn(VipsImage *in, VipsImage **out, int quarters) { return vips_rot(in, out, (VipsAngle) (quarters & 3), NULL); }

// mill_affine turns clockwise about the middle and gives width×height around it.
int mill_affine(VipsImage *in, VipsImage **out, double angle, int width, int height, const double *background, int n) {
	double s = sin(angle * G_PI / 180), c = cos(angle * G_PI / 180);
	VipsArrayInt *area = vips_array_int_newv(4, 0, 0, width, height);
	VipsArrayDouble *colour = vips_array_double_new(background, n);
	VipsInterpolate *bilinear = vips_interpolate_new("bilinear");
	int wrong = !bilinear || vips_affine(in, out, c, -s, s, c, "interpolate", bilinear, "oarea", area,
		"idx", -(in->Xsize - 1) / 2.0, "idy", -(in->Ysize - 1) / 2.0, "odx", (width - 1) / 2.0, "ody", (height - 1) / 2.0,
		"extend", VIPS_EXTEND_BACKGROUND, "background", colour, "premultiplied", TRUE, NULL);
	if (bilinear)
		g_object_unref(bilinear);
	vips_area_unref(VIPS_AREA(colour));
	vips_area_unref(VIPS_AREA(area));
	return wrong ? -1 : 0;
}

int mill_blur(VipsImage *in, VipsImage **out, double sigma) {
	return vips_gaussblur(in, out, sigma, "min_ampl", 0.01, "precision", VIPS_PRECISION_FLOAT, NULL);
}

// mill_unsharp is twice the picture less the soft one.
int mill_unsharp(VipsImage *in, VipsImage *soft, VipsImage **out) {
	VipsImage *twice, *sharp;
	if (vips_linear1(in, &twice, 2.0, 0.0, NULL))
		return -1;
	int wrong = vips_subtract(twice, soft, &sharp, NULL);
	g_object_unref(twice);
	if (wrong)
		return -1;
	wrong = mill_uchar(sharp, out);
	g_object_unref(sharp);
	return wrong;
}

int mill_over(VipsImage *under, VipsImage *over, VipsImage **out, int x, int y) {
	return vips_composite2(under, over, out, VIPS_BLEND_MODE_OVER, "x", x, "y", y, NULL);
}

int mill_join(VipsImage **frames, int n, VipsImage **out) { return vips_arrayjoin(frames, out, n, "across", 1, NULL); }

int mill_header_int(VipsImage *in, const char *name, int fallback) {
	int v;
	if (!vips_image_get_typeof(in, name) || vips_image_get_int(in, name, &v)) {
		vips_error_clear();
		return fallback;
	}
	return v;
}

const void *mill_blob(VipsImage *in, const char *name, size_t *size) {
	const void *data = NULL;
	if (vips_image_get_typeof(in, name) != VIPS_TYPE_BLOB || vips_image_get_blob(in, name, &data, size)) {
		vips_error_clear();
		return NULL;
	}
	return data;
}

int mill_copy(VipsImage *in, VipsImage **out) { return vips_copy(in, out, NULL); }

void mill_set_int(VipsImage *in, const char *name, int v) { vips_image_set_int(in, name, v); }

void mill_set_text(VipsImage *in, const char *name, const char *v) { vips_image_set_string(in, name, v); }

void mill_set_blob(VipsImage *in, const char *name, const void *data, size_t size) { vips_image_set_blob_copy(in, name, data, size); }

void mill_remove(VipsImage *in, const char *name) { vips_image_remove(in, name); }

// mill_bare removes all of a header but what every picture has.
void mill_bare(VipsImage *in) {
	char **names = vips_image_get_fields(in);
	for (int i = 0; names && names[i]; i++)
		vips_image_remove(in, names[i]);
	g_strfreev(names);
}

// mill_copy_fields copies the fields of a header whose names begin with prefix.
void mill_copy_fields(VipsImage *from, VipsImage *to, const char *prefix) {
	char **names = vips_image_get_fields(from);
	for (int i = 0; names && names[i]; i++) {
		GValue v = G_VALUE_INIT;
		if (!g_str_has_prefix(names[i], prefix) || vips_image_get(from, names[i], &v))
			continue;
		vips_image_set(to, names[i], &v);
		g_value_unset(&v);
	}
	g_strfreev(names);
	vips_error_clear();
}

// A symbol of libheif, which the module for it has loaded, or libvips itself.
static void *of_heif(const char *name) {
	gpointer symbol = NULL;
	if (heif && g_module_symbol(heif, name, &symbol))
		return symbol;
	return dlsym(RTLD_DEFAULT, name);
}

int mill_ask_avif(void) {
	enum { AV1 = 4 }; // heif_compression_AV1
	struct error { int code, subcode; const char *message; };
	struct error (*init)(void *) = of_heif("heif_init");
	int (*reads)(int) = of_heif("heif_have_decoder_for_format");
	int (*writes)(int) = of_heif("heif_have_encoder_for_format");
	if (!init || !reads || !writes || init(NULL).code != 0)
		return -1;
	return writes(AV1) ? reads(AV1) ? 0 : 2 : reads(AV1) ? 1 : 3;
}

int mill_try_avif(void) {
	VipsImage *grey = NULL, *back = NULL;
	void *file = NULL, *pixels = NULL;
	size_t size = 0, length = 0;
	int failed = 1;
	if (vips_black(&grey, 16, 16, "bands", 3, NULL) == 0 &&
		vips_heifsave_buffer(grey, &file, &size, "compression", VIPS_FOREIGN_HEIF_COMPRESSION_AV1, "effort", 0, NULL) == 0) {
		failed = 2;
		if (vips_heifload_buffer(file, size, &back, NULL) == 0 && (pixels = vips_image_write_to_memory(back, &length)) != NULL)
			failed = 0;
	}
	g_free(pixels);
	g_free(file);
	if (back != NULL)
		g_object_unref(back);
	if (grey != NULL)
		g_object_unref(grey);
	vips_error_clear();
	return failed;
}
