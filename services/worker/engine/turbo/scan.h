//go:build vips

// A decoder of its own for the most common scan: baseline, Huffman, all
// components in one scan, blocks decoded to 2 by 2 samples or one.
//
// At these sizes nearly all of a decoder's time goes into the Huffman codes.
// This one takes up to two coefficients, their places and values, from a table by
// one look, out of data without the zeros that are stuffed behind bytes of ones.
// It only carries a scan through to its end that is regular in every bit. At
// anything else it gives up, and libjpeg starts anew and judges.
#ifndef IMAGEMILL_SCAN_H
#define IMAGEMILL_SCAN_H

#include "turbo.h"

#include <stdio.h>
#include <sys/types.h>

#include <jpeglib.h>

typedef struct turbo_scan turbo_scan;

// Gives NULL when the scan is not of that kind, or memory is short. at is where
// its data begin in the file.
turbo_scan *turbo_scan_make(struct jpeg_decompress_struct *jpeg, const int *dct, int fd, off_t at);
// One row of blocks into rows[component][row]; 0 when it gives up.
int turbo_scan_row(turbo_scan *s, JSAMPROW rows[TURBO_PLANES][4 * DCTSIZE]);
// Whether the file ends as it should after the last row.
int turbo_scan_end(turbo_scan *s);
void turbo_scan_free(turbo_scan *s);

#endif
