package disk_test

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/storage/storagetest"
)

// damageCase is one way for a file to go bad, and whether it shows in the footer.
type damageCase struct {
	name   string
	footer bool
	harm   func(t *testing.T, path string, size int64)
}

func flip(at func(size int64) int64) func(*testing.T, string, int64) {
	return func(t *testing.T, path string, size int64) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		var b [1]byte
		_, err = f.ReadAt(b[:], at(size))
		require.NoError(t, err)
		b[0] ^= 0x10
		_, err = f.WriteAt(b[:], at(size))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
}

func truncate(to func(size int64) int64) func(*testing.T, string, int64) {
	return func(t *testing.T, path string, size int64) { require.NoError(t, os.Truncate(path, to(size))) }
}

func damageCases() []damageCase {
	cases := []damageCase{
		{"first bit", false, flip(func(int64) int64 { return 0 })},
		{"middle bit", false, flip(func(n int64) int64 { return n / 2 })},
		{"last bit", false, flip(func(n int64) int64 { return n - 1 })},
		{"emptied", true, truncate(func(int64) int64 { return 0 })},
		{"footer only half", true, truncate(func(n int64) int64 { return n + 32 })},
		{"no footer", true, truncate(func(n int64) int64 { return n })},
		{"grown", true, truncate(func(n int64) int64 { return n + 65 })},
		{"one byte short", true, truncate(func(n int64) int64 { return n + 63 })},
		{"footer moved up", true, func(t *testing.T, path string, size int64) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, append(data[:size-1:size-1], data[size:]...), 0o600))
		}},
	}
	for i := range int64(64) { // each byte of the footer counts
		cases = append(cases, damageCase{"footer byte " + strconv.FormatInt(i, 10), true, flip(func(n int64) int64 { return n + i })})
	}
	return cases
}

// Damage is never given out as a whole blob: small blobs and footers are found
// at once, bits of a large blob before its last byte.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	remote := overHTTP(t, s)
	ref := storage.Ref{State: storage.InProgress, Key: "a"}
	path := filepath.Join(dir, "inProgress", "a", "a")
	for _, n := range []int64{1, 5000, 128 << 10, 700_000, 1 << 20, 3_000_000} {
		for _, c := range damageCases() {
			storagetest.Put(t, s, "a", storagetest.Bytes(int(n), 1))
			c.harm(t, path, n)
			_, err := s.Stat(t.Context(), ref)
			require.Equal(t, c.footer, err != nil, "%s of %d: Stat", c.name, n)

			atOnce := c.footer || n <= 1<<20
			for _, store := range []storage.Store{s, remote} {
				obj, err := store.Get(t.Context(), ref, storage.Whole())
				require.Equal(t, atOnce, err != nil, "%s of %d: Get", c.name, n)
				if err != nil {
					require.Equal(t, fault.Internal, fault.KindOf(err))
					continue
				}
				got, err := io.Copy(io.Discard, obj.Body)
				require.Error(t, err, "%s of %d: body", c.name, n)
				require.Less(t, got, n)
				require.NoError(t, obj.Body.Close())
			}
			if atOnce {
				_, err = s.Get(t.Context(), ref, storage.Span{Offset: 0, Length: 1})
				require.Error(t, err, "%s of %d: range", c.name, n)
			}
		}
		// Damage is healed by a new Put, and can be deleted.
		storagetest.Put(t, s, "a", storagetest.Bytes(int(n), 2))
		_, err := storagetest.Read(t, s, "a", storage.Whole())
		require.NoError(t, err)
		require.NoError(t, os.Truncate(path, 3))
		require.NoError(t, s.Delete(t.Context(), ref))
	}
}

// A caller that checks the digest itself is given a large damaged blob, with the
// digest that tells; the length is right all the same, and so is the footer.
func TestDamageIsLeftToACallerThatChecks(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	remote := overHTTP(t, s)
	ref := storage.Ref{State: storage.InProgress, Key: "a"}
	path := filepath.Join(dir, "inProgress", "a", "a")
	for _, n := range []int64{5000, 200_000, 3_000_000} {
		for _, c := range damageCases()[:9] {
			data := storagetest.Bytes(int(n), 1)
			storagetest.Put(t, s, "a", data)
			c.harm(t, path, n)
			for _, store := range []storage.Store{s, remote} {
				obj, err := storage.GetUnchecked(t.Context(), store, ref)
				require.Equal(t, c.footer || n <= 128<<10, err != nil, "%s of %d", c.name, n)
				if err != nil {
					require.Equal(t, fault.Internal, fault.KindOf(err))
					continue
				}
				got, err := io.ReadAll(obj.Body)
				require.NoError(t, err)
				require.NoError(t, obj.Body.Close())
				require.Len(t, got, int(n))
				require.Equal(t, storagetest.Digest(data), obj.SHA256)
				require.NotEqual(t, storagetest.Digest(got), obj.SHA256)
			}
		}
	}
}

// A file under another blob's name is damage, not that blob.
func TestMixedUp(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	storagetest.Put(t, s, "a", []byte("of a"))
	storagetest.Put(t, s, "b", []byte("of b"))
	from, to := filepath.Join(dir, "inProgress", "a", "a"), filepath.Join(dir, "inProgress", "b", "b")
	require.NoError(t, os.Rename(from, to))
	_, err := storagetest.Read(t, s, "b", storage.Whole())
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

// A file that shrinks while it is read ends with an error.
func TestShrinksWhileRead(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	path := filepath.Join(dir, "inProgress", "a", "a")
	for _, span := range []storage.Span{storage.Whole(), {Offset: 10, Length: 2_000_000}} {
		storagetest.Put(t, s, "a", storagetest.Bytes(3_000_000, 1))
		for _, viaWriterTo := range []bool{false, true} {
			obj, err := s.Get(t.Context(), storage.Ref{State: storage.InProgress, Key: "a"}, span)
			require.NoError(t, err)
			require.NoError(t, os.Truncate(path, 1000))
			var body io.Reader = struct{ io.Reader }{obj.Body}
			if viaWriterTo {
				body = obj.Body
			}
			got, err := io.Copy(io.Discard, body)
			require.Error(t, err)
			require.Less(t, got, obj.Length)
			require.NoError(t, obj.Body.Close())
			storagetest.Put(t, s, "a", storagetest.Bytes(3_000_000, 1))
		}
	}
}
