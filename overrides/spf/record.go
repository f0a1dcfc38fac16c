package spf

import (
	"net/netip"
	"strconv"
	"strings"
)

// Record is one SPF record. It is immutable.
type Record struct {
	text       string
	terms      []Term // as published, modifiers among them
	directives []Term // without the modifiers
	steps      []step
	redirect   *Term // nil: none
	exp        *Term // nil: none
}

// step is a part of the directives that is evaluated at one go: a run of ip4
// and ip6 terms (to-from >= 1, networks set), or one other term.
type step struct {
	from, to int
	networks bool
}

// String returns the record as it was published.
func (r *Record) String() string { return r.text }

// Terms returns the mechanisms and modifiers in order. The caller must not
// write to the slice.
func (r *Record) Terms() []Term { return r.terms }

// Canonical prints the record from its parsed form: lower case names, single
// spaces, no default qualifier, networks without host bits. It means the same.
func (r *Record) Canonical() string {
	var b strings.Builder
	b.WriteString("v=spf1")
	for i := range r.terms {
		b.WriteByte(' ')
		r.terms[i].canonical(&b)
	}
	return b.String()
}

// Kind says which mechanism or modifier a term is.
type Kind uint8

// Mechanisms of RFC 7208, section 5, then modifiers of section 6.
const (
	KindAll Kind = iota
	KindInclude
	KindA
	KindMX
	KindPTR
	KindIP4
	KindIP6
	KindExists
	KindRedirect
	KindExp
	KindUnknown // a modifier that RFC 7208 does not define
)

// String returns the term's name, "" for an unknown modifier.
func (k Kind) String() string {
	names := [...]string{"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists", "redirect", "exp", ""}
	return names[k]
}

// Modifier reports whether the kind is a modifier.
func (k Kind) Modifier() bool { return k >= KindRedirect }

// Asks reports whether the kind counts against the ten lookups of RFC 7208,
// section 4.6.4.
func (k Kind) Asks() bool {
	switch k {
	case KindInclude, KindA, KindMX, KindPTR, KindExists, KindRedirect:
		return true
	}
	return false
}

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

	name   string       // an unknown modifier's name
	spec   *macroString // domain-spec or macro-string; nil: none, the current domain
	target string       // spec as a lower-case name when it has no macro letter
}

// Domain returns the term's domain-spec as published, "" if it has none.
func (t *Term) Domain() string {
	if t.spec == nil {
		return ""
	}
	return t.spec.text
}

// Live reports whether the term can be evaluated for one address at a time
// only: ptr, and names made with %{i} or %{p}. The macro %{v} is the same for
// a whole family and does not make a term live.
func (t *Term) Live() bool {
	return t.Kind == KindPTR || t.Kind.Asks() && t.spec.uses("ip")
}

func (t *Term) canonical(b *strings.Builder) {
	switch t.Qualifier {
	case Fail:
		b.WriteByte('-')
	case SoftFail:
		b.WriteByte('~')
	case Neutral:
		b.WriteByte('?')
	}
	switch {
	case t.Kind == KindUnknown:
		b.WriteString(t.name + "=" + t.spec.text)
		return
	case t.Kind.Modifier():
		b.WriteString(t.Kind.String() + "=" + t.spec.text)
		return
	}
	b.WriteString(t.Kind.String())
	if t.spec != nil {
		b.WriteString(":" + t.spec.text)
	}
	switch t.Kind {
	case KindIP4, KindIP6:
		b.WriteString(":" + t.Network.String())
	case KindA, KindMX:
		if t.Bits4 != 32 {
			b.WriteString("/" + strconv.Itoa(t.Bits4))
		}
		if t.Bits6 != 128 {
			b.WriteString("//" + strconv.Itoa(t.Bits6))
		}
	}
}
