// Package process runs an engine in child processes, because every original is
// hostile until proven otherwise: a crash, a hang or a balloon costs the image
// in hand one attempt, and nothing else.
//
// The parent holds a [Pool]: a fixed number of children with one picture at a
// time each, and one spare, already started, that takes the place of the next
// that dies. A child that is late is killed. The child's side is [Serve], which
// `imagemill engine` runs.
//
// Parent and child exchange frames over the child's stdin and stdout: four
// bytes of length, big-endian, then JSON. The child greets first. Pictures
// themselves do not pass through the pipes; both sides see the same files. The
// parent believes nothing that a child answers beyond what it checks: size of
// the answer, names, and that the files lie in the job's folder.
//
// A child gets no environment but what the configuration gives it, so that no
// secret of the parent's is within its reach. It ends when its stdin ends, and
// on Linux also by a signal when the parent dies.
//
// It puts no kernel sandbox around the child.
package process
