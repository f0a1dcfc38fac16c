package rbl

import (
	_ "embed"
	"maps"
	"slices"
	"strings"
)

//go:embed lists.toml
var builtin []byte

// Kind says what being on a list means.
type Kind uint8

const (
	// Block: what is on the list is unwanted.
	Block Kind = iota

	// Allow: what is on the list is vouched for (a DNSWL).
	Allow
)

// String returns "block" or "allow".
func (k Kind) String() string {
	if k == Allow {
		return "allow"
	}
	return "block"
}

// Probe says how a list may be judged.
type Probe uint8

const (
	// ProbeRFC: as RFC 5782, section 5, says: 127.0.0.2 is listed and
	// 127.0.0.1 is not. Random names of TEST-NET are not listed either.
	ProbeRFC Probe = iota

	// ProbeRandom: the test entries tell nothing about this list, random
	// names are not listed.
	ProbeRandom

	// ProbeNone: the list answers everything by design, or nothing.
	ProbeNone
)

// Trouble is a code with which a list says that it did not answer the
// question.
type Trouble struct {
	Name string // short, fit for a label of a metric: "open_resolver"
	Help string // what happened and what to do about it, one sentence or two
}

// Dead is why a list must not be asked any more.
type Dead struct {
	Since  string // "2024-06-05", "2024-06" or "2024"
	Reason string
}

// List is what is known of one list. It is shared: nobody writes to it.
type List struct {
	Zone string // lower case, no trailing dot
	About
	Kind   Kind
	Holds  Holds
	Listed CodeSet

	// Codes names codes of Listed and answers that are no listing; Errors are
	// codes that are trouble.
	Codes  CodeNames
	Errors map[Code]Trouble

	Probe Probe
	Dead  *Dead // nil for a living list
}

// About is what the table says of a list as it is told.
type About struct {
	Name    string   // for people: "Spamhaus ZEN"
	Keyed   []string // zones below which a customer's key is the first label
	Docs    string   // the list's own documentation
	Removal string   // where to ask for removal; "" if there is no such way
	Access  string   // what to do before asking it, such as registering; "" for nothing
	Note    string   // anything else worth knowing before rejecting mail on it
}

// ErrorName says whether c, answered by list l, is trouble instead of an
// answer, under which name to count it, and what to do about it. l may be nil
// for a list that is not in the table. Trouble everywhere are 127.255.255.0/24
// and everything outside 127.0.0.0/8: a parked or hijacked domain.
func ErrorName(l *List, c Code) (name, help string, isError bool) {
	if l != nil {
		if t, ok := l.Errors[c]; ok {
			return t.Name, t.Help, true
		}
	}
	switch {
	case !c.Loopback():
		return "outside_127", "the list answered an address outside 127.0.0.0/8; its domain may have lapsed, or the resolver rewrites answers: remove the zone or change the resolver", true
	case c&^0xff == codeTrouble:
		return "blocked", "the list does not answer this resolver or this key; ask it with an own resolver, register, or set via = \"direct\"", true
	}
	return "", "", false
}

// CodeName returns the list's name for c, "" if it has none.
func (l *List) CodeName(c Code) string {
	if l == nil {
		return ""
	}
	return l.Codes.Name(c)
}

// CodeNames names codes. The zero value names none.
type CodeNames struct {
	exact map[Code]string
	sets  []namedSet
}

type namedSet struct {
	set  CodeSet
	name string
	bits bool
}

// ParseCodeNames reads names by code. A key is any spelling that ParseCodeSet
// reads. An exact code beats a set; of bits, all that are present are named.
func ParseCodeNames(byCode map[string]string) (CodeNames, error) {
	n := CodeNames{exact: map[Code]string{}}
	for _, key := range slices.Sorted(maps.Keys(byCode)) {
		set, err := ParseCodeSet([]string{key})
		if err != nil {
			return CodeNames{}, err
		}
		if t := set.terms[0]; t.octets == nil && t.first == t.last {
			n.exact[t.first] = byCode[key]
			continue
		}
		n.sets = append(n.sets, namedSet{set, byCode[key], strings.Contains(key, "&")})
	}
	return n, nil
}

// Name returns the name of c, "" without one. Several bits are joined with
// "+".
func (n CodeNames) Name(c Code) string {
	if name, ok := n.exact[c]; ok {
		return name
	}
	var found []string
	for _, s := range n.sets {
		if !s.set.Contains(c) {
			continue
		}
		if !s.bits {
			return s.name
		}
		found = append(found, s.name)
	}
	return strings.Join(found, "+")
}

// Table is a set of lists, found by zone. It is immutable.
type Table struct {
	lists []*List
	zones map[string]*List
	keyed map[string]*List
}

// Builtin returns the table of well-known lists that is built in.
func Builtin() *Table {
	t, err := ParseTable(builtin)
	if err != nil {
		panic(err) // a test reads it
	}
	return t
}

// All returns the lists, living ones first, each part ordered by zone. The
// slice is the caller's own.
func (t *Table) All() []*List { return slices.Clone(t.lists) }

// Find returns the list that is asked at upstream, in any case, with or
// without a trailing dot. It knows keyed forms (KEY.zen.dq.spamhaus.net), and
// any name below a dead list, since its operator let all of the domain go.
func (t *Table) Find(upstream string) (*List, bool) {
	name := strings.ToLower(strings.TrimSuffix(upstream, "."))
	if l, ok := t.zones[name]; ok {
		return l, true
	}
	if l, ok := t.keyed[name]; ok {
		return l, true
	}
	_, rest, below := strings.Cut(name, ".")
	if l, ok := t.keyed[rest]; ok {
		return l, true
	}
	for below {
		if l, ok := t.zones[rest]; ok && l.Dead != nil {
			return l, true
		}
		_, rest, below = strings.Cut(rest, ".")
	}
	return nil, false
}

// Key returns the customer's key in upstream: the first label of a keyed form,
// "" for anything else. It must not be shown to anybody.
func (t *Table) Key(upstream string) string {
	key, rest, _ := strings.Cut(strings.ToLower(strings.TrimSuffix(upstream, ".")), ".")
	if _, ok := t.keyed[rest]; ok {
		return key
	}
	return ""
}
