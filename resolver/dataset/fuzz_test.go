package dataset

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// entry4 is one IPv4 entry as the slow twin keeps it.
type entry4 struct {
	lo, hi uint32
	bits   int
	val    value
}

// find4Slow is the definition of an IPv4 lookup: look at every entry. In a trie
// the longest prefix counts, the first one read of equals. In a set each entry
// counts by the widest block of whole octets around q that it covers, the
// narrowest such block wins, equals add up, and an exclusion among them hides.
func find4Slow(entries []entry4, trie bool, q uint32) []value {
	best, vals := -1, []value(nil)
	for _, e := range entries {
		if q < e.lo || q > e.hi {
			continue
		}
		rank := e.bits
		if !trie {
			rank = 32
			for _, bits := range []int{24, 16, 8} {
				if first := q & mask4(bits); first >= e.lo && first|^mask4(bits) <= e.hi {
					rank = bits
				}
			}
		}
		switch {
		case rank > best:
			best, vals = rank, []value{e.val}
		case rank == best && !trie:
			vals = append(vals, e.val)
		}
	}
	if slices.Contains(vals, excluded) {
		return nil
	}
	slices.Sort(vals)
	return slices.Compact(vals)
}

// feed gives text to a builder as a file would, and returns the lines.
func feed(t *testing.T, kind Kind, text string) *builder {
	t.Helper()
	b, err := newBuilder(kind, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(text, "\x1f\x8b") {
		t.Skip("compressed; the twins read lines")
	}
	b.startFile("fuzz", int64(len(text)))
	b.lines(strings.NewReader(text))
	return b
}

// members lists the single values of a value.
func members(v *values, val value) []value {
	if val <= excluded {
		return nil
	}
	if _, ok := v.single(val); ok {
		return []value{val}
	}
	var out []value
	for _, rec := range v.set(val) {
		out = append(out, first+rec)
	}
	return out
}

// FuzzIP4 builds a table from a file of arbitrary lines, and asks it and
// find4Slow about the ends of every entry and their neighbors.
func FuzzIP4(f *testing.F) {
	for seed := range uint64(3) {
		g := newGenerator(seed)
		f.Add(g.file4(IP4Set, 30), false)
		f.Add(g.file4(IP4Trie, 30), true)
	}
	f.Add("10.0.0.0/8 :2:a\n!10.0.0.0-10.0.255.254\n10.0.0.0-10.0.0.255 b\n0.0.0.0-255.255.255.255 c\n", false)
	f.Add("10.0.0.0-10.0.0.20 :2:\n10.0.0.20-10.0.0.40 :3:\n10.0.0.30-10.0.0.40 :4:\n10.0.0.40-10.0.0.50\n", false)
	f.Add("0/0\n128/1 :3:\n!255.255.255.255\n", true)
	f.Fuzz(func(t *testing.T, text string, trie bool) {
		kind := IP4Set
		if trie {
			kind = IP4Trie
		}
		b := feed(t, kind, text)
		var entries []entry4
		// The twin reads the same lines through the parser, one builder a
		// line, but with the values of the file's builder.
		twin := feed(t, kind, "")
		for line := range strings.SplitSeq(text, "\n") {
			before4, beforeSpans := len(twin.v4.singles), len(twin.v4.spans)
			if len(line) >= maxLine {
				return
			}
			twin.line([]byte(line))
			if len(twin.v4.singles) == before4 && len(twin.v4.spans) == beforeSpans {
				continue
			}
			key := strings.TrimLeft(strings.TrimLeft(strings.TrimRight(line, " \t\r"), " \t"), "! \t")
			r, _, err := parseRange4([]byte(key), !trie)
			if err != nil {
				t.Fatalf("%q made an entry and is none: %v", line, err)
			}
			var val value
			if n := len(twin.v4.vals); n > before4 {
				val = twin.v4.vals[n-1]
			} else {
				val = twin.v4.spans[len(twin.v4.spans)-1].val
			}
			entries = append(entries, entry4{r.lo, r.hi, r.bits, val})
		}
		if len(entries) > 200 {
			return
		}
		table := b.v4.done()
		for _, e := range entries {
			for _, q := range []uint32{e.lo - 1, e.lo, e.lo + 1, e.lo | 255, e.lo/2 + e.hi/2, e.hi &^ 255, e.hi - 1, e.hi, e.hi + 1} {
				got, want := members(&b.in.values, table.find(q)), find4Slow(entries, trie, q)
				if !slices.Equal(got, want) {
					t.Fatalf("find(%s) = %v, slowly %v", text4(q), got, want)
				}
			}
		}
	})
}

// FuzzIP6 is FuzzIP4 for prefixes of IPv6.
func FuzzIP6(f *testing.F) {
	for seed := range uint64(3) {
		f.Add(newGenerator(seed).file6(IP6Trie, 30))
	}
	f.Add("::/0\n8000::/1 :3:\n!ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n1::/64 :4:\n1::8000:0:0:0/65 :5:\n!1::8000:0:0:0/66\n")
	f.Fuzz(func(t *testing.T, text string) {
		b := feed(t, IP6Trie, text)
		type entry struct {
			p   netip.Prefix
			val value
		}
		var entries []entry
		to := func(a addr6) netip.Addr {
			var raw [16]byte
			for i := range 8 {
				raw[i], raw[8+i] = byte(a.hi>>(56-8*i)), byte(a.lo>>(56-8*i))
			}
			return netip.AddrFrom16(raw)
		}
		keep := func(a addr6, bits int, val value) {
			entries = append(entries, entry{netip.PrefixFrom(to(a), bits), val})
		}
		for _, e := range b.v6.hosts {
			keep(e.addr, 128, e.val)
		}
		for i, hi := range b.v6.nets {
			keep(addr6{hi: hi}, 64, b.v6.netVal[i])
		}
		for _, s := range b.v6.wide {
			keep(addr6{hi: s.lo}, int(s.level), s.val)
		}
		for hi, spans := range b.v6.inside {
			for _, s := range spans {
				keep(addr6{hi, s.lo}, int(s.level), s.val)
			}
		}
		if len(entries) > 200 {
			return
		}
		table := b.v6.done()
		for _, e := range entries {
			raw := e.p.Addr().As16()
			var a addr6
			for i := range 8 {
				a.hi, a.lo = a.hi<<8|uint64(raw[i]), a.lo<<8|uint64(raw[8+i])
			}
			m := mask6(e.p.Bits())
			for _, q := range []addr6{a, {a.hi, a.lo + 1}, {a.hi, a.lo - 1}, {a.hi - 1, a.lo}, {a.hi | ^m.hi, a.lo | ^m.lo}, {a.hi | ^m.hi, 0}, {a.hi | ^m.hi, 1 << 63}} {
				best, want := -1, none
				for _, e := range entries {
					if e.p.Contains(to(q)) && e.p.Bits() > best {
						best, want = e.p.Bits(), e.val
					}
				}
				if got := table.find(q); got != want && !(got <= excluded && want <= excluded) {
					t.Fatalf("find(%v) = %d, slowly %d", to(q), got, want)
				}
			}
		}
	})
}

// FuzzNames asks a dnset for its entries, their children and their parents, and
// compares with a walk over maps of text.
func FuzzNames(f *testing.F) {
	for seed := range uint64(3) {
		f.Add(newGenerator(seed).fileNames(30), "www.example.com")
	}
	f.Fuzz(func(t *testing.T, text, extra string) {
		b := feed(t, DNSet, text)
		plain, wild := map[string][]value{}, map[string][]value{}
		names := []string{}
		one := feed(t, DNSet, "")
		for line := range strings.SplitSeq(text, "\n") {
			if len(line) >= maxLine {
				return
			}
			// A builder that forgets its names sees each entry alone.
			one.names = newNameBuilder(one.in)
			one.line([]byte(line))
			if len(one.names.plain) == 0 {
				continue
			}
			name := string(one.names.t.at(0))
			names = append(names, name)
			if v := one.names.plain[0]; v != none {
				plain[name] = append(plain[name], v)
			}
			if v := one.names.wild[0]; v != none {
				wild[name] = append(wild[name], v)
			}
		}
		if len(names) > 200 {
			return
		}
		table := b.names.done()
		if name, err := parseName([]byte(extra)); err == nil && len(name) > 0 {
			lowerName(name)
			for _, n := range names {
				if len(name)+len(n) <= maxName {
					names = append(names, string(name)+n)
				}
			}
			names = append(names, string(name))
		}
		for _, name := range names {
			want := plain[name]
			for n := name; want == nil && len(n) > 0; {
				n = n[int(n[0])+1:]
				want = wild[n]
			}
			want = slices.Clone(want)
			slices.Sort(want)
			if want = slices.Compact(want); len(want) > 0 && want[0] == excluded {
				want = nil
			}
			labels, _ := countLabels([]byte(name))
			val, _ := table.find([]byte(name), labels)
			if got := members(&b.in.values, val); !slices.Equal(got, want) {
				t.Fatalf("find(%s) = %v, slowly %v", nameText([]byte(name)), got, want)
			}
		}
	})
}

// FuzzAddresses holds the address parsers to netip wherever netip has an
// opinion, and to themselves: what is printed reads back.
func FuzzAddresses(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "10/8", "2001:db8::/32", "::ffff:102:304", "1:2:3:4:5:6:7::", "2001:db8:0:1", "0.0.0.0/0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		mixed := strings.Contains(s, ":") && strings.Contains(s, ".") // rbldnsd does not read ::1.2.3.4
		if err == nil && p.Addr().Is4() {
			r, rest, got := parseRange4([]byte(s), true)
			if want := p == p.Masked(); (got == nil && len(rest) == 0) != want || want && fmt.Sprintf("%s/%d", text4(r.lo), r.bits) != p.String() {
				t.Errorf("parseRange4(%q) = %s/%d, %v, netip says %v", s, text4(r.lo), r.bits, got, p)
			}
		} else if err == nil && !mixed {
			a, bits, rest, got := parseCIDR6([]byte(s))
			want := p == p.Masked()
			if (got == nil && len(rest) == 0) != want || want && netip.MustParseAddr(text6(a)) != p.Addr() || want && bits != p.Bits() {
				t.Errorf("parseCIDR6(%q) = %s/%d, %v, netip says %v", s, text6(a), bits, got, p)
			}
		}
		if a, bits, _, err := parseCIDR6([]byte(s)); err == nil {
			printed := fmt.Sprintf("%s/%d", text6(a), bits)
			if again, bits2, rest, err := parseCIDR6([]byte(printed)); err != nil || again != a || bits2 != bits || len(rest) > 0 {
				t.Errorf("parseCIDR6(%q) = %s, which reads back as %s/%d, %v", s, printed, text6(again), bits2, err)
			}
		}
		if name, err := parseName([]byte(s)); err == nil && len(name) > 0 {
			if again, err := parseName([]byte(nameText(name))); err != nil || string(again) != string(name) {
				t.Errorf("parseName(%q) = %q, which prints as %s and reads back as %q, %v", s, name, nameText(name), again, err)
			}
		}
	})
}

// FuzzLookup asks arbitrary bytes of a zone of every kind: nothing but a code
// of the three may come, and records only with NoError.
func FuzzLookup(f *testing.F) {
	g := newGenerator(1)
	z := &Zone{}
	for kind, text := range map[Kind]string{IP4Set: g.file4(IP4Set, 50), IP6Trie: g.file6(IP6Trie, 50), DNSet: g.fileNames(50), Generic: genericFile} {
		b, err := newBuilder(kind, time.Now())
		if err != nil {
			f.Fatal(err)
		}
		b.startFile("", 0)
		b.lines(strings.NewReader(text))
		z.add(b)
	}
	f.Add(wireName("2.0.0.10"), TypeA)
	f.Add(wireName("www"), TypeMX)
	f.Add(wireName(reverse6(addr6{lo: 1})), TypeTXT)
	f.Add([]byte{63, 1}, TypeA)
	f.Fuzz(func(t *testing.T, labels []byte, qtype uint16) {
		var ans Answer
		lookup(z, labels, qtype, &ans)
		if ans.Rcode != NoError && (ans.Len() > 0 || ans.Rcode != NXDomain && ans.Rcode != Refused) {
			t.Errorf("Lookup(%q, %d) = %+v", labels, qtype, ans)
		}
		if (ans.Len() > 0) != (ans.TTL > 0) {
			t.Errorf("Lookup(%q, %d) has %d records and a TTL of %d", labels, qtype, ans.Len(), ans.TTL)
		}
		for _, text := range ans.Texts {
			if len(text) > 255 {
				t.Errorf("Lookup(%q, %d) has a text of %d bytes", labels, qtype, len(text))
			}
		}
	})
}
