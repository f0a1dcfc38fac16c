package spf

import (
	"net/netip"
	"strconv"
	"strings"
)

// resultOf looks an address up in the ranges of a Map, one after the other.
func resultOf(m *Map, a netip.Addr) Result {
	a = a.Unmap().WithZone("")
	for r := range m.Ranges() {
		if r.First.BitLen() == a.BitLen() && !a.Less(r.First) && !r.Last.Less(a) {
			return r.Result
		}
	}
	return None
}

// canonical prints a record from its parsed form: lower case names, single
// spaces, no default qualifier, networks without host bits. It means the same.
func canonical(r *Record) string {
	words := []string{"v=spf1"}
	for i := range r.terms {
		words = append(words, canonicalTerm(&r.terms[i]))
	}
	return strings.Join(words, " ")
}

func canonicalTerm(t *Term) string {
	switch {
	case t.Kind == KindUnknown:
		return t.name + "=" + t.spec.text
	case t.Kind.Modifier():
		return t.Kind.String() + "=" + t.spec.text
	}
	s := map[Result]string{Fail: "-", SoftFail: "~", Neutral: "?"}[t.Qualifier] + t.Kind.String()
	if t.spec != nil {
		s += ":" + t.spec.text
	}
	switch t.Kind {
	case KindIP4, KindIP6:
		s += ":" + t.Network.String()
	case KindA, KindMX:
		if t.Bits4 != 32 {
			s += "/" + strconv.Itoa(t.Bits4)
		}
		if t.Bits6 != 128 {
			s += "//" + strconv.Itoa(t.Bits6)
		}
	}
	return s
}

// specText is a term's domain-spec as published, "" if it has none.
func specText(t *Term) string {
	if t.spec == nil {
		return ""
	}
	return t.spec.text
}
