package exif

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// byteOrder both reads and writes.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// entry is a field of a directory: its value stands in the entry, or in data.
type entry struct {
	tag, kind uint16
	count     uint32
	value     uint32
	data      []byte
}

// structure writes directories one after the other and gives where each lies.
func structure(order byteOrder, directories ...[]entry) []byte {
	head := "II*\x00"
	if order == byteOrder(binary.BigEndian) {
		head = "MM\x00*"
	}
	b := order.AppendUint32([]byte(head), 8)
	for _, d := range directories {
		at := len(b) + 2 + 12*len(d) + 4
		b = order.AppendUint16(b, uint16(len(d)))
		var data []byte
		for _, e := range d {
			b = order.AppendUint16(order.AppendUint16(b, e.tag), e.kind)
			b = order.AppendUint32(b, e.count)
			switch {
			case e.data != nil:
				b = order.AppendUint32(b, uint32(at+len(data)))
				data = append(data, e.data...)
			case e.kind == typeShort:
				b = order.AppendUint16(order.AppendUint16(b, uint16(e.value)), 0)
			default:
				b = order.AppendUint32(b, e.value)
			}
		}
		b = append(order.AppendUint32(b, 0), data...)
	}
	return b
}

func numbers(order byteOrder, v ...uint32) (b []byte) {
	for _, n := range v {
		b = order.AppendUint32(b, n)
	}
	return b
}

// block is a camera's: a first directory, EXIF and a place, in this order.
func block(order byteOrder) []byte {
	first := func(exif, gps uint32) []entry {
		return []entry{
			{tag: 0x010f, kind: typeASCII, count: 8, data: []byte("Camera\x00\x00")},
			{tag: tagOrientation, kind: typeShort, count: 1, value: 6},
			{tag: tagExif, kind: typeLong, count: 1, value: exif},
			{tag: tagGPS, kind: typeLong, count: 1, value: gps},
			{tag: 0x9999, kind: typeASCII, count: 3, value: 0x414141},
		}
	}
	exif := []entry{
		{tag: 0x829a, kind: typeRational, count: 1, data: numbers(order, 10, 2500)},
		{tag: 0x829d, kind: typeRational, count: 1, data: numbers(order, 28, 10)},
		{tag: 0x9204, kind: typeSRational, count: 1, data: numbers(order, 1<<32-1, 3)},
		{tag: 0x920a, kind: typeRational, count: 1, data: numbers(order, 50, 0)},
		{tag: tagColorSpace, kind: typeShort, count: 1, value: 1},
	}
	gps := []entry{
		{tag: 1, kind: typeASCII, count: 2, value: order.Uint32([]byte("S\x00\x00\x00"))},
		{tag: 2, kind: typeRational, count: 3, data: numbers(order, 33, 1, 51, 1, 36, 1)},
		{tag: 3, kind: typeASCII, count: 2, value: order.Uint32([]byte("E\x00\x00\x00"))},
		{tag: 4, kind: typeRational, count: 3, data: numbers(order, 151, 1, 12, 1, 0, 1)},
		{tag: 0x1d, kind: typeASCII, count: 11, data: []byte("2024:01:02\x00")},
	}
	a := len(structure(order, first(0, 0)))
	b := len(structure(order, first(0, 0), exif))
	return structure(order, first(uint32(a), uint32(b)), exif, gps)
}

func TestWhatABlockSays(t *testing.T) {
	for _, order := range []byteOrder{binary.LittleEndian, binary.BigEndian} {
		got := Parse(block(order))
		require.Equal(t, 6, got.Orientation)
		require.True(t, got.SRGB)
		require.False(t, got.AdobeRGB)
		require.Equal(t, map[string]string{
			"Make": "Camera", "Orientation": "6", "ExposureTime": "1/250", "FNumber": "2.8", "ExposureBiasValue": "-0.3333",
			"ColorSpace": "1", "GPSLatitude": "-33.86", "GPSLongitude": "151.2", "GPSDateStamp": "2024:01:02",
		}, got.Fields, "%v; what has no denominator and what is unknown is left out", order)
	}
}

func TestDamagedBlocksAreTakenAsFarAsTheyGo(t *testing.T) {
	whole := block(binary.LittleEndian)
	for n := range whole {
		got := Parse(whole[:n])
		require.GreaterOrEqual(t, got.Orientation, 1)
		require.NotNil(t, got.Fields)
	}
	wrong := structure(binary.LittleEndian, []entry{{tag: tagOrientation, kind: typeShort, count: 1, value: 9}})
	require.Equal(t, 1, Parse(wrong).Orientation)
	circle := structure(binary.LittleEndian, []entry{{tag: tagExif, kind: typeLong, count: 1, value: 8}, {tag: tagGPS, kind: typeLong, count: 1, value: 8}})
	require.Empty(t, Parse(circle).Fields)
}

func TestLongAndUnprintableTextIsCut(t *testing.T) {
	text := append([]byte("a\x07b\xff"), bytes.Repeat([]byte("x"), 5000)...)
	b := structure(binary.BigEndian, []entry{{tag: 0x0131, kind: typeASCII, count: uint32(len(text)), data: text}})
	got := Parse(b).Fields["Software"]
	require.LessOrEqual(t, len(got), maxValue)
	require.Regexp(t, "^abx+$", got)
	giant := structure(binary.BigEndian, []entry{{tag: 0x0131, kind: typeASCII, count: 1<<32 - 1, data: text}})
	require.LessOrEqual(t, len(Parse(giant).Fields["Software"]), maxValue)
}

func FuzzParse(f *testing.F) {
	f.Add(block(binary.LittleEndian))
	f.Add(block(binary.BigEndian))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Parse(b)
		require.True(t, got.Orientation >= 1 && got.Orientation <= 8)
		total := 0
		for name, v := range got.Fields {
			require.NotEmpty(t, v)
			total += len(name) + len(v)
		}
		require.LessOrEqual(t, total, 64<<10)
	})
}
