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
	var roots []*node
	var geometries []geometry
	finest := sampling{2, 2}
	for _, n := range w.nodes {
		if n.from == nil {
			roots, geometries = append(roots, n), append(geometries, n.geometry)
			finest = sampling{min(finest.sx, n.sx), min(finest.sy, n.sy)}
		}
	}
	shrink := shrinkFor(src.head, geometries)
	sizes := blocks(src.head, shrink, finest)
	base := &node{components: src.components}
	base.uses.Store(int64(len(roots)))
	var all, straight int64
	for c, size := range sizes {
		g := src.grid(c, size)
		base.grids = append(base.grids, g)
		all += int64(g.w) * int64(g.h)
	}
	for _, n := range roots {
		straight += n.bytes()
	}
	if straight > all+crowd {
		return base, w.keep(src, base, shrink, sizes)
	}
	results := make([]result, len(roots))
	for i, n := range roots {
		if err := n.allocate(); err != nil {
			return base, err
		}
		results[i] = result{n.picture, n.geometry}
	}
	return base, src.decode(w.call, shrink, sizes, results, nil)
}

// keep decodes into the planes of base.
func (w *work) keep(src *source, base *node, shrink int, sizes []int) error {
	var err error
	if base.picture, err = emptyPicture(src.components); err != nil {
		return err
	}
	return src.decode(w.call, shrink, sizes, nil, &base.picture)
}
