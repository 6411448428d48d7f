// Package sandbox takes from the calling process what the decoding of a picture
// does not need, for good: files, network, other processes, memory without end.
//
// [Enter] is called once by an engine's process, after everything that it loads
// has been loaded and before the first picture. On Linux it lays, where the
// kernel has them, one wall behind the other:
//
//   - no_new_privs: no program that is run later gains rights.
//   - Landlock: of all files, only those in one folder may be made and written;
//     none may be opened for reading, listed, renamed, linked, removed or run. An
//     engine that draws text may read the folders of fonts. TCP needs ABI 4, signals to and abstract sockets of others ABI 6.
//   - seccomp: the system calls of a decoder are allowed by a list, anything else
//     fails. What only an intruder does (run a program, start a process, open a
//     socket, trace, mount, signal others) ends the process at once.
//   - Limits: private memory (RLIMIT_DATA), size of a file, open files, no core.
//   - No other process of the user may read its memory (PR_SET_DUMPABLE), and the
//     kernel ends it first when memory runs out (oom_score_adj 1000).
//
// What is not to be had is in what Enter returns, never passed over; [Missing]
// names it. On other systems Enter does nothing and says so.
//
// Files reach a process in the sandbox as open descriptors, results leave it in
// its folder. It does not hide the clock, the file system's names (stat), or what
// the process itself holds in memory.
package sandbox
