package cloud

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"imagemill/internal/digest"
	"imagemill/internal/fault"
	"imagemill/services/storage"
	"imagemill/services/storage/footer"
)

// Put implements storage.Store.
func (s *Store) Put(ctx context.Context, ref storage.Ref, r io.Reader, opt storage.PutOptions) (storage.Info, error) {
	if err := errors.Join(ref.Validate(), opt.Validate(), ctx.Err()); err != nil {
		return storage.Info{}, err
	}
	release, err := s.reserve(ctx, opt.Size)
	if err != nil {
		return storage.Info{}, err
	}
	defer release()
	in := &incoming{ctx: ctx, r: r, opt: opt, hash: digest.New()}
	defer in.hash.Close()
	buf, give := s.buffer(opt.Size)
	defer give()
	buf, err = in.fill(buf)
	if err != nil {
		return storage.Info{}, fmt.Errorf("read blob %s/%s: %w", ref.State, ref.Key, err)
	}
	if in.end {
		return s.putWhole(ctx, ref, in, buf)
	}
	return s.putParts(ctx, ref, in, buf)
}

// reserve waits for the memory that a blob needs at most while it is sent.
func (s *Store) reserve(ctx context.Context, size int64) (func(), error) {
	need := int64(partSize + footer.Size)
	if size >= 0 {
		need = min(size+footer.Size+1, need)
	}
	wctx, cancel := context.WithTimeout(ctx, s.cfg.Wait)
	defer cancel()
	if err := s.room.Acquire(wctx, need); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fault.Wrap(fault.Overloaded, "too many uploads are under way", err).WithRetryAfter(s.cfg.Wait)
	}
	return func() { s.room.Release(need) }, nil
}

// firstBuffer is for a blob of unknown size, which may be small.
const firstBuffer = 64 << 10

// buffer gives an empty one, from the pool where a part is expected to fill it.
func (s *Store) buffer(size int64) ([]byte, func()) {
	switch {
	case size < 0:
		return make([]byte, 0, firstBuffer), func() {}
	case size < partSize/2:
		return make([]byte, 0, size+footer.Size+1), func() {}
	}
	whole := s.parts.Get().(*[partSize + footer.Size]byte)
	return whole[:0], func() { s.parts.Put(whole) }
}

// incoming reads a blob part by part and digests it on the way.
type incoming struct {
	ctx  context.Context
	r    io.Reader
	opt  storage.PutOptions
	hash *digest.Writer
	size int64
	end  bool
	sum  []byte
}

// fill reads until the buffer holds a part or the blob has ended, and leaves room
// for a footer. The buffer grows with what has come, not with what may. A blob
// that is not what was announced is an error, the reader's own too.
func (in *incoming) fill(buf []byte) ([]byte, error) {
	for idle := 0; len(buf) < partSize; {
		if err := in.ctx.Err(); err != nil {
			return buf, err
		}
		if len(buf)+footer.Size >= cap(buf) {
			grown := make([]byte, len(buf), min(2*cap(buf), partSize+footer.Size))
			copy(grown, buf)
			buf = grown
		}
		n, err := in.r.Read(buf[len(buf):min(cap(buf)-footer.Size, partSize)])
		_, _ = in.hash.Write(buf[len(buf) : len(buf)+n])
		buf, in.size = buf[:len(buf)+n], in.size+int64(n)
		if err := in.opt.CheckLonger(in.size); err != nil {
			return buf, err
		}
		switch {
		case err == io.EOF: // the end itself; what wraps it is a failure
			in.end, in.sum = true, in.hash.Sum()
			return buf, in.opt.Check(in.size, in.digest())
		case err != nil:
			return buf, err
		case n > 0:
			idle = 0
		default:
			if idle++; idle == 100 {
				return buf, io.ErrNoProgress
			}
		}
	}
	return buf, nil
}

func (in *incoming) digest() string { return hex.EncodeToString(in.sum) }

// info describes the blob once it is stored.
func (in *incoming) info(ref storage.Ref, modified time.Time) storage.Info {
	return storage.Info{Key: ref.Key, Size: in.size, SHA256: in.digest(), Modified: modified}
}

// putWhole stores a blob that has come completely, by one call.
func (s *Store) putWhole(ctx context.Context, ref storage.Ref, in *incoming, data []byte) (storage.Info, error) {
	if err := ctx.Err(); err != nil { // the last moment at which that changes nothing
		return storage.Info{}, err
	}
	if s.footers {
		data = append(data, footer.Encode(ref, in.size, in.sum)...)
	}
	cctx, cancel := s.call(context.WithoutCancel(ctx))
	defer cancel()
	modified, err := s.bucket.put(cctx, s.name(ref), data, in.digest())
	if err != nil {
		return storage.Info{}, s.failed(context.WithoutCancel(ctx), "put", ref, err)
	}
	s.health.reached()
	return in.info(ref, modified), nil
}

// putParts stores a blob of which only the first part has come.
func (s *Store) putParts(ctx context.Context, ref storage.Ref, in *incoming, buf []byte) (storage.Info, error) {
	bctx, cancel := s.call(ctx)
	up, err := s.bucket.begin(bctx, s.name(ref))
	cancel()
	if err != nil {
		return storage.Info{}, s.failed(ctx, "begin", ref, err)
	}
	modified, err := s.send(ctx, ref, in, buf, up)
	if err != nil {
		actx, cancel := s.call(context.WithoutCancel(ctx))
		defer cancel()
		if aerr := up.abort(actx); aerr != nil {
			s.log.Warn("parts of an upload that failed stay for a day", "state", ref.State, "key", ref.Key, "error", aerr)
		}
		return storage.Info{}, err
	}
	s.health.reached()
	return in.info(ref, modified), nil
}

// send sends what has come and what is to come, one part after the other.
func (s *Store) send(ctx context.Context, ref storage.Ref, in *incoming, buf []byte, up upload) (time.Time, error) {
	for {
		if in.end {
			buf = append(buf, footer.Encode(ref, in.size, in.sum)...)
		}
		pctx, cancel := s.call(ctx)
		err := up.part(pctx, buf)
		cancel()
		if err != nil {
			return time.Time{}, s.failed(ctx, "put part of", ref, err)
		}
		if in.end {
			break
		}
		if buf, err = in.fill(buf[:0]); err != nil {
			return time.Time{}, fmt.Errorf("read blob %s/%s: %w", ref.State, ref.Key, err)
		}
	}
	if err := ctx.Err(); err != nil { // the last moment at which that changes nothing
		return time.Time{}, err
	}
	ctx = context.WithoutCancel(ctx)
	cctx, cancel := s.call(ctx)
	defer cancel()
	modified, err := up.complete(cctx)
	if err != nil {
		return time.Time{}, s.failed(ctx, "complete", ref, err)
	}
	return modified, nil
}
