package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// difference is one question of the differential test.
type difference struct {
	name    string
	qtype   uint16
	partial bool // an incomplete reversed address
}

// TestDifferential asks rbldnsd directly and through the proxy, which must
// not make a difference: the same rcode, the same records, no longer TTLs.
// Two differences are meant. A partial reversed address is always an empty
// non-terminal for the proxy, while rbldnsd says NXDOMAIN; and an answer
// without records always has an SOA, which rbldnsd leaves to its operator.
func TestDifferential(t *testing.T) {
	t.Parallel()
	sum := loadIpsum(t)
	const name = "bl.example"
	list := startIpsum(t, sum, name)
	proxy := startProxy(t, ProxyOptions{Config: zone(name, `holds = ["ip4", "ip6", "domain"]`, list.Addr)})
	questions := differences(sum, name)

	direct := askAll(t, "udp", list.Addr, questions)
	for _, pass := range []struct{ name, network string }{{"cold", "udp"}, {"warm", "udp"}, {"warm over TCP", "tcp"}} {
		through := askAll(t, pass.network, proxy.Addr, questions)
		bad := 0
		for i, q := range questions {
			err := compare(q, direct[i], through[i])
			if err == nil {
				continue
			}
			if bad++; bad <= 10 {
				t.Errorf("%s: %s %s: %v", pass.name, q.name, dns.TypeToString[q.qtype], err)
			}
		}
		t.Logf("%s: %d questions, %d differences", pass.name, len(questions), bad)
	}
}

// differences draws the questions: listed addresses and their neighbours, A
// and TXT and a type that lists do not have, IPv6, partial names, other names,
// in mixed case.
func differences(sum ipsum, zone string) []difference {
	random := rand.New(rand.NewPCG(5782, 2))
	types := []uint16{dns.TypeA, dns.TypeTXT, dns.TypeA, dns.TypeTXT, dns.TypeAAAA, dns.TypeMX}
	var out []difference
	add := func(subject string) {
		out = append(out, difference{name: mixCase(random, reverse(subject, zone)), qtype: types[random.IntN(len(types))]})
	}
	for range 1200 {
		a := sum.addrs[random.IntN(len(sum.addrs))]
		add(a.String())
		add(a.Next().String())
		if random.IntN(4) == 0 {
			b := a.As4()
			labels := []string{fmt.Sprint(b[2]), fmt.Sprint(b[1]), fmt.Sprint(b[0])}[random.IntN(3):]
			out = append(out, difference{strings.Join(labels, ".") + "." + zone + ".", dns.TypeA, true})
		}
	}
	for _, nibbles := range []string{"a.b", "1.2.3.4.5", "d.b.0.1.0.0.2"} {
		out = append(out, difference{nibbles + "." + zone + ".", dns.TypeA, true})
	}
	for range 300 {
		b := netip.MustParseAddr("2001:db8:bad::").As16()
		b[5] ^= byte(random.IntN(2)) // half of them beside the listed prefix
		b[15] = byte(random.IntN(256))
		add(netip.AddrFrom16(b).String())
	}
	for _, odd := range []string{"127.0.0.1", "127.0.0.2", "::ffff:7f00:1", "::ffff:7f00:2", "0.0.0.0", "255.255.255.255"} {
		for _, qtype := range types[:2] {
			out = append(out, difference{name: reverse(odd, zone), qtype: qtype})
		}
	}
	for _, odd := range []string{"www.example.net", "a.x", "1.2.3.4.500", "256.1.1.1", "01.2.3.4", "x.2.3.4", "-", "_"} {
		out = append(out, difference{name: odd + "." + zone + ".", qtype: dns.TypeA})
	}
	return out
}

func mixCase(random *rand.Rand, name string) string {
	b := []byte(strings.ToLower(name))
	for i, c := range b {
		if c >= 'a' && c <= 'z' && random.IntN(2) == 0 {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// askAll asks all questions, some at a time, and returns the answers in order.
func askAll(t testing.TB, network string, server netip.AddrPort, questions []difference) []*dns.Msg {
	t.Helper()
	out := make([]*dns.Msg, len(questions))
	next := make(chan int)
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for i := range next {
				m := new(dns.Msg).SetQuestion(questions[i].name, questions[i].qtype)
				answer, _, err := exchange(network, server, m)
				if err != nil {
					t.Errorf("asking %v for %s: %v", server, questions[i].name, err)
					continue
				}
				out[i] = answer
			}
		})
	}
	for i := range questions {
		next <- i
	}
	close(next)
	clients.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return out
}

func compare(q difference, direct, through *dns.Msg) error {
	if len(through.Question) != 1 || through.Question[0].Name != q.name {
		return fmt.Errorf("the question came back as %v", through.Question)
	}
	want := direct.Rcode
	if q.partial {
		want = dns.RcodeSuccess
	}
	if through.Rcode != want {
		return fmt.Errorf("rcode %s, directly %s", dns.RcodeToString[through.Rcode], dns.RcodeToString[direct.Rcode])
	}
	if got, want := records(through), records(direct); !slices.Equal(got, want) {
		return fmt.Errorf("records %q, directly %q", got, want)
	}
	if len(through.Answer) == 0 {
		if len(through.Ns) != 1 || through.Ns[0].Header().Rrtype != dns.TypeSOA {
			return fmt.Errorf("nothing found and no SOA: %v", through.Ns)
		}
		return nil
	}
	if got, most := leastTTL(through.Answer), leastTTL(direct.Answer); got > most {
		return fmt.Errorf("TTL %d, directly %d", got, most)
	}
	return nil
}

// records are the answer's records without their TTLs, sorted. Owner names
// are compared with the case of the question, which both servers keep.
func records(m *dns.Msg) []string {
	var out []string
	for _, rr := range m.Answer {
		c := dns.Copy(rr)
		c.Header().Ttl = 0
		out = append(out, c.String())
	}
	slices.Sort(out)
	return out
}

func leastTTL(rrs []dns.RR) uint32 {
	least := rrs[0].Header().Ttl
	for _, rr := range rrs {
		least = min(least, rr.Header().Ttl)
	}
	return least
}
