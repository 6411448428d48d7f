package enginetest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
)

// specimen is one hostile file.
type specimen struct {
	name  string
	bytes []byte
}

// corpus is what mutations are made of: files as they were found, and good pictures
// of every kind that is read.
type corpus struct{ files, made []specimen }

// newCorpus reads the shared hostile files, in the order of their names, and makes
// the rest; those that Go cannot write by the engine e itself.
func newCorpus(t *testing.T, e engine.Engine, can engine.Abilities) corpus {
	names, err := filepath.Glob(filepath.Join(Shared(t, "hostile"), "*"))
	require.NoError(t, err)
	slices.Sort(names)
	var c corpus
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		c.files = append(c.files, specimen{filepath.Base(name), b})
	}
	scene := Scene(150, 100)
	c.made = []specimen{
		{"made.jpeg", JPEG(t, scene, 6)}, {"made.png", PNGWithExif(t, scene, 5)}, {"moving.gif", Animation(t, 12)},
		{"claiming.png", ClaimingPNG(t, 3000, 2000)}, {"claiming.jpeg", ClaimingJPEG(t, 3000, 2000)},
	}
	for name, from := range map[string]string{
		"jpeg": `"progressive":true`, "webp": `"quality":80`, "webp-lossless": `"lossless":true`, "avif": `"quality":60`, "avif-lossless": `"lossless":true`,
		"tiff": `"effort":5`, "gif": `"colors":64`, "png": `"colors":16`, "jxl": `"quality":80`,
	} {
		format, _, _ := strings.Cut(name, "-")
		if !can.Has(pipeline.Format(format)) || from == `"progressive":true` && !can.Fast {
			continue
		}
		report, err := Suite{e}.Render(t, PNG(t, scene), `{"renditions":[{"format":"`+format+`",`+from+`}]}`)
		require.NoError(t, err, name)
		b, err := os.ReadFile(report.Renditions[0].File)
		require.NoError(t, err)
		c.made = append(c.made, specimen{"made." + name, b})
	}
	slices.SortFunc(c.made, func(a, b specimen) int { return strings.Compare(a.name, b.name) })
	return c
}

// mutation makes file number n of a seed: the same bytes whenever it is asked for.
func (c corpus) mutation(seed, n uint64) specimen {
	r := rand.New(rand.NewPCG(seed, n))
	from := c.files[r.IntN(len(c.files))]
	if r.IntN(6) == 0 {
		from = c.made[r.IntN(len(c.made))]
	}
	m := mutant{r, bytes.Clone(from.bytes)}
	var how []string
	for range 1 + r.IntN(3) {
		way := ways[r.IntN(len(ways))]
		if len(m.b) < 16 {
			way = ways[0]
		}
		if way.name == "joined" {
			m.join(c.files[r.IntN(len(c.files))].bytes)
		} else {
			way.change(&m)
		}
		how = append(how, way.name)
	}
	if r.IntN(4) > 0 { // so that decoders get to what was changed
		m.heal()
	}
	return specimen{fmt.Sprintf("mutation %d of seed %d (%s %v)", n, seed, from.name, how), m.b}
}

// mutant is a file that is being changed.
type mutant struct {
	*rand.Rand
	b []byte
}

// ways are the kinds of changes.
var ways = [...]struct {
	name   string
	change func(*mutant)
}{
	{"bits", (*mutant).flip},
	{"cut", (*mutant).cut},
	{"length", (*mutant).length},
	{"swapped", (*mutant).swap},
	{"size", (*mutant).size},
	{"repeated", (*mutant).repeat},
	{"joined", nil},
}

// at gives a place, more often near the beginning, from which n bytes follow.
func (m *mutant) at(n int) int {
	room := len(m.b) - n
	if room < 1 {
		return 0
	}
	if m.IntN(2) == 0 {
		room = min(room, 512)
	}
	return m.IntN(room)
}

// flip turns single bits.
func (m *mutant) flip() {
	for range 1 + m.IntN(32) {
		if len(m.b) > 0 {
			m.b[m.at(1)] ^= 1 << m.IntN(8)
		}
	}
}

// cut leaves off the end.
func (m *mutant) cut() { m.b = m.b[:m.IntN(len(m.b))] }

// extremes are the numbers that lengths are replaced by.
var extremes = [...]uint32{0, 1, 2, 0x7f, 0xff, 0x7fff, 0x8000, 0xffff, 0x10000, 0xffffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff}

// length writes a number that may be taken for a length, in one of the ways in
// which formats write them; half of the times one near to what stands there.
func (m *mutant) length() {
	at := m.at(4)
	if marks := m.chunks(); len(marks) > 0 && m.IntN(4) > 0 {
		at = marks[m.IntN(len(marks))].length
	}
	if at < 0 || at+4 > len(m.b) {
		return
	}
	v, near, short, little := extremes[m.IntN(len(extremes))], m.IntN(2) == 0, m.IntN(2) == 0, m.IntN(2) == 0
	var order binary.ByteOrder = binary.BigEndian
	if little {
		order = binary.LittleEndian
	}
	change := uint32(m.IntN(9)) - 4
	switch {
	case short && near:
		order.PutUint16(m.b[at:], order.Uint16(m.b[at:])+uint16(change))
	case short:
		order.PutUint16(m.b[at:], uint16(v))
	case near:
		order.PutUint32(m.b[at:], order.Uint32(m.b[at:])+change)
	default:
		order.PutUint32(m.b[at:], v)
	}
}

// part is a chunk, segment or block of a format, and where its length stands.
type part struct{ from, to, length int }

// chunks finds the parts of PNG, RIFF, JPEG, and AVIF and HEIC, as far as they make
// sense.
func (m *mutant) chunks() (parts []part) {
	add := func(from, size, length int) int {
		to := from + size
		if size < 1 || to > len(m.b) || to < from {
			return len(m.b)
		}
		parts = append(parts, part{from, to, length})
		return to
	}
	switch b := m.b; {
	case bytes.HasPrefix(b, []byte("\x89PNG")):
		for at := 8; at+12 <= len(b); {
			at = add(at, 12+int(binary.BigEndian.Uint32(b[at:])), at)
		}
	case bytes.HasPrefix(b, []byte("RIFF")):
		for at := 12; at+8 <= len(b); {
			n := int(binary.LittleEndian.Uint32(b[at+4:]))
			at = add(at, 8+n+n&1, at+4)
		}
	case len(b) > 12 && string(b[4:8]) == "ftyp":
		for at := 0; at+8 <= len(b); {
			if string(b[at+4:at+8]) == "meta" { // into the boxes of the one that says all
				at += 12
				continue
			}
			at = add(at, int(binary.BigEndian.Uint32(b[at:])), at)
		}
	case bytes.HasPrefix(b, []byte{0xff, 0xd8}):
		for at := 2; at+4 <= len(b) && b[at] == 0xff && b[at+1] != 0xda; {
			at = add(at, 2+int(binary.BigEndian.Uint16(b[at+2:])), at+2)
		}
	}
	return parts
}

// two gives two parts that do not touch, the earlier one first: of the format where
// it has them, else anything.
func (m *mutant) two() (a, b part) {
	if parts := m.chunks(); len(parts) >= 2 && m.IntN(4) > 0 {
		i, j := m.IntN(len(parts)), m.IntN(len(parts))
		if i != j {
			return parts[min(i, j)], parts[max(i, j)]
		}
	}
	cuts := make([]int, 4)
	for i := range cuts {
		cuts[i] = m.IntN(len(m.b) + 1)
	}
	slices.Sort(cuts)
	return part{cuts[0], cuts[1], 0}, part{cuts[2], cuts[3], 0}
}

// swap exchanges two parts.
func (m *mutant) swap() {
	a, b := m.two()
	m.b = slices.Concat(m.b[:a.from], m.b[b.from:b.to], m.b[a.to:b.from], m.b[a.from:a.to], m.b[b.to:])
}

// repeat puts a part in several times.
func (m *mutant) repeat() {
	a, b := m.two()
	again := bytes.Repeat(m.b[a.from:a.to], min(1+m.IntN(200), 1+(1<<20)/max(a.to-a.from, 1)))
	m.b = slices.Concat(m.b[:b.from], again, m.b[b.from:])
}

// join puts the rest of another file behind a part of this one.
func (m *mutant) join(other []byte) {
	if len(other) > 0 {
		m.b = append(m.b[:m.IntN(len(m.b)+1)], other[m.IntN(len(other)):]...)
	}
}

// sides are the widths and heights that headers are made to claim.
var sides = [...]uint32{0, 1, 2, 7, 100, 4095, 7000, 16383, 16384, 40_000, 50_000, 65_535, 65_536, 1 << 20, 1<<24 - 1, 1<<31 - 1, 1<<32 - 1}

// size makes the header claim another width and height.
func (m *mutant) size() {
	w, h := sides[m.IntN(len(sides))], sides[m.IntN(len(sides))]
	b := m.b
	short := func(order binary.ByteOrder, at int, v uint32) {
		if at >= 0 && at+2 <= len(b) {
			order.PutUint16(b[at:], uint16(v))
		}
	}
	long := func(order binary.ByteOrder, at int, v uint32) {
		if at >= 0 && at+4 <= len(b) {
			order.PutUint32(b[at:], v)
		}
	}
	big, little := binary.BigEndian, binary.LittleEndian
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG")):
		long(big, 16, w)
		long(big, 20, h)
	case bytes.HasPrefix(b, []byte("GIF8")):
		short(little, 6, w)
		short(little, 8, h)
		if at := bytes.IndexByte(b[min(13, len(b)):], ','); at >= 0 && m.IntN(2) == 0 {
			short(little, 13+at+5, w)
			short(little, 13+at+7, h)
		}
	case bytes.HasPrefix(b, []byte("BM")):
		long(little, 18, w)
		long(little, 22, h)
	case bytes.HasPrefix(b, []byte{0xff, 0xd8}):
		for _, p := range m.chunks() {
			if kind := b[p.from+1]; kind >= 0xc0 && kind <= 0xcf && kind != 0xc4 && kind != 0xc8 {
				short(big, p.from+5, h)
				short(big, p.from+7, w)
			}
		}
	case bytes.HasPrefix(b, []byte("RIFF")):
		m.webpSize(w, h)
	case bytes.HasPrefix(b, []byte("II*\x00")):
		m.tiffSize(binary.LittleEndian, w, h)
	case bytes.HasPrefix(b, []byte("MM\x00*")):
		m.tiffSize(binary.BigEndian, w, h)
	default:
		if at := bytes.Index(b, []byte("ispe")); at >= 0 { // AVIF and HEIC
			long(big, at+8, w)
			long(big, at+12, h)
			return
		}
		long(little, m.at(4), w)
	}
}

// webpSize makes the chunks of a WebP claim a size.
func (m *mutant) webpSize(w, h uint32) {
	for _, p := range m.chunks() {
		b := m.b[p.from:p.to]
		switch {
		case bytes.HasPrefix(b, []byte("VP8X")) && len(b) >= 18:
			copy(b[12:], []byte{byte(w), byte(w >> 8), byte(w >> 16), byte(h), byte(h >> 8), byte(h >> 16)})
		case bytes.HasPrefix(b, []byte("VP8 ")) && len(b) >= 18:
			binary.LittleEndian.PutUint16(b[14:], uint16(w&0x3fff))
			binary.LittleEndian.PutUint16(b[16:], uint16(h&0x3fff))
		case bytes.HasPrefix(b, []byte("VP8L")) && len(b) >= 13:
			binary.LittleEndian.PutUint32(b[9:], w&0x3fff|h&0x3fff<<14|binary.LittleEndian.Uint32(b[9:])&0xf0000000)
		}
	}
}

// tiffSize makes tags of the first directory claim a size, and now and then
// another one a great number.
func (m *mutant) tiffSize(order binary.ByteOrder, w, h uint32) {
	at := int(order.Uint32(m.b[4:]))
	if at < 8 || at+2 > len(m.b) {
		return
	}
	for i := range int(order.Uint16(m.b[at:])) {
		e := at + 2 + 12*i
		if e+12 > len(m.b) {
			return
		}
		tag := order.Uint16(m.b[e:])
		switch {
		case tag == 256:
			order.PutUint32(m.b[e+8:], w)
		case tag == 257:
			order.PutUint32(m.b[e+8:], h)
		case m.IntN(16) == 0:
			order.PutUint32(m.b[e+4+4*m.IntN(2):], extremes[m.IntN(len(extremes))])
		}
	}
}

// heal sets the checksums of a PNG right, and the length of a RIFF.
func (m *mutant) heal() {
	switch {
	case bytes.HasPrefix(m.b, []byte("\x89PNG")):
		for _, p := range m.chunks() {
			binary.BigEndian.PutUint32(m.b[p.to-4:], crc32.ChecksumIEEE(m.b[p.from+4:p.to-4]))
		}
	case bytes.HasPrefix(m.b, []byte("RIFF")) && len(m.b) >= 8:
		binary.LittleEndian.PutUint32(m.b[4:], uint32(len(m.b)-8))
	}
}
