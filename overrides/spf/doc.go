// Package spf reads, evaluates and compiles SPF records. It follows RFC 7208.
//
// Three things are done with a record, each on its own:
//
//   - Parse reads the text and finds every syntax error in it.
//   - CheckHost is check_host() of RFC 7208, section 4, for one address: all
//     limits, macros and errors as that document has them.
//   - Compile evaluates a domain for all addresses at once and returns a Map:
//     ranges that cover IPv4 and IPv6 from end to end, with the result that
//     CheckHost gives for every address in them.
//
// Some terms cannot be known before the address is: ptr, and names made with
// the macros %{i} and %{p}. Ranges whose result hangs on such a term are Live
// in the Map, and CheckHost answers for one address in them.
//
// The sender is postmaster@DOMAIN and the HELO name is DOMAIN unless the
// caller says otherwise; a DNS blocklist question names neither of them, and
// RFC 7208, sections 2.3 and 2.4, evaluate the HELO identity that way.
//
// The package asks DNS through a Resolver that is handed in. It keeps no
// state, starts no goroutine, and decides nothing about refresh, about how
// wide a record may be, or about what a result is good for.
package spf
