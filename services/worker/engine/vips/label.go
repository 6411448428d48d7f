//go:build vips

package vips

/*
#include <stdlib.h>
#include "wrap.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"imagemill/pkg/pipeline"
)

// labelled gives a picture the header that its file is to carry: metadata,
// profile, times of an animation. kept is false when the file is to carry
// nothing but pixels and times.
func (t *task) labelled(m ref, frames int) (labelled ref, kept bool, err error) {
	m, err = t.own.make(func(out *ref) C.int { return C.mill_copy(m, out) })
	if err != nil {
		return nil, false, fmt.Errorf("label rendition %s: %w", t.r.Name, err)
	}
	// A decoded picture may still carry all that its file did, and not every saver
	// leaves that out when told to: WebP and TIFF kept the orientation.
	C.mill_bare(m)
	if frames == 1 && t.r.Metadata == pipeline.Strip && t.r.Profile == pipeline.SRGB {
		return m, false, nil
	}
	from, err := t.own.header(t.src)
	if err != nil {
		return nil, false, damaged(t.src.format, err)
	}
	if frames > 1 {
		copyFields(from, m, "delay")
		copyFields(from, m, "loop")
		copyFields(from, m, "gif-")
		setInt(m, "page-height", height(m)/frames)
		setInt(m, "n-pages", frames)
	}
	if t.r.Profile != pipeline.SRGB {
		profile, err := t.profile(from)
		if err != nil {
			return nil, false, err
		}
		if profile != nil {
			kept = true
			setBlob(m, iccField, profile)
		}
	}
	switch t.r.Metadata {
	case pipeline.Keep:
		kept = true
		// Of the directories only the picture's and the camera's: the others are the
		// thumbnail's and the place's. XMP and IPTC may tell the place too.
		for _, directory := range []string{"exif-ifd0-", "exif-ifd2-"} {
			copyFields(from, m, directory)
			for _, name := range private() {
				remove(m, directory+name)
			}
		}
	case pipeline.Copyright:
		for _, name := range []string{"Copyright", "Artist"} {
			if v := t.src.EXIF.Fields[name]; v != "" {
				kept = true
				setText(m, "exif-ifd0-"+name, v)
			}
		}
	case pipeline.Strip:
	}
	return m, kept, nil
}

// private are the EXIF fields that no result carries: the orientation, which has
// been applied, serial numbers and identities, and makers' notes, which hold more
// of these.
func private() []string {
	return []string{
		"Orientation", "BodySerialNumber", "LensSerialNumber", "CameraSerialNumber", "CameraOwnerName", "ImageUniqueID",
		"MakerNote", "UserComment", "XMLPacket", "GPSTag", "SubIFDs", "IPTC/NAA", "ImageResources",
	}
}

// profile is the colour profile of the result; nil for none.
func (t *task) profile(from ref) ([]byte, error) {
	if t.r.Profile == pipeline.KeepProfile {
		if from.Type == C.VIPS_INTERPRETATION_CMYK { // which has become sRGB
			return nil, nil
		}
		return blob(from, iccField), nil
	}
	// libvips has the profile; converting one pixel gives it.
	pixel, err := t.own.fromPixels(make([]byte, 3), 1, 1, 3)
	if err != nil {
		return nil, fmt.Errorf("label rendition %s: %w", t.r.Name, err)
	}
	if pixel, err = t.own.icc(pixel, "p3", false, "srgb"); err != nil {
		return nil, fmt.Errorf("label rendition %s: %w", t.r.Name, err)
	}
	return blob(pixel, iccField), nil
}

// header reads an original's header again, with all its metadata; a picture
// without any where libvips does not read the format.
func (s *scope) header(src *source) (ref, error) {
	if _, ok := loaders[src.format]; !ok {
		return s.fromPixels(make([]byte, 3), 1, 1, 3)
	}
	how := loading{pages: 1, stream: true}
	if src.Frames > 1 {
		how.pages = -1
	}
	return s.load(src.file, src.format, how)
}

func copyFields(from, to ref, prefix string) {
	c := C.CString(prefix)
	defer C.free(unsafe.Pointer(c))
	C.mill_copy_fields(from, to, c)
}

func setInt(m ref, name string, v int) {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	C.mill_set_int(m, c, C.int(v))
}

func setText(m ref, name, v string) {
	c, text := C.CString(name), C.CString(v)
	defer C.free(unsafe.Pointer(c))
	defer C.free(unsafe.Pointer(text))
	C.mill_set_text(m, c, text)
}

func setBlob(m ref, name string, v []byte) {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	C.mill_set_blob(m, c, unsafe.Pointer(unsafe.SliceData(v)), C.size_t(len(v)))
}

func remove(m ref, name string) {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	C.mill_remove(m, c)
}
