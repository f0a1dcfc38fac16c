package spf

import (
	"iter"
	"math/big"
	"net/netip"
	"slices"
	"time"
)

// Range is a range of addresses of one family that have the same result.
type Range struct {
	First  netip.Addr `json:"first"`
	Last   netip.Addr `json:"last"`
	Result Result     `json:"result"`
}

// Size returns the number of addresses in the range. The big.Int is the
// caller's own.
func (r Range) Size() *big.Int {
	n := new(big.Int).SetBytes(r.Last.AsSlice())
	n.Sub(n, new(big.Int).SetBytes(r.First.AsSlice()))
	return n.Add(n, big.NewInt(1))
}

// Problem is a reason for None, TempError or PermError somewhere in a Map.
type Problem struct {
	Result Result `json:"result"`
	Why    string `json:"why"`
}

// Map is the result of a domain for every address. It is immutable: nobody may
// write to its fields, and any number of goroutines may use it.
type Map struct {
	// TTL is the least TTL of the answers that took part: how long the Map is
	// what DNS says. 0 if there was no answer.
	TTL time.Duration
	// Lookups is the most that one evaluation counted of the ten allowed.
	Lookups int
	// Questions is how many DNS questions the compilation asked.
	Questions int
	// Live lists the terms that make ranges Live.
	Live []Step
	// Problems lists the reasons of None, TempError and PermError results.
	Problems []Problem
	// Tree is the domain's record with its includes and redirect.
	Tree *Node
	// Pass4, Live4 and Pass6, Live6 count the addresses of a family with that
	// result. The big.Ints are not written to.
	Pass4, Live4 uint64
	Pass6, Live6 *big.Int

	domain string
	ranges []Range // those of IPv4 first
}

// Domain returns the domain that was compiled.
func (m *Map) Domain() string { return m.domain }

// Ranges yields the ranges of IPv4, then those of IPv6. Each family is covered
// once from end to end, and neighbours have different results. The addresses
// ::ffff:0:0/96 are in an IPv6 range by position only: they are IPv4.
func (m *Map) Ranges() iter.Seq[Range] { return slices.Values(m.ranges) }

// Has reports whether some address has that result.
func (m *Map) Has(r Result) bool {
	return slices.ContainsFunc(m.ranges, func(x Range) bool { return x.Result == r })
}

// count fills in the numbers of addresses.
func (m *Map) count() {
	m.Pass6, m.Live6 = new(big.Int), new(big.Int)
	for _, r := range m.ranges {
		n4, n6 := &m.Pass4, m.Pass6
		switch r.Result {
		case Pass:
		case Live:
			n4, n6 = &m.Live4, m.Live6
		default:
			continue
		}
		if r.First.Is4() {
			*n4 += r.Size().Uint64()
		} else {
			n6.Add(n6, r.Size())
		}
	}
}

// Exceeds reports whether more addresses pass than one prefix of that length
// holds, in either family: what a guard on width asks.
func (m *Map) Exceeds(bits4, bits6 int) (four, six bool) {
	return m.Pass4 > 1<<(32-bits4), m.Pass6.Cmp(new(big.Int).Lsh(big.NewInt(1), uint(128-bits6))) > 0
}
