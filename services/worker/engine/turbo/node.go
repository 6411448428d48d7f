//go:build vips

package turbo

import (
	"math"
	"sync/atomic"

	"imagemill/pkg/pipeline"
	"imagemill/services/worker/engine"
	"imagemill/services/worker/engine/plan"
)

// node is one picture that a job makes, for one rendition or for several that
// differ only in how they are written.
type node struct {
	shape
	components int
	// from is nil for what is made from the decoded original.
	from *node
	// grids are those of this picture's planes over the upright original, which
	// others that continue from it are placed in.
	grids      []grid
	renditions []int
	// uses counts the renditions and nodes that still need the planes.
	uses    atomic.Int64
	picture picture
}

// shape is what makes two pictures the same.
type shape struct {
	geometry
	sampling
}

// same compares frames by what they say.
func (s shape) same(o shape) bool {
	a, b := s.geometry, o.geometry
	if (a.frame == nil) != (b.frame == nil) || a.frame != nil && *a.frame != *b.frame {
		return false
	}
	a.frame, b.frame = nil, nil
	return a == b && s.sampling == o.sampling
}

// nodesOf turns the steps of a plan that are made here into pictures, in an order
// in which each comes after the one it is made from.
func nodesOf(p pipeline.Pipeline, original engine.Picture, steps plan.Plan) ([]*node, error) {
	var nodes []*node
	of := map[int]*node{}
	for _, s := range steps.Steps {
		if !s.Fast && !s.Planes {
			continue
		}
		n, err := nodeOf(p, original, s, of)
		if err != nil {
			return nil, err
		}
		found := false
		for _, m := range nodes {
			if m.from == n.from && m.same(n.shape) {
				n, found = m, true
				break
			}
		}
		if !found {
			nodes = append(nodes, n)
			if n.from != nil {
				n.from.uses.Add(1)
			}
		}
		n.renditions = append(n.renditions, s.Rendition)
		n.uses.Add(1)
		of[s.Rendition] = n
	}
	return nodes, nil
}

func nodeOf(p pipeline.Pipeline, original engine.Picture, s plan.Step, of map[int]*node) (*node, error) {
	r := p.Renditions[s.Rendition]
	n := &node{shape: shape{sampling: samplingOf(r)}, from: continued(p, s.From, of)}
	w, h, orientation := original.Width, original.Height, original.Orientation
	if n.from != nil {
		// The larger picture is upright already.
		if orientation >= 5 && orientation <= 8 && !r.KeepOrientation {
			w, h = h, w
		}
		orientation = 1
	}
	var err error
	if n.geometry, err = geometryOf(r, w, h, orientation); err != nil {
		return nil, err
	}
	if err := checkResult(r, n.x.n, n.y.n); err != nil {
		return nil, err
	}
	if orientation >= 5 && orientation <= 8 && !r.KeepOrientation {
		w, h = h, w
	}
	for _, every := range [3]sampling{{1, 1}, n.sampling, n.sampling} {
		n.grids = append(n.grids, grid{
			dx: float64(w*every.sx) / float64(n.x.n), w: (n.x.n + every.sx - 1) / every.sx,
			dy: float64(h*every.sy) / float64(n.y.n), h: (n.y.n + every.sy - 1) / every.sy,
		})
	}
	return n, nil
}

// continued is the node that a step continues from, nil for the original. Where
// the plan names a rendition that does more than to resize, its picture after
// the resize is nowhere, and what that one was made from is taken instead.
func continued(p pipeline.Pipeline, from int, of map[int]*node) *node {
	n := of[from]
	if n == nil {
		return nil
	}
	if r := p.Renditions[from]; plan.FirstResize(r) != len(r.Operations)-1 {
		return n.from
	}
	return n
}

// largestKernel bounds the weights of one axis, in bytes: only a wide canvas
// around a picture that has become a few pixels wide asks for more.
const largestKernel = 64 << 20

// suit looks at what is only known once the original's header is read.
func (n *node) suit(components int) error {
	n.components = components
	for _, l := range []line{n.x, n.y} {
		taps := min(6*math.Abs(l.scale), l.hi-l.lo) + 32
		if float64(l.n)*taps*2 > largestKernel {
			return notFast("the canvas is much wider than the picture")
		}
	}
	if n.frame != nil && components == 1 {
		if r, g, b, _ := n.frame.color.NRGBA(); r != g || g != b {
			return notFast("the original is grey and the background is not")
		}
	}
	return nil
}

// bytes is about what the picture takes.
func (n *node) bytes() int64 {
	luma := int64(n.x.n) * int64(n.y.n)
	if n.components == 1 {
		return luma
	}
	return luma + 2*luma/int64(n.sx*n.sy)
}

func (n *node) allocate() (err error) {
	n.picture, err = newPicture(n.components, n.x.n, n.y.n, n.sampling)
	return err
}

// release gives up one use; after the last one the planes are freed.
func (n *node) release() {
	if n.uses.Add(-1) == 0 {
		n.drop()
	}
}

// drop frees the planes, when no one works with them any more.
func (n *node) drop() {
	if n.picture.c != nil {
		n.picture.free()
		n.picture.c = nil
	}
}
