package spf

import (
	"context"
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

	query  Query
	v4, v6 []Range // each covers its family; neighbours differ
}

// Domain returns the domain that was compiled.
func (m *Map) Domain() string { return m.query.Domain }

// Lookup returns the result for an address, Live if CheckHost has to say it.
// An IPv4-mapped address is the IPv4 address. It does not allocate. For the
// zero Addr it returns None.
func (m *Map) Lookup(a netip.Addr) Result {
	a = a.Unmap().WithZone("")
	ranges := m.v6
	switch {
	case !a.IsValid():
		return None
	case a.Is4():
		ranges = m.v4
	}
	// The first range that does not end before a.
	low, high := 0, len(ranges)-1
	for low < high {
		mid := int(uint(low+high) / 2)
		if ranges[mid].Last.Less(a) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return ranges[low].Result
}

// Ranges yields the ranges of IPv4, then those of IPv6. Each family is covered
// once from end to end, and neighbours have different results. The addresses
// ::ffff:0:0/96 are in an IPv6 range by position only: Lookup never goes there.
func (m *Map) Ranges() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		for _, ranges := range [][]Range{m.v4, m.v6} {
			for _, r := range ranges {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// Len returns the number of ranges.
func (m *Map) Len() int { return len(m.v4) + len(m.v6) }

// Has reports whether some address has that result.
func (m *Map) Has(r Result) bool {
	same := func(x Range) bool { return x.Result == r }
	return slices.ContainsFunc(m.v4, same) || slices.ContainsFunc(m.v6, same)
}

// Check evaluates one address anew, with the identity that was compiled; for
// addresses that are Live. The caller bounds it: LiveTimeout and
// LiveQuestions are for all live terms of one address together.
func (m *Map) Check(ctx context.Context, r Resolver, a netip.Addr, o Options) Outcome {
	q := m.query
	q.Addr = a
	return CheckHost(ctx, r, q, o)
}

// KeepErrors returns the Map with the results of old where m has TempError: DNS
// failing does not change what is known. Everything else is as in m. It
// returns m itself when there is nothing to keep.
func (m *Map) KeepErrors(old *Map) *Map {
	if old == nil || !m.Has(TempError) {
		return m
	}
	merged := *m
	merged.v4 = keepErrors(m.v4, old.v4)
	merged.v6 = keepErrors(m.v6, old.v6)
	for _, t := range old.Live {
		if !slices.Contains(m.Live, t) {
			merged.Live = append(slices.Clip(merged.Live), t)
		}
	}
	merged.count()
	return &merged
}

// keepErrors walks two lists that cover the same family.
func keepErrors(now, old []Range) []Range {
	var out []Range
	put := func(r Range) {
		if n := len(out); n > 0 && out[n-1].Result == r.Result {
			out[n-1].Last = r.Last
			return
		}
		out = append(out, r)
	}
	i := 0
	for _, r := range now {
		if r.Result != TempError {
			put(r)
			continue
		}
		for old[i].Last.Less(r.First) {
			i++
		}
		for j := i; j < len(old) && !r.Last.Less(old[j].First); j++ {
			part := Range{r.First, r.Last, old[j].Result}
			if part.First.Less(old[j].First) {
				part.First = old[j].First
			}
			if old[j].Last.Less(part.Last) {
				part.Last = old[j].Last
			}
			put(part)
		}
	}
	return out
}

// count fills in the numbers of addresses.
func (m *Map) count() {
	m.Pass4, m.Live4 = 0, 0
	for _, r := range m.v4 {
		n := r.Size().Uint64()
		switch r.Result {
		case Pass:
			m.Pass4 += n
		case Live:
			m.Live4 += n
		}
	}
	m.Pass6, m.Live6 = new(big.Int), new(big.Int)
	for _, r := range m.v6 {
		switch r.Result {
		case Pass:
			m.Pass6.Add(m.Pass6, r.Size())
		case Live:
			m.Live6.Add(m.Live6, r.Size())
		}
	}
}

// Exceeds reports whether more addresses pass than one prefix of that length
// holds, in either family: what a guard on width asks.
func (m *Map) Exceeds(bits4, bits6 int) (four, six bool) {
	return m.Pass4 > 1<<(32-bits4), m.Pass6.Cmp(new(big.Int).Lsh(big.NewInt(1), uint(128-bits6))) > 0
}
