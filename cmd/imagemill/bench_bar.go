package main

import (
	"io"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bar shows how far a measurement is, on a terminal. The zero value shows nothing.
type bar struct {
	all *mpb.Progress
	one *mpb.Bar
}

// newBar shows a bar on w if that is a terminal.
func newBar(w io.Writer, count int) *bar {
	f, ok := w.(*os.File)
	if !ok {
		return &bar{}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &bar{}
	}
	p := mpb.New(mpb.WithOutput(w), mpb.WithWidth(60))
	return &bar{all: p, one: p.AddBar(int64(count), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.CountersNoUnit("%d / %d ")),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))}
}

// step counts one picture. It is safe for concurrent use.
func (b *bar) step() {
	if b.one != nil {
		b.one.Increment()
	}
}

// end takes the bar away, also one that is not full.
func (b *bar) end() {
	if b.all != nil {
		b.one.Abort(true)
		b.all.Wait()
	}
}
