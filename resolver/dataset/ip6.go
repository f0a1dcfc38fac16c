package dataset

import (
	"cmp"
	"slices"
)

// keys64 is a sorted set of 64-bit keys, kept by their upper half: lists of
// /64s have a million keys in a few thousand /32s, which so cost four bytes.
type keys64 struct {
	head  []uint32 // the distinct upper halves
	index []uint32 // head[i]'s lower halves are low[index[i]:index[i+1]]
	low   []uint32
}

// newKeys64 takes sorted, distinct keys.
func newKeys64(n int, key func(int) uint64) keys64 {
	heads := 0
	for i := range n {
		if i == 0 || key(i)>>32 != key(i-1)>>32 {
			heads++
		}
	}
	k := keys64{make([]uint32, 0, heads), make([]uint32, 0, heads+1), make([]uint32, n)}
	for i := range n {
		if i == 0 || key(i)>>32 != key(i-1)>>32 {
			k.head = append(k.head, uint32(key(i)>>32))
			k.index = append(k.index, uint32(i))
		}
		k.low[i] = uint32(key(i))
	}
	k.index = append(k.index, uint32(n))
	return k
}

func (k *keys64) size() int { return 4 * (cap(k.head) + cap(k.index) + cap(k.low)) }

// floor returns the position of the greatest key that is at most q, or -1, and
// whether it is q.
func (k *keys64) floor(q uint64) (pos int, exact bool) {
	h := above(k.head, uint32(q>>32))
	if h == 0 {
		return -1, false
	}
	if k.head[h-1] != uint32(q>>32) { // all of the head before is less than q
		return int(k.index[h]) - 1, false
	}
	begin := int(k.index[h-1])
	i := begin + above(k.low[begin:k.index[h]], uint32(q)) - 1
	return i, i >= begin && k.low[i] == uint32(q)
}

// above returns how many of the sorted keys are at most q.
func above(keys []uint32, q uint32) int {
	lo, hi := 0, len(keys)
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); keys[m] <= q {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// table6 answers for IPv6 addresses, the longest prefixes first: /128, /65 to
// /127, /64, and what is wider. An exclusion ends the search. It is immutable.
type table6 struct {
	hosts   []addr6
	hostVal column
	inside  map[uint64][]step // prefixes of 65 to 127 bits, by the /64 they are in
	nets    keys64            // /64s
	netVal  column
	wide    keys64 // where ranges of whole /64s begin
	wideVal column
}

func (t *table6) find(q addr6) value {
	if len(t.hosts) > 0 {
		if i, ok := slices.BinarySearchFunc(t.hosts, q, compare6); ok {
			return t.hostVal.at(i)
		}
	}
	if steps, ok := t.inside[q.hi]; ok {
		i, exact := slices.BinarySearchFunc(steps, q.lo, func(s step, lo uint64) int { return cmp.Compare(s.from, lo) })
		if !exact {
			i--
		}
		if i >= 0 && steps[i].val != none {
			return steps[i].val
		}
	}
	if i, ok := t.nets.floor(q.hi); ok {
		return t.netVal.at(i)
	}
	if i, _ := t.wide.floor(q.hi); i >= 0 {
		return t.wideVal.at(i)
	}
	return none
}

func (t *table6) size() int {
	n := 16*cap(t.hosts) + t.hostVal.size() + t.nets.size() + t.netVal.size() + t.wide.size() + t.wideVal.size()
	for _, steps := range t.inside {
		n += 64 + 16*cap(steps)
	}
	return n
}

func compare6(a, b addr6) int {
	return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo))
}

// entry6 is a /128 or /64 while it is collected.
type entry6 struct {
	addr addr6
	val  value
}

// builder6 collects the entries of ip6trie and ip6tset. Of entries for the
// same prefix the first one stands.
type builder6 struct {
	in     *interner
	hosts  []entry6
	nets   []uint64 // the upper half
	netVal []value
	wide   []span            // keys are upper halves
	inside map[uint64][]span // keys are lower halves
}

func (b *builder6) add(a addr6, bits int, val value) {
	switch m := mask6(bits); {
	case bits == 128:
		b.hosts = append(b.hosts, entry6{a, val})
	case bits > 64:
		if b.inside == nil {
			b.inside = map[uint64][]span{}
		}
		b.inside[a.hi] = append(b.inside[a.hi], span{a.lo, a.lo | ^m.lo, val, uint8(bits)})
	case bits == 64:
		b.nets, b.netVal = append(b.nets, a.hi), append(b.netVal, val)
	default:
		b.wide = append(b.wide, span{a.hi, a.hi | ^m.hi, val, uint8(bits)})
	}
}

func (b *builder6) done() *table6 {
	t := &table6{}
	slices.SortStableFunc(b.hosts, func(x, y entry6) int { return compare6(x.addr, y.addr) })
	b.hosts = slices.CompactFunc(b.hosts, func(x, y entry6) bool { return x.addr == y.addr })
	t.hosts = make([]addr6, len(b.hosts))
	vals := make([]value, len(b.hosts))
	for i, e := range b.hosts {
		t.hosts[i], vals[i] = e.addr, e.val
	}
	t.hostVal = newColumn(vals)
	b.hosts = nil

	b.packNets(t)

	steps := flatten(dropRepeats(b.wide), b.in)
	vals = vals[:0]
	for _, s := range steps {
		vals = append(vals, s.val)
	}
	t.wide = newKeys64(len(steps), func(i int) uint64 { return steps[i].from })
	t.wideVal = newColumn(vals)

	if len(b.inside) > 0 {
		t.inside = make(map[uint64][]step, len(b.inside))
	}
	for net, spans := range b.inside {
		t.inside[net] = flatten(dropRepeats(spans), b.in)
	}
	return t
}

// packNets sorts the /64s; unless one value serves all, by an order that keeps
// their values beside them.
func (b *builder6) packNets(t *table6) {
	if len(b.nets) > 0 && slices.Min(b.netVal) == slices.Max(b.netVal) {
		slices.Sort(b.nets)
		nets := slices.Compact(b.nets)
		t.nets = newKeys64(len(nets), func(i int) uint64 { return nets[i] })
		t.netVal = column{same: b.netVal[0]}
		b.nets, b.netVal = nil, nil
		return
	}
	order := make([]uint32, len(b.nets))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(x, y uint32) int {
		return cmp.Or(cmp.Compare(b.nets[x], b.nets[y]), cmp.Compare(x, y))
	})
	order = slices.CompactFunc(order, func(x, y uint32) bool { return b.nets[x] == b.nets[y] })
	t.nets = newKeys64(len(order), func(i int) uint64 { return b.nets[order[i]] })
	vals := make([]value, len(order))
	for i, o := range order {
		vals[i] = b.netVal[o]
	}
	t.netVal = newColumn(vals)
	b.nets, b.netVal = nil, nil
}
