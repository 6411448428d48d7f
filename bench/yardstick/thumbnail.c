// The yardstick of engines: libvips as a C program would use it. Every result
// is a vips_thumbnail_buffer of its own from the original, and a save.
//
// usage: thumbnail FILE ROUNDS jpeg|webp|both WIDTH...
// prints the milliseconds of processor time and of the clock for one round, and
// the most memory of the process in MB.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <vips/vips.h>

static double cpu(void) {
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static double wall(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void one(void *data, size_t size, int width, int webp) {
	VipsImage *small;
	void *out;
	size_t length;
	int wrong = vips_thumbnail_buffer(data, size, &small, width, "height", 100000, NULL);
	if (!wrong)
		wrong = webp ? vips_webpsave_buffer(small, &out, &length, "Q", 80, "effort", 4, "strip", TRUE, NULL)
			     : vips_jpegsave_buffer(small, &out, &length, "Q", 80, "strip", TRUE, NULL);
	if (wrong)
		vips_error_exit("thumbnail");
	g_free(out);
	g_object_unref(small);
}

int main(int argc, char **argv) {
	if (argc < 5 || VIPS_INIT(argv[0]))
		vips_error_exit("usage: thumbnail FILE ROUNDS jpeg|webp|both WIDTH...");
	vips_concurrency_set(1);
	vips_cache_set_max(0);
	char *data;
	gsize size;
	if (!g_file_get_contents(argv[1], &data, &size, NULL))
		vips_error_exit("cannot read %s", argv[1]);
	int rounds = atoi(argv[2]), jpeg = strcmp(argv[3], "webp"), webp = strcmp(argv[3], "jpeg");
	double c = 0, w = 0;
	for (int i = 0; i <= rounds; i++) {
		if (i == 1) // the first round warms up
			c = cpu(), w = wall();
		for (int j = 4; j < argc; j++) {
			if (jpeg)
				one(data, size, atoi(argv[j]), 0);
			if (webp)
				one(data, size, atoi(argv[j]), 1);
		}
	}
	c = (cpu() - c) / rounds, w = (wall() - w) / rounds;
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	printf("%.1f %.1f %.0f\n", c, w, u.ru_maxrss / 1024.0);
	return 0;
}
