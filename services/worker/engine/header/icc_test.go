package header

import (
	"encoding/binary"
	"math"
)

// profile makes an ICC profile of the primaries at an index with one tone curve.
func profile(space int, tone []byte) []byte {
	b := make([]byte, 128)
	copy(b[16:], "RGB XYZ ")
	copy(b[36:], "acsp")
	names := []string{"rXYZ", "gXYZ", "bXYZ", "rTRC", "gTRC", "bTRC"}
	b = binary.BigEndian.AppendUint32(b, uint32(len(names)))
	at := 132 + 12*len(names)
	var data []byte
	for i, name := range names {
		body := tone
		if i < 3 {
			body = []byte("XYZ \x00\x00\x00\x00")
			for _, v := range primaries[space].xyz[3*i : 3*i+3] {
				body = binary.BigEndian.AppendUint32(body, uint32(int32(math.Round(v*65536))))
			}
		}
		b = append(b, name...)
		b = binary.BigEndian.AppendUint32(b, uint32(at+len(data)))
		b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
		data = append(data, body...)
	}
	return append(b, data...)
}

// sRGB is the tone curve of sRGB.
func sRGB(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// curveOf makes a table of a curve.
func curveOf(f func(float64) float64) []byte {
	const n = 1024
	b := binary.BigEndian.AppendUint32([]byte("curv\x00\x00\x00\x00"), n)
	for i := range n {
		b = binary.BigEndian.AppendUint16(b, uint16(math.Round(f(float64(i)/(n-1))*65535)))
	}
	return b
}

// gammaOf makes a curve of one power.
func gammaOf(g float64) []byte {
	b := binary.BigEndian.AppendUint32([]byte("curv\x00\x00\x00\x00"), 1)
	return binary.BigEndian.AppendUint16(b, uint16(math.Round(g*256)))
}
