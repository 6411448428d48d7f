package footer_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

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
	data := []byte("all the pixels")
	sum := sha256.Sum256(data)
	right := hex.EncodeToString(sum[:])
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
		"wrong bytes":       {strings.NewReader("all the pixelz"), right, false, footer.ErrDamaged},
		"another's digest":  {bytes.NewReader(data), strings.Repeat("0", 64), false, footer.ErrDamaged},
		"too short":         {bytes.NewReader(data[:5]), right, false, footer.ErrDamaged},
		"fails on the way":  {io.MultiReader(bytes.NewReader(data[:5]), iotest.ErrReader(broken)), right, false, broken},
		"fails at its last": {io.MultiReader(iotest.OneByteReader(bytes.NewReader(data[:13])), iotest.ErrReader(broken)), right, false, broken},
	} {
		t.Run(name, func(t *testing.T) {
			closed := 0
			b := footer.Checked(closing{c.r, &closed}, int64(len(data)), c.digest)
			n, err := b.Read(nil)
			require.Zero(t, n)
			require.NoError(t, err)
			got, err := io.ReadAll(b)
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

type closing struct {
	io.Reader
	closed *int
}

func (c closing) Close() error {
	*c.closed++
	return nil
}
