// Package frontend is everything that a user touches: upload, status, download
// and the web page.
//
// It promises that what it refuses is refused with a sentence that says what
// was wrong and what is allowed, before any of it is stored where that can be
// told; that it never holds a whole image; and that an ID it gives out stands
// for an image that is durable. It is stateless: run as many as you like.
//
// It knows the imagemaster's contract and nothing of what lies behind.
package frontend
