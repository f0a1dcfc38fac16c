package spf

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go4.org/netipx"
)

// world makes random zones whose names, networks and limits meet often.
type world struct {
	rng *rand.Rand
	dns *fakeDNS
	// plain leaves out what a second implementation is known to see
	// differently: terms that find nothing, hosts of one family, live terms.
	plain bool
}

const worldDomains = 8 // d0.test is the one to check

func newWorld(seed uint64, plain bool) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 7208)), dns: newFakeDNS(), plain: plain}
	for i := range 5 {
		w.host(fmt.Sprintf("h%d.test", i))
	}
	w.dns.at("fails.test").fails = true
	w.dns.at("empty.test")
	for i := range worldDomains {
		n := w.dns.at(fmt.Sprintf("d%d.test", i))
		n.ttl = time.Duration(60+w.rng.IntN(3600)) * time.Second
		n.txt = append(n.txt, "unrelated", w.record(i))
		if !plain && i > 0 && w.oneIn(25) {
			n.txt = append(n.txt, "v=spf1 -all") // two records
		}
	}
	for range 3 {
		w.dns.at(arpa(w.addr(w.oneIn(2)))).ptr = []string{"h0.test", "h1.test"}
	}
	return w
}

func (w *world) oneIn(n int) bool { return w.rng.IntN(n) == 0 }

func (w *world) pick(s ...string) string { return s[w.rng.IntN(len(s))] }

// addr returns an address of a few small neighbourhoods, the families' ends
// among them.
func (w *world) addr(six bool) netip.Addr {
	if six {
		b := netip.MustParseAddr(w.pick("::", "2001:db8::", "2001:db8:1::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00")).As16()
		b[15] |= byte(w.rng.IntN(256))
		b[7] |= byte(w.rng.IntN(2))
		return netip.AddrFrom16(b)
	}
	b := netip.MustParseAddr(w.pick("0.0.0.0", "10.0.0.0", "10.0.1.0", "192.0.2.0", "255.255.255.0")).As4()
	b[3] = byte(w.rng.IntN(256))
	return netip.AddrFrom4(b)
}

func (w *world) host(name string) {
	n := w.dns.at(name)
	n.ttl = time.Duration(60+w.rng.IntN(3600)) * time.Second
	for _, six := range []bool{false, true} {
		for range 1 + w.rng.IntN(3) {
			if w.plain || !w.oneIn(4) {
				n.addrs = append(n.addrs, w.addr(six))
			}
		}
	}
	for i := range w.rng.IntN(4) {
		n.mx = append(n.mx, fmt.Sprintf("h%d.test", (i+w.rng.IntN(3))%5))
	}
	if w.plain {
		n.mx = append(n.mx, "h0.test.")
	} else if w.oneIn(8) {
		n.mx = append(n.mx, ".", "void.test", "fails.test")
	} else if w.oneIn(20) {
		n.mx = strings.Fields(strings.Repeat("h1.test ", 11))
	}
}

func (w *world) record(level int) string {
	terms := []string{"v=spf1"}
	for range w.rng.IntN(9) {
		terms = append(terms, w.pick("", "", "", "+", "-", "~", "?")+w.mechanism(level))
	}
	switch w.rng.IntN(4) {
	case 0:
		terms = append(terms, "redirect="+w.domain(level))
	case 1:
		terms = append(terms, "exp=exp.test")
	default:
		terms = append(terms, w.pick("-all", "~all", "?all", "+all", "-all"))
	}
	return strings.Join(terms, w.pick(" ", "  "))
}

// domain names a domain further down, now and then one further up: a loop.
func (w *world) domain(level int) string {
	to := level + 1 + w.rng.IntN(2)
	if to >= worldDomains || w.oneIn(30) {
		to = w.rng.IntN(worldDomains)
	}
	return w.pick(fmt.Sprintf("d%d.test", to), fmt.Sprintf("D%d.%%{d1}", to), fmt.Sprintf("d%d.%%{o1}", to), fmt.Sprintf("d%d.test", to))
}

func (w *world) mechanism(level int) string {
	name := w.pick("h0.test", "h1.test", "h2.test", "h3.%{d1}", "h4.test")
	if !w.plain && w.oneIn(7) {
		name = w.pick("void.test", "empty.test", "fails.test", "a..test", "%{v}.test", "%{h}.x.test")
	}
	live := 60
	if w.plain {
		live = 1 << 30
	}
	switch n := w.rng.IntN(22); {
	case w.oneIn(live):
		return w.pick("ptr", "ptr:test", "exists:%{i}.live.test", "include:%{ir}.live.test", "a:%{i}.live.test", "exists:%{p}.live.test")
	case n < 8:
		return w.network(n < 4)
	case n < 13:
		return "include:" + w.domain(level)
	case n < 16:
		return "a:" + name + w.pick("", "", "/30", "/24//64", "//126", "/0", "//0")
	case n < 18:
		return "mx:" + name + w.pick("", "", "/25", "/31//120")
	case n < 19:
		return "exists:" + name
	case n < 20 && w.plain:
		return "a:h0.test"
	case n < 20:
		return w.pick("a", "mx")
	}
	return w.network(w.oneIn(2))
}

func (w *world) network(six bool) string {
	a := w.addr(six)
	bits := a.BitLen() - w.rng.IntN(10)
	if w.oneIn(8) {
		bits = w.rng.IntN(a.BitLen() + 1)
	}
	if six {
		return fmt.Sprintf("ip6:%s/%d", a, bits)
	}
	return fmt.Sprintf("ip4:%s/%d", a, bits)
}

// probes returns edges of the networks and hosts in the zone and of the ranges
// of m, the addresses beside them, and some anywhere: n in all, chosen at
// random.
func (w *world) probes(m *Map, n int) []netip.Addr {
	var edges []netip.Addr
	for _, n := range w.dns.names {
		for _, a := range n.addrs {
			for _, bits := range []int{0, 24, 25, 30, 31, 64, 120, 126, a.BitLen()} {
				if p, err := a.Prefix(bits); err == nil {
					edges = append(edges, p.Addr(), netipx.PrefixLastIP(p))
				}
			}
		}
		for _, text := range n.txt {
			r, err := Parse(text)
			if err != nil {
				continue
			}
			for _, t := range r.terms {
				if t.Network.IsValid() {
					edges = append(edges, t.Network.Addr(), netipx.PrefixLastIP(t.Network))
				}
			}
		}
	}
	for r := range m.Ranges() {
		edges = append(edges, r.First, r.Last)
	}
	var all []netip.Addr
	for _, e := range edges {
		all = append(all, e.Prev(), e, e.Next())
	}
	for i := range 40 {
		all = append(all, w.addr(i%2 == 0))
	}
	all = append(all, netip.AddrFrom4([4]byte{byte(w.rng.IntN(256)), byte(w.rng.IntN(256)), 1, 1}))
	all = slices.DeleteFunc(all, func(a netip.Addr) bool { return !a.IsValid() })
	w.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(n, len(all))]
}

// describe prints the zone for a failure.
func (w *world) describe() string {
	var b strings.Builder
	for name, n := range w.dns.names {
		fmt.Fprintf(&b, "%s %q %v mx=%v ptr=%v fails=%v\n", name, n.txt, n.addrs, n.mx, n.ptr, n.fails)
	}
	return b.String()
}
