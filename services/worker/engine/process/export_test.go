package process

import "io"

// Out is where a child's frames go, for children that write something else.
func Out(l *Line) io.Writer { return l.out }

// End closes a child's line, for children that live on without one.
func End(l *Line) { l.end() }
