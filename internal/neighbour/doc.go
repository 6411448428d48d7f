// Package neighbour looks at the services that a service works with for what
// makes a suite go wrong slowly: a version that does not fit, and a clock that is
// off. It says which instance, by how much, and what to do, in the log, as
// notices for /readyz, and as a metric.
//
// It only speaks: nothing is refused for what it finds, since a rolling upgrade
// mixes versions, and no promise rests on two clocks' agreement.
package neighbour
