package rdns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errServfail = errors.New("SERVFAIL")
	addr4       = netip.MustParseAddr("192.0.2.1")
	addr6       = netip.MustParseAddr("2001:db8::1")
)

const (
	name4 = "1.2.0.192.in-addr.arpa."
	name6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
)

// fakeDNS answers from a map; what is not there does not exist, for a minute.
// A nil entry hangs until the question is given up.
type fakeDNS struct {
	answers map[string]any // "name type" to Answer, error or nil
	mu      sync.Mutex
	asked   []string
}

func (f *fakeDNS) Lookup(ctx context.Context, name string, qtype uint16) (Answer, error) {
	key := fmt.Sprintf("%s %d", name, qtype)
	f.mu.Lock()
	f.asked = append(f.asked, key)
	f.mu.Unlock()
	ans, ok := f.answers[key]
	switch a := ans.(type) {
	case Answer:
		return a, nil
	case error:
		return Answer{}, a
	}
	if ok {
		<-ctx.Done()
		return Answer{}, ctx.Err()
	}
	return Answer{TTL: 60}, nil
}

func ptr(ttl uint32, names ...string) Answer { return Answer{Names: names, TTL: ttl} }

func addrs(ttl uint32, s ...string) Answer {
	a := Answer{TTL: ttl}
	for _, s := range s {
		a.Addrs = append(a.Addrs, netip.MustParseAddr(s))
	}
	return a
}

func many(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("m%d.example.", i))
	}
	return names
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name  string
		addr  netip.Addr
		dns   map[string]any
		ttl   uint32
		code  string
		asked int
	}{
		{"no name", addr4, nil, 60, "127.0.0.2", 1},
		{"no name, IPv6", addr6, nil, 60, "127.0.0.2", 1},
		{"leads back", addr4, map[string]any{name4 + " 12": ptr(300, "mx.example."), "mx.example. 1": addrs(200, "192.0.2.7", "192.0.2.1")},
			200, "0.0.0.0", 2},
		{"leads back, PTR shorter", addr4, map[string]any{name4 + " 12": ptr(30, "MX.Example"), "mx.example. 1": addrs(200, "192.0.2.1")},
			30, "0.0.0.0", 2},
		{"leads back, IPv6", addr6, map[string]any{name6 + " 12": ptr(300, "mx.example."), "mx.example. 28": addrs(200, "2001:db8::1")},
			200, "0.0.0.0", 2},
		{"mapped address is IPv4", netip.MustParseAddr("::ffff:192.0.2.1"), map[string]any{name4 + " 12": ptr(300, "mx.example."), "mx.example. 1": addrs(200, "192.0.2.1")},
			200, "0.0.0.0", 2},
		{"answer in mapped form", addr4, map[string]any{name4 + " 12": ptr(300, "mx.example."), "mx.example. 1": addrs(200, "::ffff:192.0.2.1")},
			200, "0.0.0.0", 2},
		{"leads elsewhere", addr4, map[string]any{name4 + " 12": ptr(300, "mx.example."), "mx.example. 1": addrs(200, "192.0.2.2")},
			200, "127.0.0.3", 2},
		{"name without address", addr4, map[string]any{name4 + " 12": ptr(300, "mx.example.")},
			60, "127.0.0.3", 2},
		{"only the other family leads back", addr6, map[string]any{name6 + " 12": ptr(300, "mx.example."), "mx.example. 1": addrs(200, "192.0.2.1")},
			60, "127.0.0.3", 2},
		{"root as name", addr4, map[string]any{name4 + " 12": ptr(300, ".")},
			300, "127.0.0.3", 1},
		{"the last of ten leads back", addr4, map[string]any{name4 + " 12": ptr(300, many(10)...), "m9.example. 1": addrs(50, "192.0.2.1")},
			50, "0.0.0.0", 0},
		{"none of ten", addr4, map[string]any{name4 + " 12": ptr(300, many(10)...), "m4.example. 1": addrs(5, "192.0.2.2")},
			5, "127.0.0.3", 11},
		{"eleven are not judged", addr4, map[string]any{name4 + " 12": ptr(300, many(11)...)},
			300, "0.0.0.0", 1},
		{"one name eleven times", addr4, map[string]any{name4 + " 12": ptr(300, slices.Repeat([]string{"a.example.", "A.EXAMPLE."}, 6)...)},
			60, "127.0.0.3", 2},
		{"a good one beside one that fails", addr4, map[string]any{name4 + " 12": ptr(300, "bad.example.", "mx.example."),
			"bad.example. 1": errServfail, "mx.example. 1": addrs(200, "192.0.2.1")}, 200, "0.0.0.0", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dns := &fakeDNS{answers: tt.dns}
			v, ttl, err := Check(context.Background(), tt.addr, dns)
			if err != nil {
				t.Fatal(err)
			}
			if ttl != tt.ttl || v.Code.String() != tt.code {
				t.Errorf("Check = %+v, TTL %d, want %s, TTL %d", v, ttl, tt.code, tt.ttl)
			}
			if tt.asked > 0 && len(dns.asked) != tt.asked {
				t.Errorf("asked %q, want %d questions", dns.asked, tt.asked)
			}
			if listed := v.Code != 0; (v.Text() != "") != listed {
				t.Errorf("Text() = %q, listed: %t", v.Text(), listed)
			}
		})
	}
}

// TestCheck_failure holds that trouble is never a listing.
func TestCheck_failure(t *testing.T) {
	tests := []struct {
		name string
		dns  map[string]any
		want error
	}{
		{"PTR fails", map[string]any{name4 + " 12": errServfail}, errServfail},
		{"PTR hangs", map[string]any{name4 + " 12": nil}, context.DeadlineExceeded},
		{"the name fails", map[string]any{name4 + " 12": ptr(300, "mx.example."), "mx.example. 1": errServfail}, errServfail},
		{"the name hangs", map[string]any{name4 + " 12": ptr(300, "mx.example."), "mx.example. 1": nil}, context.DeadlineExceeded},
		{"one of two fails, the other leads elsewhere", map[string]any{name4 + " 12": ptr(300, "a.example.", "b.example."),
			"a.example. 1": addrs(200, "192.0.2.2"), "b.example. 1": errServfail}, errServfail},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
				v, ttl, err := Check(ctx, addr4, &fakeDNS{answers: tt.dns})
				if !errors.Is(err, tt.want) || v.Code != 0 || ttl != 0 {
					t.Errorf("Check = %+v, %d, %v, want %v", v, ttl, err, tt.want)
				}
			})
		})
	}
}

// TestCheck_early: a name that leads back ends the wait for one that hangs.
func TestCheck_early(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		v, _, err := Check(t.Context(), addr4, &fakeDNS{answers: map[string]any{
			name4 + " 12": ptr(300, "slow.example.", "mx.example."), "slow.example. 1": nil, "mx.example. 1": addrs(200, "192.0.2.1")}})
		if err != nil || v.Code != 0 || time.Since(start) != 0 {
			t.Errorf("Check = %+v, %v after %v", v, err, time.Since(start))
		}
	})
}

func TestCheck_noAddress(t *testing.T) {
	if v, _, err := Check(context.Background(), netip.Addr{}, &fakeDNS{}); err == nil {
		t.Errorf("Check of no address = %+v", v)
	}
}

func TestVerdict_Text(t *testing.T) {
	tests := []struct {
		v    Verdict
		want string
	}{
		{Verdict{addr4, CodeNameless, nil},
			"192.0.2.1 has no reverse DNS. Have the network's operator add a PTR record that names your mail server, and give that name an A record with this address"},
		{Verdict{addr6, CodeUnconfirmed, []string{"mx.example.", "b.example."}},
			"2001:db8::1 has the reverse DNS name mx.example (and 1 more), which does not lead back to it. Give the name an AAAA record with this address, or have the PTR record name a host that has one"},
		{Verdict{addr4, CodeUnconfirmed, []string{"."}},
			"192.0.2.1 has the reverse DNS name ., which does not lead back to it. Give the name an A record with this address, or have the PTR record name a host that has one"},
		{Verdict{addr4, 0, []string{"mx.example."}}, ""},
		{Verdict{addr4, 0, many(11)}, ""},
	}
	for _, tt := range tests {
		if got := tt.v.Text(); got != tt.want {
			t.Errorf("Text of %+v = %q, want %q", tt.v, got, tt.want)
		}
	}
}

// FuzzVerdict_Text: whatever a foreign PTR record says, the text fits a TXT
// string, is printable, and keeps its advice.
func FuzzVerdict_Text(f *testing.F) {
	f.Add("mx.example.", true, uint8(1))
	f.Add(strings.Repeat("x", 253)+".", false, uint8(9))
	f.Add("\x00\n\xff", false, uint8(0))
	f.Fuzz(func(t *testing.T, name string, six bool, more uint8) {
		v := Verdict{Addr: addr4, Code: CodeUnconfirmed, Names: distinct(append([]string{name}, many(int(more%MaxNames))...))}
		if six {
			v.Addr = netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666")
		}
		text := v.Text()
		if len(text) > maxText || !strings.HasSuffix(text, "that has one") {
			t.Errorf("Text for %q = %q, %d bytes", name, text, len(text))
		}
		for _, c := range []byte(text) {
			if c < ' ' || c >= 0x7f {
				t.Errorf("Text for %q = %q holds byte %#x", name, text, c)
			}
		}
	})
}

func TestName(t *testing.T) {
	for addr, want := range map[string]string{"192.0.2.1": name4, "::ffff:192.0.2.1": name4, "2001:db8::1": name6} {
		if got := Name(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Name(%s) = %s, want %s", addr, got, want)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	dns := instant{ptr(300, "mx.example."), addrs(200, "192.0.2.1")}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Check(context.Background(), addr4, dns); err != nil {
			b.Fatal(err)
		}
	}
}

type instant struct{ ptr, addr Answer }

func (i instant) Lookup(_ context.Context, _ string, qtype uint16) (Answer, error) {
	if qtype == TypePTR {
		return i.ptr, nil
	}
	return i.addr, nil
}
