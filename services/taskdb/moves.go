package taskdb

import "slices"

// Moves is the one table of allowed moves between states: for each state, the
// states that a task may go to next. Every backend asks it, by [CanMove].
func Moves(from State) []State {
	switch from {
	case NotStarted:
		return []State{InProgress, Cancelled}
	case InProgress:
		return []State{NotStarted, Finished, Failed, Cancelled}
	case Failed, Cancelled:
		return []State{NotStarted}
	case Finished:
		return nil
	}
	return nil
}

// CanMove reports whether a task may go from one state to the other.
func CanMove(from, to State) bool { return slices.Contains(Moves(from), to) }

// States gives all states, in the order of a task's life.
func States() []State { return []State{NotStarted, InProgress, Finished, Failed, Cancelled} }
