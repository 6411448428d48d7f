// Package imagemaster takes images in and hands work out. It gives an image its
// ID, stores the original, records the task, gives tasks to workers, takes their
// results, and serves finished images from storage.
//
// It promises that an accepted image is durable, blob before task, so that no
// task ever points at nothing; that a result is taken from the attempt that
// holds the lease and from no other; and that what crashes leave behind
// (expired leases, blobs without a task, results of lost attempts) is cleaned
// up by its sweeper, which also removes images that are due. It keeps nothing
// itself: any number may run, and any may be killed at any moment.
//
// Routes for the frontend: POST /newImage, GET /isReady, GET /get,
// DELETE /images/{id}. Routes for workers: GET /getWork, POST /workProgress, /workFinished, /workFailed and
// /workReleased; and POST /workFinished/all for several results, each with its
// own outcome.
package imagemaster
