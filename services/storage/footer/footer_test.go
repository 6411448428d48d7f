package footer_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"imagemill/services/storage"
	"imagemill/services/storage/footer"
)

func Example() {
	ref := storage.Ref{State: storage.Finished, Key: "a"}
	sum := sha256.Sum256([]byte("pixels"))
	b := footer.Encode(ref, 6, sum[:])
	size, digest, err := footer.Decode(ref, b, 6+footer.Size)
	fmt.Println(size, digest[:8], err)
	// Output: 6 6ec9c2b0 <nil>
}

// Each byte of it counts, and so do its length, the file's and the blob's name.
func TestWhatIsNotAsItWas(t *testing.T) {
	ref, sum := storage.Ref{State: storage.Finished, Key: "a"}, sha256.Sum256(nil)
	good := footer.Encode(ref, 0, sum[:])
	_, _, err := footer.Decode(ref, good, footer.Size)
	require.NoError(t, err)
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 4
		_, _, err := footer.Decode(ref, bad, footer.Size)
		require.ErrorIs(t, err, footer.ErrDamaged, "byte %d", i)
	}
	for _, c := range []struct {
		ref  storage.Ref
		b    []byte
		size int64
	}{
		{ref, good[:63], footer.Size}, {ref, good, footer.Size + 1}, {ref, good, 1},
		{storage.Ref{State: storage.InProgress, Key: "a"}, good, footer.Size}, {storage.Ref{State: storage.Finished, Key: "b"}, good, footer.Size},
	} {
		_, _, err := footer.Decode(c.ref, c.b, c.size)
		require.ErrorIs(t, err, footer.ErrDamaged)
	}
	require.NoError(t, footer.Compare(sum[:], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
	require.ErrorIs(t, footer.Compare(sum[:], "00"), footer.ErrDamaged)
}

// FuzzFooter holds that nothing but what was written is taken for a footer.
func FuzzFooter(f *testing.F) {
	f.Add(footer.Encode(storage.Ref{State: storage.Finished, Key: "a"}, 5, make([]byte, 32)), int64(69))
	f.Add([]byte("imgblob\n"), int64(3))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		got, digest, err := footer.Decode(storage.Ref{State: storage.Finished, Key: "a"}, b, size)
		if err == nil && (got != size-footer.Size || len(digest) != 64) {
			t.Fatalf("%d %s of %d", got, digest, size)
		}
	})
}

// What is given out before the last piece may be damaged; the whole never is.
func TestChecked(t *testing.T) {
	short := []byte("all the pixels")
	large := make([]byte, 1<<20+77)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(large)
	for name, data := range map[string][]byte{"short": short, "large": large} {
		for way, readAll := range map[string]func(io.Reader) ([]byte, error){
			"read": io.ReadAll,
			"copied": func(r io.Reader) ([]byte, error) {
				var out bytes.Buffer
				n, err := r.(io.WriterTo).WriteTo(&out)
				require.EqualValues(t, out.Len(), n)
				return out.Bytes(), err
			},
			"begun and copied": func(r io.Reader) ([]byte, error) {
				begin := make([]byte, 3)
				if _, err := io.ReadFull(r, begin); err != nil {
					return nil, err
				}
				out := bytes.NewBuffer(begin)
				_, err := io.Copy(out, r)
				return out.Bytes(), err
			},
		} {
			t.Run(name+", "+way, func(t *testing.T) { testChecked(t, data, readAll) })
		}
	}
}

func testChecked(t *testing.T, data []byte, readAll func(io.Reader) ([]byte, error)) {
	sum := sha256.Sum256(data)
	right := hex.EncodeToString(sum[:])
	wrong := bytes.Clone(data)
	wrong[len(wrong)-1] ^= 1
	broken := errors.New("the disk is gone")
	for name, c := range map[string]struct {
		r      io.Reader
		digest string
		whole  bool
		err    error
	}{
		"right":             {bytes.NewReader(data), right, true, nil},
		"byte by byte":      {iotest.OneByteReader(bytes.NewReader(data)), right, true, nil},
		"EOF with the end":  {iotest.DataErrReader(bytes.NewReader(data)), right, true, nil},
		"more behind it":    {io.MultiReader(bytes.NewReader(data), strings.NewReader("footer")), right, true, nil},
		"wrong bytes":       {bytes.NewReader(wrong), right, false, footer.ErrDamaged},
		"another's digest":  {bytes.NewReader(data), strings.Repeat("0", 64), false, footer.ErrDamaged},
		"too short":         {bytes.NewReader(data[:5]), right, false, footer.ErrDamaged},
		"fails on the way":  {io.MultiReader(bytes.NewReader(data[:5]), iotest.ErrReader(broken)), right, false, broken},
		"fails at its last": {io.MultiReader(iotest.OneByteReader(bytes.NewReader(data[:len(data)-1])), iotest.ErrReader(broken)), right, false, broken},
	} {
		t.Run(name, func(t *testing.T) {
			closed := 0
			b := footer.Checked(closing{c.r, &closed}, int64(len(data)), c.digest)
			n, err := b.Read(nil)
			require.Zero(t, n)
			require.NoError(t, err)
			got, err := readAll(b)
			if c.whole {
				require.NoError(t, err)
				require.Equal(t, data, got)
			} else {
				require.ErrorIs(t, err, c.err)
				require.Less(t, len(got), len(data))
				_, again := b.Read(make([]byte, 1))
				require.Equal(t, err, again)
			}
			require.NoError(t, b.Close())
			require.Equal(t, 1, closed)
		})
	}
}

// A writer's failure is given as it is, and the body cannot be read on from the middle.
func TestCheckedCopyThatFails(t *testing.T) {
	full := errors.New("the client is gone")
	data := make([]byte, 1<<20)
	b := footer.Checked(io.NopCloser(bytes.NewReader(data)), int64(len(data)), strings.Repeat("0", 64))
	taken := 0
	n, err := b.(io.WriterTo).WriteTo(writer(func(p []byte) (int, error) {
		if taken += len(p); taken > 300_000 {
			return 7, full
		}
		return len(p), nil
	}))
	require.ErrorIs(t, err, full)
	require.Positive(t, n)
	_, err = b.Read(make([]byte, 1))
	require.ErrorIs(t, err, full)
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
}

// Closing ends a body that nobody reads to its end, and what digests it.
func TestCheckedIsGivenUp(t *testing.T) {
	defer goleak.VerifyNone(t)
	data := make([]byte, 1<<20)
	b := footer.Checked(io.NopCloser(bytes.NewReader(data)), int64(len(data)), strings.Repeat("0", 64))
	_, err := io.CopyN(io.Discard, b, 600_000)
	require.NoError(t, err)
	require.NoError(t, b.Close())
	_, err = b.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrClosed)
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

type closing struct {
	io.Reader
	closed *int
}

func (c closing) Close() error {
	*c.closed++
	return nil
}
