// Package footer is the 64 bytes that backends put behind a blob's bytes where
// its digest has nowhere else to stand, in one piece with them: what is stored at
// once cannot be parted, nor outlive the other.
//
// All numbers are little-endian:
//
//	 0  8  magic
//	 8  4  version, 1
//	12  8  size of the blob in bytes
//	20 32  SHA-256 of the blob
//	52  8  stamp: when the blob was put, by the order of [EncodeStamped]; 0: not known
//	60  4  CRC-32C of the 60 bytes before, then "<state>/<key>"
//
// The name is part of the checksum so that a file under another blob's name,
// however it came there, is damage and not an answer.
package footer

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"

	"imagemill/services/storage"
)

// Size is that of every footer, in bytes.
const Size = 64

const (
	magic   = "imgblob\n"
	version = 1
)

// ErrDamaged is wrapped by every error about bytes that are not what was put.
var ErrDamaged = errors.New("blob is damaged")

// Encode makes the footer of a blob without a stamp.
func Encode(ref storage.Ref, size int64, sum []byte) []byte { return EncodeStamped(ref, size, sum, 0) }

// EncodeStamped makes the footer of a blob that was put at stamp: nanoseconds of
// a clock that nodes which copy each other's blobs have in common. Readers that
// know of no stamp take no notice of it.
func EncodeStamped(ref storage.Ref, size int64, sum []byte, stamp int64) []byte {
	b := make([]byte, Size)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint64(b[12:], uint64(size)) //nolint:gosec // never negative
	copy(b[20:52], sum)
	binary.LittleEndian.PutUint64(b[52:], uint64(stamp)) //nolint:gosec // its bits, whatever they are
	binary.LittleEndian.PutUint32(b[60:], checksum(ref, b))
	return b
}

// Decode gives size and digest, or ErrDamaged where the footer, or the length of
// the file that it ends, is wrong.
func Decode(ref storage.Ref, b []byte, fileSize int64) (size int64, digest string, err error) {
	switch {
	case len(b) != Size || fileSize < Size:
		return 0, "", fmt.Errorf("%w: too short for a footer", ErrDamaged)
	case !bytes.HasPrefix(b, []byte(magic)):
		return 0, "", fmt.Errorf("%w: no footer at its end", ErrDamaged)
	case binary.LittleEndian.Uint32(b[60:]) != checksum(ref, b):
		return 0, "", fmt.Errorf("%w: wrong footer checksum", ErrDamaged)
	case binary.LittleEndian.Uint32(b[8:]) != version:
		return 0, "", fmt.Errorf("%w: unknown footer version %d", ErrDamaged, binary.LittleEndian.Uint32(b[8:]))
	}
	size = int64(binary.LittleEndian.Uint64(b[12:])) //nolint:gosec // compared below
	if size != fileSize-Size {
		return 0, "", fmt.Errorf("%w: %d bytes instead of %d", ErrDamaged, fileSize-Size, size)
	}
	return size, hex.EncodeToString(b[20:52]), nil
}

// Stamp gives the stamp of a footer that Decode found to be right.
func Stamp(b []byte) int64 {
	return int64(binary.LittleEndian.Uint64(b[52:])) //nolint:gosec // its bits, whatever they are
}

func checksum(ref storage.Ref, b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, b[:60])
	return crc32.Update(sum, table, []byte(string(ref.State)+"/"+ref.Key))
}

// Compare gives ErrDamaged where the digest of what was read is not the one that
// was kept.
func Compare(sum []byte, digest string) error {
	if got := hex.EncodeToString(sum); got != digest {
		return fmt.Errorf("%w: its bytes have the digest %s, not %s", ErrDamaged, got, digest)
	}
	return nil
}
