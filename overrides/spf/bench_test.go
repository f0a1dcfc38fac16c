package spf

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// googleLike is a record with three includes of some dozen networks each.
func googleLike() *fakeDNS {
	rng := rand.New(rand.NewPCG(1, 1))
	d := zone("example.com TXT v=spf1 include:_spf.example.com ~all")
	d.at("_spf.example.com").txt = []string{"v=spf1 include:n1.example.com include:n2.example.com include:n3.example.com ~all"}
	for i := 1; i <= 3; i++ {
		var b strings.Builder
		b.WriteString("v=spf1")
		for range 14 {
			fmt.Fprintf(&b, " ip4:%d.%d.%d.0/%d", rng.IntN(223)+1, rng.IntN(256), rng.IntN(256), 16+rng.IntN(9))
			fmt.Fprintf(&b, " ip6:2001:%x::/%d", rng.IntN(1<<16), 32+rng.IntN(17))
		}
		d.at(fmt.Sprintf("n%d.example.com", i)).txt = []string{b.String() + " ~all"}
	}
	return d
}

// flat is a chain of includes with n separate addresses in all.
func flat(n int) *fakeDNS {
	d := newFakeDNS()
	var top strings.Builder
	top.WriteString("v=spf1")
	for part := range 10 {
		name := fmt.Sprintf("p%d.example.com", part)
		fmt.Fprintf(&top, " include:%s", name)
		var b strings.Builder
		b.WriteString("v=spf1")
		for i := part; i < n; i += 10 {
			fmt.Fprintf(&b, " ip4:%s", netip.AddrFrom4([4]byte{10, byte(i >> 15), byte(i >> 7), byte(i << 1)}))
		}
		d.at(name).txt = []string{b.String() + " -all"}
	}
	d.at("example.com").txt = []string{top.String() + " -all"}
	return d
}

func BenchmarkCompile(b *testing.B) {
	for _, bb := range []struct {
		name string
		dns  *fakeDNS
	}{
		{"google-like", googleLike()},
		{"terms=1000", flat(1000)},
		{"terms=10000", flat(10000)},
		{"terms=40000", flat(40000)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				m, err := Compile(context.Background(), bb.dns, "example.com", CompileOptions{})
				if err != nil {
					b.Fatal(err)
				}
				n = len(m.ranges)
			}
			b.ReportMetric(float64(n), "ranges")
		})
	}
}

func BenchmarkCheckHost(b *testing.B) {
	d := googleLike()
	q := Query{Addr: netip.MustParseAddr("192.0.2.1"), Domain: "example.com"}
	b.ReportAllocs()
	for b.Loop() {
		CheckHost(context.Background(), d, q)
	}
}

func BenchmarkParse(b *testing.B) {
	text := googleLike().at("n1.example.com").txt[0]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
