package dataset

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator writes data files that hold every element of the syntax, in a
// corner of the address space so small that entries meet, and names to ask.
type generator struct {
	r     *rand.Rand
	seen4 []uint32
	seen6 []addr6
	seenN []string
}

func newGenerator(seed uint64) *generator {
	return &generator{r: rand.New(rand.NewPCG(seed, 7))}
}

func (g *generator) pick(s ...string) string { return s[g.r.IntN(len(s))] }

// value is what may follow a key, rightly or wrongly.
func (g *generator) value() string {
	if g.r.IntN(2) == 0 {
		return ""
	}
	return g.pick("", " # comment", "\t; comment", "#near", " :2", ":3:", " :4:A text about $", " only a text for $",
		" :127.0.0.5:costs $$5, see $1/$ $2 $9", " :6 : spaces before", ":127.2:short A", " =no template for $",
		" $= in the text", " :7:$", " ends in a $", " :8: "+strings.Repeat("long $ ", 30), " "+strings.Repeat("x", 300),
		" :2 junk", " :0:", " :300:", " ::", " :x", " :1.2.3:three", " :127.0.0.2:", " umlaut \xc3\xa4 \"quoted\"")
}

// directive is a line that sets something for what follows.
func (g *generator) directive() string {
	return g.pick("", "# a comment", "; another", ":2:default $", ":127.0.0.7", ":8:", ":9 : spaced", ":bad", "$1 http://example.com",
		"$2 second $", "$3 ", "$TTL 600", "$ttl 2h", "$TTL", "$TTL x", "#$TTL 1200", ";$TTL 5m", ":$TTL 7m", "$UNKNOWN x",
		"$MAXRANGE4 /6", "$MAXRANGE4 0", "$TIMESTAMP 2020:01:02", "$TIMESTAMP 20200102-03:04:05 +1500w", "$TIMESTAMP 2020:13:01",
		"$NS 1h ns1.example.com ns2.example.com", "$SOA 2h ns.example.com admin.example.com 42 1h 10m 1w 5m", "$SOA nonsense")
}

func (g *generator) octets(a uint32, n int) string {
	parts := make([]string, n)
	for i := range n {
		parts[i] = fmt.Sprint(a >> (24 - 8*i) & 255)
	}
	return strings.Join(parts, ".")
}

func (g *generator) addr4() uint32 {
	return 10<<24 | uint32(g.r.IntN(3))<<16 | uint32(g.r.IntN(3)*100)<<8 | uint32(g.r.IntN(40)*7)
}

// key4 is an IPv4 entry's address, range or prefix, sometimes a wrong one.
func (g *generator) key4(kind Kind) string {
	a := g.addr4()
	g.seen4 = append(g.seen4, a)
	if kind == IP4TSet {
		return g.pick(g.octets(a, 4), g.octets(a, 4), g.octets(a, 4), g.octets(a, 4), g.octets(a, 4), g.octets(a, 4), "!"+g.octets(a, 4), g.octets(a, 3), g.octets(a, 4)+".1")
	}
	switch g.r.IntN(10) {
	case 0:
		n := 2 + g.r.IntN(2)
		return g.octets(a, n)
	case 1:
		bits := 8 + g.r.IntN(25)
		return fmt.Sprintf("%s/%d", g.octets(a&mask4(bits), 4), bits)
	case 2:
		bits := 8 * (1 + g.r.IntN(3))
		return fmt.Sprintf("%s/%d", g.octets(a&mask4(bits), bits/8), bits)
	case 3:
		b := a + uint32(g.r.IntN(70000))
		g.seen4 = append(g.seen4, b)
		return g.octets(a, 4) + "-" + g.octets(b, 4)
	case 4:
		return fmt.Sprintf("%s-%d", g.octets(a, 4), g.r.IntN(256))
	case 5:
		return fmt.Sprintf("%s-%d", g.octets(a, 3), g.r.IntN(256))
	case 6:
		return g.pick("10.1-10.2", "10-10.0.0", "10.0.0-10.0.200", "10.2-2", "10", "9-11", "10.0.0.", "256.1.1.1", "10.1.1.1/33",
			"10.0.0.1/24", "10/8", "11.0.0.0/7", "0/0", "0.0.0.0/1", "name", "10.1.1.1x", "255.255.255.255", "224/3", "10.1.0.9-10.1.0.3",
			"0.0.0.0-9.255.255.255", "11.0.0.5-255.255.255.255", "10.0.0.0-10.0.0.255", "10.0.0.0-10.0.255.255")
	}
	return g.octets(a, 4)
}

func (g *generator) file4(kind Kind, lines int) string {
	var s strings.Builder
	for range lines {
		switch {
		case g.r.IntN(25) == 0:
			s.WriteString(g.directive())
		case kind != IP4TSet && g.r.IntN(8) == 0:
			s.WriteString(g.pick("!", "! ") + g.key4(kind) + g.value())
		default:
			s.WriteString(g.pick("", "", " ") + g.key4(kind) + g.value())
		}
		s.WriteString(g.pick("\n", "\n", " \n"))
	}
	return s.String() + "10.0.0.77 :77:no end of line"
}

func reverse4(a uint32) string {
	return fmt.Sprintf("%d.%d.%d.%d", a&255, a>>8&255, a>>16&255, a>>24)
}

// names4 asks for what was written and around it, as IPv4, mapped and 6to4.
func (g *generator) names4(n int) []string {
	names := []string{"", "2.0.0.127", reverse4(0), reverse4(1<<32 - 1), reverse4(10<<24 | 77)}
	for len(names) < n {
		a := g.seen4[g.r.IntN(len(g.seen4))]
		switch g.r.IntN(4) {
		case 0:
			a += uint32(g.r.IntN(5)) - 2
		case 1:
			a ^= 1 << g.r.IntN(32)
		}
		switch g.r.IntN(12) {
		case 0:
			names = append(names, reverse6(addr6{lo: 0xffff<<32 | uint64(a)}))
		case 1:
			names = append(names, reverse6(addr6{hi: 0x2002<<48 | uint64(a)<<16, lo: 1}))
		default:
			names = append(names, reverse4(a))
		}
	}
	return names
}

func (g *generator) addr6() addr6 {
	a := addr6{hi: 0x20010db8<<32 | uint64(g.r.IntN(3))<<16 | uint64(g.r.IntN(4))}
	if g.r.IntN(2) == 0 {
		a.lo = uint64(g.r.IntN(3))<<48 | uint64(g.r.IntN(5))
	}
	return a
}

func (g *generator) groups(a addr6, n int) string {
	var parts []string
	for i := range n {
		w := a.hi
		if i >= 4 {
			w = a.lo
		}
		parts = append(parts, fmt.Sprintf("%x", w>>(48-16*(i%4))&0xffff))
	}
	return strings.Join(parts, ":")
}

func (g *generator) key6(kind Kind) string {
	a := g.addr6()
	g.seen6 = append(g.seen6, a)
	if kind == IP6TSet && g.r.IntN(5) > 0 {
		return g.groups(a, 4)
	}
	switch g.r.IntN(9) {
	case 0:
		return g.groups(a, 2+g.r.IntN(5))
	case 1, 2:
		bits := 16 + g.r.IntN(113)
		m := mask6(bits)
		return fmt.Sprintf("%s/%d", g.groups(addr6{a.hi & m.hi, a.lo & m.lo}, 8), bits)
	case 3:
		return g.groups(a, 2) + "::" + g.pick("", "1", "1:2", "/48")
	case 4:
		return g.pick("::1", "::", "::/0", "2001:db8:", "2001", "2001:db8::1::2", "2001:DB8:0:1", "2001:db8:0:1::/64", "2001:db8::1/64",
			"12345::", "::ffff:102:304", "2001:db8:0:1:2:3:4:5:6", "1:2:3:4:5:6:7:8::", "gggg::", "2001:db8::/129", "2000::/3", "8000::/1")
	}
	return text6(a)
}

func (g *generator) file6(kind Kind, lines int) string {
	var s strings.Builder
	for range lines {
		switch {
		case g.r.IntN(25) == 0:
			s.WriteString(g.directive())
		case kind == IP6TSet && g.r.IntN(8) == 0:
			a := g.addr6()
			g.seen6 = append(g.seen6, a)
			s.WriteString("!" + text6(a))
		case g.r.IntN(8) == 0:
			s.WriteString(g.pick("!", "! ") + g.key6(kind) + g.value())
		default:
			s.WriteString(g.key6(kind) + g.value())
		}
		s.WriteByte('\n')
	}
	return s.String()
}

func reverse6(a addr6) string {
	var s strings.Builder
	for i := range 32 {
		n := a.lo >> (4 * i)
		if i >= 16 {
			n = a.hi >> (4 * (i - 16))
		}
		fmt.Fprintf(&s, "%x.", n&15)
	}
	return strings.TrimSuffix(s.String(), ".")
}

func (g *generator) names6(n int) []string {
	names := []string{"", "2.0.0.127", reverse6(addr6{}), reverse6(addr6{lo: 1}), reverse6(addr6{lo: 0xffff01020304}), "1.0", reverse6(addr6{})[2:]}
	for len(names) < n {
		a := g.seen6[g.r.IntN(len(g.seen6))]
		switch g.r.IntN(5) {
		case 0:
			a.lo += uint64(g.r.IntN(5)) - 2
		case 1:
			a.lo ^= 1 << g.r.IntN(64)
		case 2:
			a.hi ^= 1 << g.r.IntN(64)
		}
		names = append(names, reverse6(a))
	}
	return names
}

func (g *generator) domain() string {
	labels := []string{"com", "org", "a", "b", "mail", "x-1", "example", "with_underscore", "1"}
	s := g.pick(labels...)
	for range g.r.IntN(4) {
		s = g.pick(labels...) + "." + s
	}
	g.seenN = append(g.seenN, s)
	return s
}

func (g *generator) fileNames(lines int) string {
	var s strings.Builder
	for range lines {
		key := g.pick("", "", ".", "*.", "!", "!.", "!*.", "! ") + g.domain()
		switch g.r.IntN(30) {
		case 0:
			key = g.directive()
		case 1:
			key = g.pick(".", "*.", "!", strings.Repeat("x", 64)+".com", "UPPER.Example.COM", "trailing.dot.", "double..dot", `esc\.aped.com`, `d\046t.com`, "*", "a.*.com", "dollar$.com")
		case 2, 3:
			key = strings.ToUpper(key)
		}
		s.WriteString(key + strings.TrimLeft(g.pick(" ", "\t")+strings.TrimLeft(g.value(), " "), "") + "\n")
	}
	return s.String()
}

func (g *generator) namesDomain(n int) []string {
	names := []string{"", "2.0.0.127", "upper.example.com", "trailing.dot", "double.dot", "*", "com", "a.x.com", "dollar$.com", "www.dollar$.com"}
	for len(names) < n {
		s := strings.ToLower(g.seenN[g.r.IntN(len(g.seenN))])
		if g.r.IntN(3) == 0 {
			s = g.pick("www.", "a.b.c.", "*.") + s
		}
		names = append(names, s)
	}
	return names
}
