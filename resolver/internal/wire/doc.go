// Package wire reads and writes DNS messages as octets (RFC 1035, section 4),
// as far as a proxy of blocklists needs them: queries in, one answer out, and
// the answers of lists.
//
//   - A [Query] is what a client sent. Its memory is used again from packet to
//     packet, and a [Reply] is written behind the question as it came, so that
//     a question is read and answered without an allocation.
//   - [ParseResponse] holds an answer against the question that was asked and
//     keeps the records of the asked name and type alone, aliases within the
//     message followed. [ParseDelegation] reads where a zone's servers are.
//   - A [Name] stays in wire form; its text is for people.
//
// What comes from the network is taken for hostile: nothing is read past its
// end, and no name, chain of aliases or delegation is longer than a bound.
//
// The package does not decide anything: neither what a code means, nor whether
// a message came from whom it should, nor what is answered. It imports nothing
// but the standard library. miekg/dns allocates for each message; the tests
// hold the one against the other.
package wire
