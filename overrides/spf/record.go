package spf

import "net/netip"

// Record is one SPF record. It is immutable.
type Record struct {
	text     string
	terms    []Term   // as published, modifiers among them
	steps    [][]Term // the mechanisms: a run of ip4 and ip6 at one go, or one other
	redirect *Term    // nil: none
	exp      *Term    // nil: none
}

// Kind says which mechanism or modifier a term is.
type Kind uint8

// Mechanisms of RFC 7208, section 5, then modifiers of section 6.
const (
	KindAll Kind = iota
	KindIP4
	KindIP6
	KindInclude
	KindA
	KindMX
	KindPTR
	KindExists
	KindRedirect
	KindExp
	KindUnknown // a modifier that RFC 7208 does not define
)

// String returns the term's name, "" for an unknown modifier.
func (k Kind) String() string {
	names := [...]string{"all", "ip4", "ip6", "include", "a", "mx", "ptr", "exists", "redirect", "exp", ""}
	return names[k]
}

// kindOf is the inverse of String, whatever the case.
func kindOf(name string) (k Kind) {
	for name = lowerASCII(name); k < KindUnknown && k.String() != name; k++ {
	}
	return k
}

// Modifier reports whether the kind is a modifier.
func (k Kind) Modifier() bool { return k >= KindRedirect }

// Asks reports whether the kind counts against the ten lookups of RFC 7208,
// section 4.6.4.
func (k Kind) Asks() bool { return KindInclude <= k && k <= KindRedirect }

// Term is one mechanism with its qualifier, or one modifier.
type Term struct {
	// Text is the term as published.
	Text string
	Kind Kind
	// Qualifier is the result of a match: Pass, Fail, SoftFail or Neutral;
	// None for a modifier.
	Qualifier Result
	// Network is what ip4 and ip6 compare with, without host bits; invalid
	// for every other kind.
	Network netip.Prefix
	// Bits4 and Bits6 are the prefix lengths of a and mx.
	Bits4, Bits6 int

	name     string       // an unknown modifier's name
	spec     *macroString // domain-spec or macro-string; nil: none, the current domain
	target   string       // spec as a lower-case name when it has no macro letter
	hostBits bool         // Network was published with some
}

// Live reports whether the term can be evaluated for one address at a time
// only: ptr, and names made with %{i} or %{p}. The macro %{v} is the same for
// a whole family and does not make a term live.
func (t *Term) Live() bool {
	return t.Kind == KindPTR || t.Kind.Asks() && t.spec.uses("ip")
}
