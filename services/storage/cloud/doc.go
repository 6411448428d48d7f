// Package cloud keeps blobs in an object store: S3 and what speaks like it,
// Azure, Google Cloud Storage (build tag gcs) or a folder, by gocloud.dev/blob.
//
// # Layout
//
//	<prefix>inProgress/<key>
//	<prefix>finished/<key>
//
// An object below 5 MiB is the blob as it is; its digest stands in its metadata,
// as sha256. A larger one goes out in parts before its digest can be known, and
// metadata is fixed by then: it ends with the 64 bytes of package footer. Which of
// the two it is, its size says. In a folder every file has a footer, as metadata
// would be a second file, and a '+' at the end of its name, which no key has and
// which sorts before all that a key may have: so temporary files are told apart.
//
// # Promises
//
// Put returns when the object store has acknowledged the whole object; how durable
// that is, the store says. (A folder's files are synced, renamed and their folder
// synced, as those of package disk.) Nothing can be seen before. A reader that
// fails, a caller that goes away and a blob that is not what was announced leave
// nothing, parts included; what a killed process leaves, [Store.Run] aborts after
// a day. Once the last call that makes a blob visible has begun, a caller that
// goes away no longer stops it, so that it either happens or fails. If the store
// breaks off in that very call, only the store knows: a repeat is safe.
//
// A blob up to 1 MiB is read and compared with its digest before its first byte is
// given out, also for a range. A larger one is compared while it streams, and its
// last bytes are given out only if it was right; of a range of a larger one, that
// digest and size are there. A blob that is replaced while it is read is never
// mixed with its successor. Connections that break are opened again where they
// broke.
//
// Any number of processes may use one bucket; nothing is kept outside of it.
//
// # Limits
//
// A blob in parts is sent one part after the other, from 5 MiB of memory. How much
// all together may take is bounded; who waits too long for it is refused.
// Azure cannot begin a list at a key: pages there cost more the further they are.
package cloud
