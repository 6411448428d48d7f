package sandbox

import (
	"slices"
	"strings"
)

// Config is what a process is left with.
type Config struct {
	// Dir is the folder in which files may be made and written; none if empty.
	Dir string `json:"dir,omitempty"`
	// Read are folders whose files may be read, with all below them, such as those
	// of fonts; those that there are not are passed over. None if empty.
	Read []string `json:"read,omitempty"`
	// MemoryBytes is the most private memory that may be mapped; 0 sets no limit.
	MemoryBytes int64 `json:"memoryBytes,omitempty"`
	// FileBytes is the most that a file may grow to; 0 sets no limit.
	FileBytes int64 `json:"fileBytes,omitempty"`
	// None leaves all as it is.
	None bool `json:"none,omitempty"`
	// LimitsOnly leaves out all that is not a limit.
	LimitsOnly bool `json:"limitsOnly,omitempty"`
}

// Feature is the name of one wall.
type Feature string

// The features, in the order in which they are put in force.
const (
	Memory       Feature = "memory"         // RLIMIT_DATA
	Limits       Feature = "limits"         // files: how large, how many; no core
	OOMFirst     Feature = "oom_first"      // oom_score_adj
	NoNewPrivs   Feature = "no_new_privs"   // prctl
	Landlock     Feature = "landlock"       // files, ABI 1
	LandlockNet  Feature = "landlock_net"   // TCP, ABI 4
	LandlockIPC  Feature = "landlock_scope" // signals, abstract sockets, ABI 6
	Undumpable   Feature = "undumpable"     // prctl
	Seccomp      Feature = "seccomp"        // system calls
	firstOfWalls         = NoNewPrivs
)

// Features lists all of them.
func Features() []Feature {
	return []Feature{Memory, Limits, OOMFirst, NoNewPrivs, Landlock, LandlockNet, LandlockIPC, Undumpable, Seccomp}
}

// essential are the features without which an engine is not isolated. The
// others are second walls: seccomp closes the network where Landlock cannot.
func essential() []Feature { return []Feature{Memory, Limits, NoNewPrivs, Landlock, Seccomp} }

// State is a feature, and whether it is in force.
type State struct {
	Feature Feature `json:"feature"`
	// Active is true when it is in force.
	Active bool `json:"active"`
	// Detail says why it is not, or which version of it is.
	Detail string `json:"detail,omitempty"`
}

// String gives name and detail, as people read it.
func (s State) String() string {
	if s.Detail == "" {
		return string(s.Feature)
	}
	return string(s.Feature) + " (" + s.Detail + ")"
}

// Missing gives the states that are not in force.
func Missing(states []State) []State {
	return slices.DeleteFunc(slices.Clone(states), func(s State) bool { return s.Active })
}

// Lacks names what keeps a process from counting as isolated; empty if nothing.
func Lacks(states []State) string {
	var names []string
	for _, f := range essential() {
		i := slices.IndexFunc(states, func(s State) bool { return s.Feature == f })
		switch {
		case i < 0:
			names = append(names, string(f))
		case !states[i].Active:
			names = append(names, states[i].String())
		}
	}
	return strings.Join(names, ", ")
}

// without reports all features from one on as not in force, for one reason.
func without(from Feature, why string) []State {
	var states []State
	all := Features()
	for _, f := range all[slices.Index(all, from):] {
		states = append(states, State{Feature: f, Detail: why})
	}
	return states
}
