// Package upstream sends DNS questions and says whether those asked can be
// relied on. It is the only sender of DNS questions in the program.
//
// Three layers, each usable without the next:
//
//   - A [Pool] owns sockets and goroutines. An [Exchanger] of the pool asks a
//     group of servers one question, over UDP and if need be TCP, and follows
//     RFC 5452 against forged answers: random IDs and ports, random case of
//     the name, the question compared byte for byte; what does not fit is
//     dropped, counted and waited on. [Exchanger.Relay] passes whole packets.
//   - A [Finder] finds a zone's own name servers from the root servers down,
//     and its [Direct] asks them without a recursive resolver in between.
//   - A [List] stands before either and decides when one DNSBL may be asked
//     and believed: circuit breakers, the tests of RFC 5782, section 5, and a
//     daily bound.
//
// Users' questions have no goroutines of their own: List.Start returns at once,
// and done is called once, from a goroutine of the pool.
//
// The package caches no answers and joins no equal questions; it does not know
// what a code means, but is handed functions that do. Time is that of package
// time, the network is a [Network], so tests fake both.
package upstream
