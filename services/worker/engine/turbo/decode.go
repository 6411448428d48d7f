//go:build vips

package turbo

// crowd is how many bytes more than the decoded original the pictures made
// straight from it may take, before they are made one after the other instead
// of all while decoding.
const crowd = 64 << 20

// decode decodes the original. The pictures that are made straight from it are
// made on the way; only when they would together take much more memory than
// the original, its planes are kept instead, and given as a node to draw from.
func (w *work) decode(src *source) (*node, error) {
	roots, finest, err := w.roots(src.components)
	if err != nil {
		return nil, err
	}
	geometries := make([]geometry, len(roots))
	for i, n := range roots {
		geometries[i] = n.geometry
	}
	shrink := shrinkFor(src.head, geometries)
	sizes := blocks(src.head, shrink, finest)
	base := &node{components: src.components}
	for c, size := range sizes {
		base.grids = append(base.grids, src.grid(c, size))
	}
	return base, w.make(base, roots, func(results []result, keep *picture) error {
		return src.decode(w.call, shrink, sizes, results, keep)
	})
}

// roots are the pictures that are made straight from the original, which has so
// many components, and the finest chroma that they need.
func (w *work) roots(components int) (roots []*node, finest sampling, err error) {
	finest = sampling{2, 2}
	for _, n := range w.nodes {
		if err := n.suit(components); err != nil {
			return nil, finest, err
		}
		if n.from == nil {
			roots = append(roots, n)
			finest = sampling{min(finest.sx, n.sx), min(finest.sy, n.sy)}
		}
	}
	return roots, finest, nil
}

// make has the roots made by decode, or the planes of base, whose grids are known.
func (w *work) make(base *node, roots []*node, decode func(results []result, keep *picture) error) (err error) {
	defer func() {
		if err != nil {
			base.drop()
		}
	}()
	base.uses.Store(int64(len(roots)))
	var all, straight int64
	for _, g := range base.grids {
		all += int64(g.w) * int64(g.h)
	}
	for _, n := range roots {
		straight += n.bytes()
	}
	if straight > all+crowd {
		if base.picture, err = emptyPicture(base.components); err != nil {
			return err
		}
		return decode(nil, &base.picture)
	}
	results := make([]result, len(roots))
	for i, n := range roots {
		if err := n.allocate(); err != nil {
			return err
		}
		results[i] = result{n.picture, n.geometry}
	}
	return decode(results, nil)
}
