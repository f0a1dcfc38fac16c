// Package overrides holds the rules by which an administrator overrides
// blocklists: which addresses and domains are allowed (exempt) or denied, in
// which zones, until when, and where each of them came from.
//
// A rule has sources: CIDR ranges and domains typed into the configuration, a
// rule file, a published feed, the addresses of hosts and of MX hosts, and
// every address that the SPF record of a domain authorizes. An Engine loads
// the sources, keeps them fresh and compiles all of them into one immutable
// Table, which it swaps atomically:
//
//	set := engine.Table().Lookup(addr)
//	if hit, ok := set.Allow(zone, now); ok {
//		// exempt: hit names the rule, the source and the line
//	}
//
// A lookup is one short search, with ten or with a million prefixes, and allocates
// nothing. Addresses are unmapped: ::ffff:192.0.2.1 is 192.0.2.1 everywhere.
//
// A source that fails keeps its last good set, also over a restart: a fault
// never silently forgets an exemption. A source that opens more addresses
// than its rule permits is refused whole.
//
// The package does not decide what a match means: that allow beats deny, and
// which codes an exemption cannot remove, is the resolver's business. It
// sends no DNS question by itself but through the Resolver that is handed in,
// and knows nothing of TOML or of the process.
package overrides
