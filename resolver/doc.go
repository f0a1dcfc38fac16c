// Package resolver answers the questions that a mail server asks DNS
// blocklists: bytes in, bytes out.
//
// A [Resolver] is handed zones, each with where its answers come from, a table
// of allow and deny rules, and a cache. [Resolver.Respond] reads one packet
// and writes its answer; a [Server] carries packets in and out over UDP and
// TCP.
//
// What is answered is decided in one function, decide (decide.go), which is
// pure: from the rules, the cached answers, the state of the lists and the
// clock it returns the answer, or names the facts that it lacks. The first
// call is made by the goroutine that read the packet; a cached or overridden
// question is done then, without an allocation. Otherwise the question waits
// (flight.go): the facts are fetched, equal ones once, and each time one
// arrives decide is called again for those who wait. Stale answers, combined
// zones, background renewal and [Resolver.Explain] are callers of the same
// function; there is no second way to an answer.
//
// Which way it errs: when in doubt, mail flows. A list that fails is never a
// listing, and a full cache or queue never forgets an exemption.
//
// The package does not know configuration files, flags or the process. It
// sends no packet to a list itself: that is what package upstream does.
package resolver
