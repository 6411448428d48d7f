// Package worker pulls tasks from any imagemaster it finds, makes the
// renditions with an engine, stores them, and reports.
//
// It promises to renew the lease of what it holds, to drop its results when it
// has lost the lease, to report every attempt that it can still report, and,
// when it is stopped, to finish what is in hand or give it back. An attempt of
// a worker that dies is found by its lease.
//
// It has no API of its own beyond the operating endpoints, and it decodes no
// image itself: engines run in child processes (package engine).
package worker
