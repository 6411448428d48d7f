package serve

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// answer has the answer made and sends it, or gives the nap that is to follow. It
// reports whether the connection may be kept.
func (p *parked) answer(r *http.Request, header http.Header, n *Nap) (again *Nap, keep bool) {
	ctx, left := context.WithCancel(r.Context())
	defer left()
	_ = p.conn.SetReadDeadline(time.Time{})
	heard := make(chan struct{})
	late := time.AfterFunc(lateAnswer, func() {
		defer close(heard)
		if !p.read() {
			left()
		}
	})
	w := &reply{header: header}
	again, err := p.protect(n, w, r.WithContext(ctx))
	if !late.Stop() {
		_ = p.conn.SetReadDeadline(time.Unix(1, 0))
		<-heard
	}
	switch {
	case p.gone, errors.Is(err, http.ErrAbortHandler):
		return nil, false // nobody is there to read it, or nobody shall
	case again != nil:
		return again, false
	case err != nil:
		w.failed()
	}
	keep = !p.s.lingers.Load()
	_ = p.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	size, werr := w.send(p.conn, keep)
	p.s.report(ctx, outcome{
		method: r.Method, path: r.URL.Path, route: p.route, status: w.status, size: size,
		took: time.Since(arrivalOf(ctx).begun), err: err,
	})
	return nil, keep && werr == nil
}

// protect turns a panic into an error, as for any other request.
func (p *parked) protect(n *Nap, w http.ResponseWriter, r *http.Request) (again *Nap, err error) {
	defer func() {
		if v := recover(); v != nil {
			again, err = nil, panicked(v)
		}
	}()
	return n.Answer(w, r), nil
}
