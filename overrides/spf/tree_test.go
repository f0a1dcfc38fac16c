package spf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// show prints a tree as an outline.
func show(n *Node, indent string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s lookups=%d ttl=%v record=%t %s\n", indent, n.Domain, n.Lookups, time.Duration(n.TTL)*time.Second, n.Record != "", n.Why)
	for _, u := range n.Uses {
		fmt.Fprintf(&b, "%s- %s live=%t asked=%t ttl=%v %v %v %s\n", indent, u.Term, u.Live, u.Asked, time.Duration(u.TTL)*time.Second, u.Names, u.Addrs, u.Why)
		if u.Node != nil {
			b.WriteString(show(u.Node, indent+"    "))
		}
	}
	return b.String()
}

func TestMap_Tree(t *testing.T) {
	m := compile(t, zone(`
		example.com TXT v=spf1 mx include:A.example a:fails.test exists:%{i}.x ~all
		example.com MX m.example
		m.example A 192.0.2.9
		m.example AAAA 2001:db8::9
		m.example TTL 30s
		a.example TXT v=spf1 a include:none.example redirect=b.example
		a.example TTL 2m
		a.example A 192.0.2.8
		b.example TXT v=spf1 ptr
		fails.test FAIL`), "example.com")
	want := `example.com lookups=7 ttl=1h0m0s record=true 
- mx live=false asked=true ttl=30s [m.example] [192.0.2.9 2001:db8::9] 
- include:A.example live=false asked=true ttl=0s [] [] 
    a.example lookups=3 ttl=2m0s record=true 
    - a live=false asked=true ttl=2m0s [a.example] [192.0.2.8] 
    - include:none.example live=false asked=true ttl=0s [] [] 
        none.example lookups=0 ttl=5m0s record=false "none.example": no such name
    - redirect=b.example live=false asked=false ttl=0s [] [] 
- a:fails.test live=false asked=false ttl=0s [] [] 
- exists:%{i}.x live=true asked=false ttl=0s [] [] 
`
	if got := show(m.Tree, ""); got != want {
		t.Errorf("tree:\n%s\nwant:\n%s", got, want)
	}
}

// What stands behind a live term is authorized for those who do not match it,
// and so it is shown; what stands behind "all" is not.
func TestMap_Tree_follow(t *testing.T) {
	r := zone(`
		example.com TXT v=spf1 exists:%{i}.x include:a.example redirect=b.example
		a.example TXT v=spf1 mx -all a:never.example
		a.example MX m.example
		m.example A 192.0.2.9
		b.example TXT v=spf1 a +all
		b.example A 192.0.2.8
		never.example A 192.0.2.7`)
	want := `example.com lookups=6 ttl=1h0m0s record=true 
- exists:%{i}.x live=true asked=true ttl=0s [] [] 
- include:a.example live=false asked=true ttl=0s [] [] 
    a.example lookups=2 ttl=1h0m0s record=true 
    - mx live=false asked=true ttl=1h0m0s [m.example] [192.0.2.9] 
    - a:never.example live=false asked=false ttl=0s [] [] 
- redirect=b.example live=false asked=true ttl=0s [] [] 
    b.example lookups=1 ttl=1h0m0s record=true 
    - a live=false asked=true ttl=1h0m0s [b.example] [192.0.2.8] 
`
	plain, err := Compile(t.Context(), r, "example.com", CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Compile(t.Context(), r, "example.com", CompileOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := show(m.Tree, ""); got != want {
		t.Errorf("tree:\n%s\nwant:\n%s", got, want)
	}
	if m.Questions != plain.Questions || m.TTL != plain.TTL {
		t.Errorf("%d questions and TTL %v, want %d and %v as without", m.Questions, m.TTL, plain.Questions, plain.TTL)
	}
}

// A name that cannot be asked for is not, behind a live term neither.
func TestMap_Tree_follow_bad_names(t *testing.T) {
	r := zone("example.com TXT v=spf1 exists:%{i}.x mx:a..example exists:b..example a:c..example include:d..example")
	m, err := Compile(t.Context(), r, "example.com", CompileOptions{Follow: true}) // r panics when asked for one
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range m.Tree.Uses[1:4] {
		if u.Asked || u.Why != "" {
			t.Errorf("%s: asked=%t %s, want that nobody was asked", u.Term, u.Asked, u.Why)
		}
	}
	if u := m.Tree.Uses[4]; u.Node == nil || u.Node.Why == "" {
		t.Errorf("%s does not say what is wrong with its name", u.Term)
	}
}

// A domain that includes itself many times has a bounded tree.
func TestMap_Tree_loop(t *testing.T) {
	m := compile(t, zone("example.com TXT v=spf1"+strings.Repeat(" include:example.com", 9)), "example.com")
	nodes := 0
	m.Tree.walk(func(*Node) { nodes++ })
	if nodes > maxNodes {
		t.Errorf("%d nodes, want %d at most", nodes, maxNodes)
	}
}

// So has one whose record names a host of many addresses again and again.
func TestMap_Tree_crowded(t *testing.T) {
	d := zone("example.com TXT v=spf1 a include:example.com" + strings.Repeat(" a", 5000) + " -all")
	for i := range 1000 {
		d.at("example.com").addrs = append(d.at("example.com").addrs, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	parts := 0
	compile(t, d, "example.com").Tree.walk(func(n *Node) {
		for _, u := range n.Uses {
			parts += 1 + len(u.Addrs)
		}
	})
	if parts > maxParts {
		t.Errorf("%d terms and addresses, want %d at most", parts, maxParts)
	}
}

func TestMap_Warnings(t *testing.T) {
	m := compile(t, zone(`
		example.com TXT v=spf1 ip4:192.0.2.9/24 ip6:::ffff:192.0.2.1 ip6:2001:db8::/32 ip4:10.0.0.0/8 ?include:a.example exists:%{p}.x ptr +all mx a redirect=b.example IP4=192.0.2.1
		a.example TXT v=spf1 +all`), "example.com")
	got := strings.Join(m.Warnings(), "\n")
	for _, want := range []string{
		"16,777,472 IPv4 addresses pass",
		"4294967296 IPv6 networks of /64 pass",
		"wide range: 10.0.0.0 to 10.255.255.255",
		`"ip4:192.0.2.9/24" has host bits and means 192.0.2.0/24`,
		`"ip6:::ffff:192.0.2.1" never matches`,
		`"exists:%{p}.x" should not use`,
		`"ptr" should not be used`,
		`"+all" lets every address pass`,
		`"mx" stands behind "all"`,
		`"a" stands behind "all"`,
		`"redirect=b.example" is ignored`,
		`a.example: "+all" lets`,
		`"IP4=192.0.2.1" is an unknown modifier`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning %q in\n%s", want, got)
		}
	}
	if w := compile(t, zone("example.com TXT v=spf1 ip4:192.0.2.0/24 -all"), "example.com").Warnings(); len(w) > 0 {
		t.Errorf("warnings for a modest record: %q", w)
	}
}

func TestMap_Problems_listed(t *testing.T) {
	m := compile(t, zone(`
		example.com TXT v=spf1 -ip4:192.0.2.0/24 ip4:198.51.100.0/24 a:fails.test -all
		fails.test FAIL`), "example.com")
	want := []Problem{
		{TempError, `asking A "fails.test": fake timeout`},
		{TempError, `asking AAAA "fails.test": fake timeout`},
	}
	if !slices.Equal(m.Problems, want) {
		t.Errorf("Problems = %v, want %v", m.Problems, want)
	}
	if m.TTL != time.Hour {
		t.Errorf("TTL = %v, want that of the record", m.TTL)
	}
}
