package disk

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"

	"imagemill/services/storage"
)

// The footer ends every file, all numbers little-endian:
//
//	 0  8  magic
//	 8  4  version, 1
//	12  8  size of the blob in bytes
//	20 32  SHA-256 of the blob
//	52  8  zero
//	60  4  CRC-32C of the 60 bytes before, then "<state>/<key>"
//
// The name is part of the checksum so that a file under another blob's name,
// however it came there, is damage and not an answer.
const (
	footerSize    = 64
	footerMagic   = "imgblob\n"
	footerVersion = 1
)

// errDamaged is wrapped by every error about a file that is not what Put wrote.
var errDamaged = errors.New("blob is damaged")

func encodeFooter(ref storage.Ref, size int64, sum []byte) []byte {
	b := make([]byte, footerSize)
	copy(b, footerMagic)
	binary.LittleEndian.PutUint32(b[8:], footerVersion)
	binary.LittleEndian.PutUint64(b[12:], uint64(size)) //nolint:gosec // never negative
	copy(b[20:52], sum)
	binary.LittleEndian.PutUint32(b[60:], footerSum(ref, b))
	return b
}

// decodeFooter gives size and digest, or errDamaged where the footer, or the
// length of the file it ends, is wrong.
func decodeFooter(ref storage.Ref, b []byte, fileSize int64) (size int64, digest string, err error) {
	switch {
	case len(b) != footerSize || fileSize < footerSize:
		return 0, "", fmt.Errorf("%w: too short for a footer", errDamaged)
	case !bytes.HasPrefix(b, []byte(footerMagic)):
		return 0, "", fmt.Errorf("%w: no footer at its end", errDamaged)
	case binary.LittleEndian.Uint32(b[60:]) != footerSum(ref, b):
		return 0, "", fmt.Errorf("%w: wrong footer checksum", errDamaged)
	case binary.LittleEndian.Uint32(b[8:]) != footerVersion:
		return 0, "", fmt.Errorf("%w: unknown footer version %d", errDamaged, binary.LittleEndian.Uint32(b[8:]))
	}
	size = int64(binary.LittleEndian.Uint64(b[12:])) //nolint:gosec // compared below
	if size != fileSize-footerSize {
		return 0, "", fmt.Errorf("%w: %d bytes instead of %d", errDamaged, fileSize-footerSize, size)
	}
	return size, hex.EncodeToString(b[20:52]), nil
}

func footerSum(ref storage.Ref, b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, b[:60])
	return crc32.Update(sum, table, []byte(string(ref.State)+"/"+ref.Key))
}
