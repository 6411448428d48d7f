package replication

import (
	"bytes"
	"errors"
	"hash/crc32"
	"strconv"
	"strings"

	"imagemill/services/storage"
)

// op is what a record says of a blob.
type op byte

const (
	opPut    op = 'p' // it is held
	opDelete op = 'd' // it is gone, and stays so
	opStart  op = 'b' // none: the log was opened, and numbers go on from here
)

// record is one line of a log, on the disk and between nodes.
type record struct {
	seq   int64
	op    op
	ref   storage.Ref
	stamp int64 // when the blob was put, or deleted
	size  int64
	sha   string
}

var errRecord = errors.New("a line of the log cannot be read")

// maxLine bounds a line of the log, in bytes.
const maxLine = 512

// appendTo writes the record as a line: its fields with spaces between them, and
// at the end the CRC-32C of all before.
func (r record) appendTo(b []byte) []byte {
	start := len(b)
	b = append(b, byte(r.op), ' ')
	b = strconv.AppendInt(b, r.seq, 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, r.stamp, 10)
	if r.op != opStart {
		b = append(b, ' ')
		b = append(b, r.ref.State...)
		b = append(b, ' ')
		b = append(b, r.ref.Key...)
	}
	if r.op == opPut {
		b = append(b, ' ')
		b = strconv.AppendInt(b, r.size, 10)
		b = append(b, ' ')
		b = append(b, r.sha...)
	}
	b = append(b, ' ')
	return append(appendHex(b, checksum(b[start:len(b)-1])), '\n')
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func appendHex(b []byte, v uint32) []byte {
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[v>>shift&0xf])
	}
	return b
}

// parseRecord reads a line without its end. What is wrong in any way is errRecord:
// a line may come from a damaged file, or from another node.
func parseRecord(line []byte) (record, error) {
	at := bytes.LastIndexByte(line, ' ')
	if at < 1 || len(line) >= maxLine || string(appendHex(nil, checksum(line[:at]))) != string(line[at+1:]) {
		return record{}, errRecord
	}
	fields := strings.Split(string(line[:at]), " ")
	wanted := map[string]int{"p": 7, "d": 5, "b": 3}[fields[0]]
	if wanted == 0 || len(fields) != wanted {
		return record{}, errRecord
	}
	r := record{op: op(fields[0][0])}
	var errs [3]error
	r.seq, errs[0] = strconv.ParseInt(fields[1], 10, 64)
	r.stamp, errs[1] = strconv.ParseInt(fields[2], 10, 64)
	if r.op != opStart {
		r.ref = storage.Ref{State: storage.State(fields[3]), Key: fields[4]}
		errs[2] = r.ref.Validate()
	}
	err := errors.Join(errs[:]...)
	if r.op == opPut && err == nil {
		r.sha = fields[6]
		r.size, err = strconv.ParseInt(fields[5], 10, 64)
		if err == nil {
			err = storage.PutOptions{SHA256: r.sha, Size: r.size}.Validate()
		}
	}
	if err != nil || r.seq < 0 || r.size < 0 || r.op == opPut && len(r.sha) != 64 {
		return record{}, errRecord
	}
	return r, nil
}
