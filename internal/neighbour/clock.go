package neighbour

import (
	"net/http"
	"time"
)

// MaxSkew is by how much a neighbour's clock may differ before it is said. Below
// it lie the second that an answer's date is rounded to and slow answers.
const MaxSkew = 5 * time.Second

// dateUnit is the resolution of an answer's date, which is rounded down.
const dateUnit = time.Second

// span is between what bounds a neighbour's clock is ahead of ours; negative
// for behind. The date was stamped at some time between the request's sending
// and the answer's arrival, so a long poll gives a wide span.
type span struct{ low, high time.Duration }

// spanOf reads an answer's date; ok is false where there is none.
func spanOf(header http.Header, arrived time.Time, took time.Duration) (s span, ok bool) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return span{}, false
	}
	return span{low: date.Sub(arrived), high: date.Add(dateUnit).Sub(arrived.Add(-took))}, true
}

// least is what the difference is at the very least.
func (s span) least() time.Duration {
	switch {
	case s.low > 0:
		return s.low
	case s.high < 0:
		return s.high
	}
	return 0
}

// likely is the best guess at the difference: the middle of a narrow span.
func (s span) likely() time.Duration {
	if s.wide() {
		return s.least()
	}
	if s.low <= 0 && s.high >= 0 {
		return 0 // within what can be told
	}
	return s.low + (s.high-s.low)/2
}

func (s span) wide() bool { return s.high-s.low > MaxSkew }

func (s span) overlaps(o span) bool { return s.low <= o.high && o.low <= s.high }

func (s span) off() bool { return s.least().Abs() > MaxSkew }

// blame says whose clock is likely to be the wrong one, seen from here.
type blame string

const (
	blameUnknown blame = "this machine's clock or its own; no other neighbour is seen to tell"
	blameMixed   blame = "undecided; the clocks of several machines differ"
	blameThem    blame = "its own clock; others agree with this machine's"
	blameUs      blame = "this machine's clock; all neighbours differ by the same"
)

// whose weighs one neighbour's difference against all that are known, its own
// among them.
func whose(one span, all []span) blame {
	if len(all) < 2 {
		return blameUnknown
	}
	same := true
	for _, s := range all {
		if !s.off() {
			return blameThem
		}
		same = same && (s.likely()-one.likely()).Abs() <= MaxSkew
	}
	if same {
		return blameUs
	}
	return blameMixed
}
