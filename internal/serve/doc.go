// Package serve runs one Echo handler on one listener, the same way for every
// service: it listens, announces the address that it was really given, serves
// with bounds on headers, bodies and time, and stops in order.
//
// The order of a stop is: withdraw the announcement; go on serving for a short
// linger, so that callers see the new set first; tell long polls to answer now
// ([Draining]); refuse new connections and let requests in hand end, within the
// grace time; then close what is left.
//
// It adds to the service's routes: /healthz and /readyz, and, unless the
// service is public, /services, /config, /metrics and, when switched on,
// /debug/pprof. It gives every request an ID, checks the cluster token, turns
// returned errors into RFC 9457 documents and logs each failure once.
//
// A request that is going to wait for long may be parked ([Park]), where it costs
// a third of the memory.
//
// It knows nothing of images or tasks.
package serve
