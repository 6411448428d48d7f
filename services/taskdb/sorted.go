package taskdb

import (
	"cmp"
	"math/bits"
	"math/rand/v2"
)

// key is a place in an order: by two numbers, then by ID.
type key struct {
	n, m int64
	id   string
}

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.n, o.n), cmp.Compare(k.m, o.m), cmp.Compare(k.id, o.id))
}

// sorted is a set of keys in rising order, as a skip list: every operation costs
// the logarithm of its size. The zero value is empty and ready.
type sorted struct {
	head [sortedLevels]*sortedNode
	size int
}

// sortedLevels is enough for millions of keys.
const sortedLevels = 20

type sortedNode struct {
	key  key
	next []*sortedNode
}

// seek gives, for each level, the link that leads to the first key at or above k.
func (s *sorted) seek(k key) (links [sortedLevels]**sortedNode) {
	owner := s.head[:]
	for level := sortedLevels - 1; level >= 0; level-- {
		for owner[level] != nil && owner[level].key.compare(k) < 0 {
			owner = owner[level].next
		}
		links[level] = &owner[level]
	}
	return links
}

func (s *sorted) add(k key) {
	links := s.seek(k)
	if n := *links[0]; n != nil && n.key == k {
		return
	}
	height := min(1+bits.TrailingZeros64(rand.Uint64()), sortedLevels)
	n := &sortedNode{key: k, next: make([]*sortedNode, height)}
	for level := range n.next {
		n.next[level] = *links[level]
		*links[level] = n
	}
	s.size++
}

func (s *sorted) remove(k key) {
	links := s.seek(k)
	n := *links[0]
	if n == nil || n.key != k {
		return
	}
	for level := range n.next {
		*links[level] = n.next[level]
	}
	s.size--
}

// from calls fn with the keys at or above k, in order, until fn gives false. The
// set must not change meanwhile.
func (s *sorted) from(k key, fn func(key) bool) {
	links := s.seek(k)
	for n := *links[0]; n != nil && fn(n.key); n = n.next[0] {
	}
}

// first gives the lowest key, and whether there is one.
func (s *sorted) first() (key, bool) {
	if n := s.head[0]; n != nil {
		return n.key, true
	}
	return key{}, false
}
