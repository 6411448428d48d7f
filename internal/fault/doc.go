// Package fault is the one vocabulary of failures that crosses process
// borders: a [Kind] for programs, a sentence for people, and one table that
// turns a kind into an HTTP status and a status back into a kind.
//
// A handler returns an error; internal/serve writes it with [Problem]. A client
// hands a failed response to [FromResponse] and returns what it gets, so that
// an error keeps its kind, its public text and its field over any number of
// hops. What is not public (the wrapped cause) never leaves the process.
package fault
