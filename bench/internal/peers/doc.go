// Package peers starts the servers that the benchmark compares, each with the
// configuration of a careful administrator: a forwarding cache for the zone of
// one list, on the loopback interface, with one thread, and room for all that is
// asked. The configurations are files in conf.
//
// A server that is not installed is left out. One that does not answer within
// thirty seconds is an error.
package peers
