package spf

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func checkAddr(t *testing.T, d *fakeDNS, addr, domain string) Outcome {
	t.Helper()
	return CheckHost(context.Background(), d, Query{Addr: netip.MustParseAddr(addr), Domain: domain, Explain: true})
}

func TestCheckHost(t *testing.T) {
	tests := []struct {
		name, zone, addr string
		want             Result
		why              string // part of it
	}{
		{"single label", "", "192.0.2.1", None, "two labels"},
		{"no such name", "x.example TXT y", "192.0.2.1", None, "no such name"},
		{"other text", "example.com TXT v=spf10 -all", "192.0.2.1", None, "no SPF record"},
		{"two records", "example.com TXT v=spf1\nexample.com TXT v=spf1 -all", "192.0.2.1", PermError, "more than one"},
		{"two records in an include", "example.com TXT v=spf1 include:a.example\na.example TXT v=spf1\na.example TXT v=spf1", "192.0.2.1", PermError, "more than one"},
		{"redirect to nothing", "example.com TXT v=spf1 redirect=a.example", "192.0.2.1", PermError, "no such name"},
		{"redirect beside all", "example.com TXT v=spf1 redirect=a.example ?all", "192.0.2.1", Neutral, ""},
		{"redirect after a match", "example.com TXT v=spf1 redirect=a.example ip4:192.0.2.1", "192.0.2.1", Pass, ""},
		{"fault behind the match", "example.com TXT v=spf1 +all moo", "192.0.2.1", PermError, `"moo"`},
		{"fault in an include that is not reached", "example.com TXT v=spf1 +all include:a.example\na.example TXT v=spf1 moo", "192.0.2.1", Pass, ""},
		{"eleven MX, the first matches", "example.com TXT v=spf1 mx -all\nm.example A 192.0.2.1\n" +
			strings.Repeat("example.com MX m.example\n", 11), "192.0.2.1", PermError, "10 MX"},
		{"ten MX", "example.com TXT v=spf1 mx -all\nm.example A 192.0.2.1\n" +
			strings.Repeat("example.com MX m.example\n", 10), "192.0.2.1", Pass, ""},
		{"null MX", "example.com TXT v=spf1 mx mx mx -all\nexample.com MX .", "192.0.2.1", Fail, ""},
		{"two voids", "example.com TXT v=spf1 a:a.example a:b.example -all", "192.0.2.1", Fail, ""},
		{"three voids", "example.com TXT v=spf1 a:a.example a:b.example a:c.example +all", "192.0.2.1", PermError, "found nothing"},
		{"the same void three times", "example.com TXT v=spf1 a:a.example a:a.example a:a.example +all", "192.0.2.1", PermError, "found nothing"},
		{"one term is one void", "example.com TXT v=spf1 mx ip6:2001:db8::/32 -all\n" +
			"example.com MX a.example\nexample.com MX b.example\nexample.com MX c.example\na.example A 192.0.2.1\nb.example A 192.0.2.2\nc.example A 192.0.2.3", "2001:db8::1", Pass, ""},
		{"the third void is of a ptr", "example.com TXT v=spf1 a:a.example a:b.example ptr +all", "192.0.2.1", PermError, "found nothing"},
		{"names of ptr are one void", "example.com TXT v=spf1 ptr ip4:192.0.2.0/24 -all\n" +
			"1.2.0.192.in-addr.arpa PTR a.example\n1.2.0.192.in-addr.arpa PTR b.example\n1.2.0.192.in-addr.arpa PTR c.example", "192.0.2.1", Pass, ""},
		{"terms inside an include are voids each", "example.com TXT v=spf1 include:x.example a:c.example +all\nx.example TXT v=spf1 a:a.example a:b.example -all", "192.0.2.1", PermError, "found nothing"},
		{"void in the family asked", "example.com TXT v=spf1 a:a.example a:a.example a:a.example -all\na.example A 192.0.2.1", "2001:db8::1", PermError, "found nothing"},
		{"not void in the other", "example.com TXT v=spf1 a:a.example a:a.example a:a.example -all\na.example A 192.0.2.1", "192.0.2.2", Fail, ""},
		{"exists asks A for IPv6", "example.com TXT v=spf1 exists:a.example -all\na.example A 127.0.0.2", "2001:db8::1", Pass, ""},
		{"exists ignores AAAA", "example.com TXT v=spf1 exists:a.example -all\na.example AAAA 2001:db8::1", "2001:db8::1", Fail, ""},
		{"a without the family, /0", "example.com TXT v=spf1 a//0 -all\nexample.com A 192.0.2.1", "2001:db8::1", Fail, ""},
		{"eleven lookups", "example.com TXT v=spf1" + strings.Repeat(" a", 11) + " -all\nexample.com A 192.0.2.1", "192.0.2.2", PermError, "more than 10 terms"},
		{"match before the eleventh", "example.com TXT v=spf1 ip4:192.0.2.2" + strings.Repeat(" a", 11) + " -all\nexample.com A 192.0.2.1", "192.0.2.2", Pass, ""},
		{"include counts its lookups", "example.com TXT v=spf1 include:a.example include:a.example -all\na.example TXT v=spf1 a a a a ?all\na.example A 192.0.2.1", "192.0.2.2", Fail, ""},
		{"include counts one too many", "example.com TXT v=spf1 a include:a.example include:a.example -all\na.example TXT v=spf1 a a a a ?all\na.example A 192.0.2.1\nexample.com A 192.0.2.1", "192.0.2.2", PermError, "more than 10 terms"},
		{"redirect loop", "example.com TXT v=spf1 redirect=example.com", "192.0.2.2", PermError, "more than 10 terms"},
		{"timeout before the match", "example.com TXT v=spf1 a:a.example ip4:192.0.2.2 -all\na.example FAIL", "192.0.2.2", TempError, "timeout"},
		{"timeout behind the match", "example.com TXT v=spf1 ip4:192.0.2.2 a:a.example -all\na.example FAIL", "192.0.2.2", Pass, ""},
		{"timeout of the record", "example.com FAIL", "192.0.2.2", TempError, "timeout"},
		{"timeout of one MX host", "example.com TXT v=spf1 mx -all\nexample.com MX a.example\nexample.com MX b.example\na.example FAIL\nb.example A 192.0.2.2", "192.0.2.2", TempError, "timeout"},
		{"ptr ignores a timeout", "example.com TXT v=spf1 ptr -all\n2.2.0.192.in-addr.arpa FAIL", "192.0.2.2", Fail, ""},
		{"ptr below the domain", "example.com TXT v=spf1 ptr -all\n2.2.0.192.in-addr.arpa PTR A.Example.COM.\na.example.com A 192.0.2.2", "192.0.2.2", Pass, ""},
		{"ptr beside the domain", "example.com TXT v=spf1 ptr -all\n2.2.0.192.in-addr.arpa PTR a.notexample.com\na.notexample.com A 192.0.2.2", "192.0.2.2", Fail, ""},
		{"the eleventh PTR name", "example.com TXT v=spf1 ptr -all\nb.example A 192.0.2.9\n" + strings.Repeat("2.2.0.192.in-addr.arpa PTR b.example\n", 10) +
			"2.2.0.192.in-addr.arpa PTR a.example.com\na.example.com A 192.0.2.2", "192.0.2.2", Fail, ""},
		{"mapped address", "example.com TXT v=spf1 ip4:192.0.2.2 -all", "::ffff:192.0.2.2", Pass, ""},
		{"mapped network", "example.com TXT v=spf1 ip6:::ffff:192.0.2.2 -all", "::ffff:192.0.2.2", Fail, ""},
		{"alias", "example.com CNAME a.example\na.example TXT v=spf1 ip4:192.0.2.2", "192.0.2.2", Pass, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			domain := "example.com"
			if tt.zone == "" {
				domain = "localhost"
			}
			got := checkAddr(t, zone(tt.zone), tt.addr, domain)
			if got.Result != tt.want {
				t.Fatalf("CheckHost = %v (%v, %v), want %v", got.Result, got.Path, got.Why, tt.want)
			}
			if tt.why == "" && got.Why != nil || tt.why != "" && (got.Why == nil || !strings.Contains(got.Why.Error(), tt.why)) {
				t.Errorf("why = %v, want %q in it", got.Why, tt.why)
			}
		})
	}
}

func TestCheckHost_path(t *testing.T) {
	d := zone(`
		example.com TXT v=spf1 ip4:192.0.2.1 include:a.example redirect=b.example
		a.example TXT v=spf1 ?mx include:c.example -all
		a.example MX m.example
		m.example A 192.0.2.9
		m.example TTL 30s
		c.example TXT v=spf1 ip4:198.51.100.0/24 -all
		b.example TXT v=spf1 -all exp=why.example
		why.example TXT %{i} may not send for %{d}`)
	got := checkAddr(t, d, "198.51.100.7", "example.com")
	want := []Step{{"example.com", "include:a.example"}, {"a.example", "include:c.example"}, {"c.example", "ip4:198.51.100.0/24"}}
	if got.Result != Pass || !slices.Equal(got.Path, want) || got.Mechanism() != "ip4:198.51.100.0/24" {
		t.Errorf("got %+v, want the path %v", got, want)
	}
	if got.Lookups != 3 || got.Voids != 0 || got.TTL != 30*time.Second {
		t.Errorf("lookups, voids, TTL = %d, %d, %v, want 3, 0, 30s", got.Lookups, got.Voids, got.TTL)
	}
	got = checkAddr(t, d, "192.0.2.2", "example.com")
	want = []Step{{"example.com", "redirect=b.example"}, {"b.example", "-all"}}
	if got.Result != Fail || !slices.Equal(got.Path, want) || got.Explanation != "192.0.2.2 may not send for b.example" {
		t.Errorf("got %+v, want the path %v", got, want)
	}
	if got = checkAddr(t, zone("example.com TXT v=spf1"), "192.0.2.2", "example.com"); got.Mechanism() != "default" {
		t.Errorf("Mechanism = %q, want default", got.Mechanism())
	}
}

func TestCheckHost_identity(t *testing.T) {
	d := zone(`
		example.com TXT v=spf1 exists:%{l}.%{o}.%{h}.x.test -all
		jo.example.com.mx.example.x.test A 127.0.0.2
		postmaster.example.com.example.com.x.test A 127.0.0.2
		postmaster.example.net.example.com.x.test A 127.0.0.2
		example.org TXT v=spf1 include:%{l}.example.org +all
		xn--bcher-kva.example TXT v=spf1 a -all
		xn--bcher-kva.example A 192.0.2.1`)
	addr := netip.MustParseAddr("192.0.2.1")
	for _, tt := range []struct {
		q    Query
		want Result
	}{
		{Query{Domain: "example.com"}, Pass},
		{Query{Domain: "example.com."}, Pass},
		{Query{Sender: "jo@example.com", HELO: "mx.example"}, Pass},
		{Query{Sender: "jo@example.com"}, Fail},
		{Query{Sender: "example.com"}, Pass},
		{Query{Sender: "@example.com"}, Pass},
		{Query{HELO: "example.com"}, Pass},
		{Query{Domain: "example.com", Sender: "example.net"}, Pass},
		// RFC 8616, section 4: a local part that is not ASCII matches nothing.
		{Query{Sender: "jö@example.com"}, Fail},
		{Query{Sender: "jö@example.org"}, Pass},
		{Query{Sender: "jö@bücher.example"}, Pass},
		{Query{Domain: "bücher.example"}, Pass},
		{Query{Domain: "BÜCHER.example"}, Pass},
	} {
		tt.q.Addr = addr
		if got := CheckHost(context.Background(), d, tt.q); got.Result != tt.want {
			t.Errorf("CheckHost(%+v) = %v (%v), want %v", tt.q, got.Result, got.Why, tt.want)
		}
	}
	if got := CheckHost(context.Background(), d, Query{Domain: "example.com"}); got.Result != None {
		t.Errorf("CheckHost without an address = %v, want none", got.Result)
	}
}

// meteredDNS answers so many questions.
type meteredDNS struct {
	*fakeDNS
	left int
}

func (d *meteredDNS) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	if d.left--; d.left < 0 {
		return Answer{}, ErrBudget
	}
	return d.fakeDNS.Lookup(ctx, name, t)
}

// A budget that runs out is a temperror even under ptr, which ignores other
// DNS errors, and is shared by evaluations.
func TestCheckHost_budget(t *testing.T) {
	d := zone(`
		example.com TXT v=spf1 ptr -all
		1.2.0.192.in-addr.arpa PTR a.example
		a.example A 192.0.2.9`)
	q := Query{Addr: netip.MustParseAddr("192.0.2.1"), Domain: "example.com"}
	for budget, want := range map[int]Result{0: TempError, 1: TempError, 2: TempError, 3: Fail} {
		got := CheckHost(context.Background(), &meteredDNS{d, budget}, q)
		if got.Result != want || want == TempError && !errors.Is(got.Why, ErrBudget) {
			t.Errorf("budget %d: %v (%v), want %v", budget, got.Result, got.Why, want)
		}
	}
	shared := &meteredDNS{d, 5}
	first := CheckHost(context.Background(), shared, q)
	second := CheckHost(context.Background(), shared, q)
	if first.Result != Fail || second.Result != TempError {
		t.Errorf("shared budget: %v, %v, want fail, temperror", first.Result, second.Result)
	}
}

// stallingDNS cancels the caller's context during the nth question.
type stallingDNS struct {
	*fakeDNS
	cancel context.CancelFunc
	left   int
}

func (d *stallingDNS) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	if d.left--; d.left < 0 {
		d.cancel()
	}
	return d.fakeDNS.Lookup(ctx, name, t)
}

func TestCheckHost_deadline(t *testing.T) {
	for n := range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		d := &stallingDNS{zone("example.com TXT v=spf1 ptr -all\n1.2.0.192.in-addr.arpa PTR a.example"), cancel, n}
		got := CheckHost(ctx, d, Query{Addr: netip.MustParseAddr("192.0.2.1"), Domain: "example.com"})
		if got.Result != TempError || !errors.Is(got.Why, context.Canceled) {
			t.Errorf("cancelled at question %d: %v (%v), want temperror", n, got.Result, got.Why)
		}
	}
}

// A domain longer than a name can be is malformed. It is not shortened, as the
// expansion of a macro would be.
func TestCheckHost_longDomain(t *testing.T) {
	parent := strings.Repeat("a.", 100) + "example.com"
	long := strings.Repeat("b.", 30) + parent
	d := newFakeDNS()
	d.at(parent).txt = []string{"v=spf1 +all"}
	d.at(queryName(long)).txt = []string{"v=spf1 +all"}
	if got := checkAddr(t, d, "192.0.2.1", long); got.Result != None {
		t.Errorf("CheckHost of a name of %d bytes = %v, want none", len(long), got.Result)
	}
	d.at("example.com").txt = []string{"v=spf1 include:" + strings.Repeat("%{d1}.", 70) + parent + " -all"}
	if got := checkAddr(t, d, "192.0.2.1", "example.com"); got.Result != PermError || !strings.Contains(got.Why.Error(), `"com.`) {
		t.Errorf("include of a long name = %v (%v), want permerror for a shortened name", got.Result, got.Why)
	}
}
