// Package process runs an engine in child processes, because every original is
// hostile until proven otherwise: a crash, a hang or a balloon costs the image
// in hand one attempt, and nothing else.
//
// The parent holds a [Pool]: up to a number of children with one picture at a time
// each. They are started as calls wait for them; once one had to be replaced there
// is also a spare, already started, that takes the place of the next that dies or
// has served enough. A pool that has nothing to do keeps a single child. A child that is late, or takes too much memory
// or disk, is killed. The child's side is [Serve], which `imagemill engine` runs, or a program
// of its own, which [Ask] questions.
//
// Parent and child exchange frames: four bytes of length, big-endian, then JSON.
// The parent says first what the child is left with; the child goes into the
// sandbox (engine/sandbox) and greets. On Unix the line is a socket, and the
// original comes over it as an open descriptor; on Windows it is two pipes, and
// originals come by path. Results go into a folder that each child has for
// itself, and from there, once they are checked, into the job's folder. The parent
// believes nothing that a child answers beyond what it checks: size of the answer,
// names, and that results are plain files that the child can no longer change.
//
// A child gets no environment but what the configuration gives it, so that no
// secret of the parent's is within its reach. It ends when its line ends, and on
// Linux also by a signal when the parent dies.
package process
