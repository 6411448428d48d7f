// Package disk keeps blobs on a local disk.
//
// # Layout
//
//	<dir>/inProgress/<first 7 characters of the key>/<key>
//	<dir>/finished/<first 7 characters of the key>/<key>
//	<dir>/tmp/
//	<dir>/replication/   of the package of that name
//
// Keys begin with a UUIDv7, whose first 7 characters count steps of about 17
// minutes: folders keep the order of keys, a list reads few of them, and what
// is written at the same time shares a folder, and so one fsync of it. In the
// name of a folder '+' stands for '.', as Windows drops a dot at the end.
//
// A file is the blob's bytes and a footer of 64 bytes: size, SHA-256 and a
// checksum over both and the blob's name. A digest in a file of its own would
// cost a second fsync, and could be lost or outlive its blob.
//
// # Promises
//
// Put writes to tmp, fsyncs, renames, and fsyncs the folder (its parent too, if
// it is new); only then it returns. Only where the name is taken, or the system
// cannot tell, what has it is kept under a second one meanwhile. Folder fsyncs
// are shared: all that renamed into a folder while one was running wait for the
// next. An fsync that fails is a lost write: the blob is taken back and the
// error reported; it is not tried again. On Linux the disk begins to write a
// large blob while the rest of it still arrives, so that its fsync is short. A
// crash leaves the whole blob or none (or, where one was replaced, the old or
// the new), and perhaps a file in tmp, which the next Open removes.
//
// The footer is checked whenever a blob is opened. A blob up to 1 MiB is read
// and compared with its digest before its first byte is given out, also for a
// range. A larger one is compared while it streams, and its last bytes are
// given out only if it was right; of a range of a larger one, only the footer
// is checked, and so it is where the caller computes the digest itself
// (GetUnchecked).
//
// # Limits
//
// One process at a time owns a folder. Windows cannot fsync a folder (NTFS
// journals the rename itself), nor replace or delete a file that is being read.
package disk
