package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// authority answers as a server of one zone does: referrals for what is
// delegated, with glue, and else with AA.
func authority(zone string, lines ...string) func(m *dns.Msg) *dns.Msg {
	var records []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			panic(err)
		}
		records = append(records, rr)
	}
	return func(m *dns.Msg) *dns.Msg {
		r := new(dns.Msg).SetReply(m)
		r.RecursionDesired = false
		q := m.Question[0]
		name := dns.CanonicalName(q.Name)
		if m.RecursionDesired || !dns.IsSubDomain(zone, name) {
			r.Rcode = dns.RcodeRefused
			return r
		}
		exists := name == zone
		for _, rr := range records {
			owner := dns.CanonicalName(rr.Header().Name)
			if ns, ok := rr.(*dns.NS); ok && owner != zone && dns.IsSubDomain(owner, name) {
				r.Ns = append(r.Ns, ns)
				for _, g := range records {
					if dns.CanonicalName(g.Header().Name) == dns.CanonicalName(ns.Ns) {
						r.Extra = append(r.Extra, g)
					}
				}
			}
			exists = exists || dns.IsSubDomain(name, owner)
			if owner == name && rr.Header().Rrtype == q.Qtype {
				answer := dns.Copy(rr)
				answer.Header().Name = q.Name
				r.Answer = append(r.Answer, answer)
			}
		}
		if len(r.Ns) > 0 {
			r.Answer = nil
			return r
		}
		r.Authoritative = true
		if len(r.Answer) == 0 {
			soa, _ := dns.NewRR(zone + " 300 SOA ns. host. 1 2 3 4 60")
			r.Ns = append(r.Ns, soa)
			if !exists {
				r.Rcode = dns.RcodeNameError
			}
		}
		return r
	}
}

const (
	rootAddr = "198.51.100.1:53"
	orgAddr  = "198.51.100.2:53"
	deadAddr = "198.51.100.3:53"
	listAddr = "198.51.100.4:53"
	subAddr  = "198.51.100.5:53"
	newAddr  = "198.51.100.6:53"
	outAddr  = "203.0.113.9:53"
)

// tree is a root, org, and zen.list.org with two servers, one dead.
type tree struct {
	net                 *fakeNet
	pool                *Pool
	root, org, dead, bl *fakeHost
	sub                 *fakeHost
	resolved            []string // names that the resolver was asked
	resolve             map[string]string
	late                time.Duration // until the resolver answers; "never" it does not
	finder              *Finder
}

func newTree(t *testing.T) *tree {
	t.Helper()
	x := &tree{resolve: make(map[string]string)}
	x.net, x.pool = fakePool(t)
	t.Cleanup(x.pool.Close) // in the bubble, at its end
	x.root = x.net.host(rootAddr, authority(".", "org. 86400 NS ns.org.", "ns.org. 86400 A 198.51.100.2"))
	x.org = x.net.host(orgAddr, authority("org.",
		"zen.list.org. 600 NS a.zen.list.org.", "zen.list.org. 600 NS b.zen.list.org.",
		"a.zen.list.org. 600 A 198.51.100.3", "b.zen.list.org. 600 A 198.51.100.4",
		"a.zen.list.org. 600 AAAA 2001:db8::3"))
	x.dead = x.net.host(deadAddr, nil)
	x.bl = x.net.host(listAddr, authority("zen.list.org.",
		"2.0.0.127.zen.list.org. 300 A 127.0.0.2", "9.2.0.192.zen.list.org. 300 A 127.0.0.4",
		"alias.zen.list.org. 300 CNAME evil.org.",
		"sub.zen.list.org. 300 NS ns.sub.zen.list.org.", "ns.sub.zen.list.org. 300 A 198.51.100.5"))
	x.sub = x.net.host(subAddr, authority("sub.zen.list.org.", "1.sub.zen.list.org. 300 A 127.0.0.7"))
	x.finder = x.pool.Finder(FinderOptions{
		Roots: addrs(rootAddr), Resolver: x, Exchange: ExchangeOptions{CaseRandom: true},
	})
	return x
}

// Exchange makes tree the resolver that is handed in.
func (x *tree) Exchange(ctx context.Context, q Question) Outcome {
	x.net.mu.Lock()
	x.resolved = append(x.resolved, q.Name.String())
	a, ok := x.resolve[q.Name.String()]
	x.net.mu.Unlock()
	var o Outcome
	late := time.NewTimer(x.late)
	if a == "never" {
		late.Stop()
	}
	select {
	case <-late.C:
	case <-ctx.Done():
		return Outcome{Err: ctx.Err()}
	}
	if ok && q.Type == 1 {
		v := netip.MustParseAddr(a).As4()
		o.Response.Records, o.Response.TTL = [][]byte{v[:]}, 300
	}
	return o
}

func (x *tree) direct(t *testing.T, zone string) *Direct {
	return x.finder.Direct(question(t, zone, 1).Name)
}

func TestDirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		d := x.direct(t, "zen.list.org")
		for name, want := range map[string]string{
			"9.2.0.192.zen.list.org": "127.0.0.4",
			"8.2.0.192.zen.list.org": "unlisted",
			"0.192.zen.list.org":     "no data",
			"1.sub.zen.list.org":     "127.0.0.7",
			"alias.zen.list.org":     "no data", // leads out of the zone
			"zen.list.com":           ErrQuestion.Error(),
		} {
			o := d.Exchange(t.Context(), question(t, name, dns.TypeA))
			if got := say(o); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
			if o.Took > 2*time.Second {
				t.Errorf("%s took %v", name, o.Took)
			}
		}
		if n := len(x.root.take()) + len(x.org.take()); n != 3 {
			t.Errorf("root and org were asked %d times, want 3: once for each label", n)
		}
		if len(x.resolved) > 0 {
			t.Errorf("the resolver was asked for %v", x.resolved)
		}
		// The delegation below the zone is known now.
		x.bl.take()
		d.Exchange(t.Context(), question(t, "2.sub.zen.list.org", dns.TypeA))
		if n := len(x.bl.take()); n != 0 {
			t.Errorf("a name below a known delegation went to the zone's servers %d times", n)
		}
	})
}

func TestDirect_skipsTheDeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		d := x.direct(t, "zen.list.org")
		slow := 0
		for range 50 {
			o := d.Exchange(t.Context(), question(t, "9.2.0.192.zen.list.org", dns.TypeA))
			if say(o) != "127.0.0.4" {
				t.Fatal(say(o))
			}
			if o.Took > 100*time.Millisecond {
				slow++
			}
		}
		if slow > 0 {
			t.Errorf("%d of 50 questions waited for the dead server", slow)
		}
	})
}

// Hosts outside the parent's zone are looked up; those below the list are not,
// and what the parent says about hosts that are not its own is not believed.
func TestDirect_hosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		x.net.host(outAddr, authority("zen.list.org.", "9.2.0.192.zen.list.org. 300 A 127.0.0.5"))
		x.org.become(authority("org.",
			"zen.list.org. 600 NS ns.example.net.", "zen.list.org. 600 NS noglue.zen.list.org.",
			"ns.example.net. 600 A 198.51.100.4"))
		x.resolve["ns.example.net"] = "203.0.113.9"
		o := x.direct(t, "zen.list.org").Exchange(t.Context(), question(t, "9.2.0.192.zen.list.org", dns.TypeA))
		if say(o) != "127.0.0.5" {
			t.Errorf("%s, want the answer of the host that was looked up", say(o))
		}
		for _, n := range x.resolved {
			if strings.HasSuffix(n, "zen.list.org") {
				t.Errorf("the resolver was asked for %s", n)
			}
		}
	})
}

// A server that answers from a cache has no authority, one that only forgets to
// say so has.
func TestDirect_authority(t *testing.T) {
	bits := func(authoritative, recursive bool, record string) func(m *dns.Msg) *dns.Msg {
		serve := authority("zen.list.org.", record)
		return func(m *dns.Msg) *dns.Msg {
			r := serve(m)
			r.Authoritative, r.RecursionAvailable = authoritative, recursive
			return r
		}
	}
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		x.dead.become(bits(false, true, "9.2.0.192.zen.list.org. 300 A 127.0.0.66"))
		x.bl.become(bits(false, false, "9.2.0.192.zen.list.org. 300 A 127.0.0.4"))
		d := x.direct(t, "zen.list.org")
		for range 40 {
			o := d.Exchange(t.Context(), question(t, "9.2.0.192.zen.list.org", dns.TypeA))
			if say(o) != "127.0.0.4" {
				t.Fatalf("%s, want the answer of the server that is no resolver", say(o))
			}
		}
	})
}

// A server that has lost the zone is asked last, whichever way it says so and
// however fast.
func TestDirect_lame(t *testing.T) {
	for _, rcode := range []int{dns.RcodeServerFailure, dns.RcodeRefused, dns.RcodeNotAuth} {
		synctest.Test(t, func(t *testing.T) {
			x := newTree(t)
			x.dead.become(failing(rcode))
			x.bl.delay = 30 * time.Millisecond
			d := x.direct(t, "zen.list.org")
			for range 100 {
				if o := d.Exchange(t.Context(), question(t, "9.2.0.192.zen.list.org", dns.TypeA)); say(o) != "127.0.0.4" {
					t.Fatal(say(o))
				}
			}
			if n := len(x.dead.take()); n > 10 {
				t.Errorf("the server that answers %s was asked %d times before the one that knows", dns.RcodeToString[rcode], n)
			}
		})
	}
}

func TestDirect_noSuchZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		o := x.direct(t, "gone.org").Exchange(t.Context(), question(t, "2.0.0.127.gone.org", dns.TypeA))
		if !errors.Is(o.Err, ErrUnreachable) || strings.Contains(o.Err.Error(), "gone") {
			t.Errorf("%v, want ErrUnreachable without the zone's name", o.Err)
		}
	})
}

// A list that delegates each name to servers of its own, as many as fit, costs
// no memory for those that are not needed any more.
func TestDirect_countlessServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		d := x.direct(t, "zen.list.org")
		ask := func(i int) {
			d.Exchange(t.Context(), question(t, fmt.Sprintf("%d.%d.0.192.zen.list.org", i&255, i>>8), dns.TypeA))
		}
		ask(0)
		named := 0
		x.bl.become(func(m *dns.Msg) *dns.Msg {
			r := new(dns.Msg).SetReply(m)
			for i := range 10 {
				host := fmt.Sprintf("ns%d.zen.list.org.", i)
				ns, _ := dns.NewRR(m.Question[0].Name + " 300 NS " + host)
				glue, _ := dns.NewRR(fmt.Sprintf("%s 300 A 10.0.%d.%d", host, named>>8, named&255))
				r.Ns, r.Extra = append(r.Ns, ns), append(r.Extra, glue)
				named++
			}
			return r
		})
		for i := range 2000 {
			ask(i)
			if i%100 == 0 {
				runtime.GC()
			}
		}
		x.pool.mu.Lock()
		defer x.pool.mu.Unlock()
		if n := len(x.pool.servers); named < 20000 || n > named/2 {
			t.Errorf("%d servers are kept of %d that were named", n, named)
		}
	})
}

// crowd is a resolver to which each host has as many addresses as fit.
type crowd struct{}

func (crowd) Exchange(_ context.Context, q Question) (o Outcome) {
	for i := range 4000 {
		o.Response.Records = append(o.Response.Records, []byte{10, q.Name[3], byte(i >> 8), byte(i)})
	}
	return o
}

// A delegation to hosts with thousands of addresses is one to some of them.
func TestDirect_countlessAddresses(t *testing.T) {
	x := newTree(t)
	f := x.pool.Finder(FinderOptions{Resolver: crowd{}})
	d := wire.Delegation{Zone: question(t, "zen.list.org", 1).Name, TTL: 600}
	for i := range 16 {
		d.Hosts = append(d.Hosts, wire.Host{Name: question(t, fmt.Sprintf("ns%d.example.net", i), 1).Name})
	}
	at, err := f.descend(t.Context(), d, d.Zone)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(at.servers.servers); n == 0 || n > maxAddrs {
		t.Errorf("%d servers of one zone are kept, want 1 to %d", n, maxAddrs)
	}
}

// A list asked directly is judged like any other.
func TestDirect_list(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		zone := question(t, "zen.list.org", 1).Name
		l := NewList(ListOptions{Zone: zone, Ask: x.finder.Direct(zone), Holds: rbl.HoldsIP4, Probe: true})
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { l.Run(ctx); close(ran) }()
		time.Sleep(5 * time.Second)
		if s := l.State(); s.Condition != Healthy {
			t.Errorf("state %+v", s)
		}
		x.bl.become(nil)
		time.Sleep(7 * time.Minute)
		if s := l.State(); s.Condition != Unreachable || !isOpen(l, rbl.IP4) {
			t.Errorf("state of the dead list %+v", s)
		}
		x.bl.become(authority("zen.list.org.", "2.0.0.127.zen.list.org. 300 A 127.0.0.2"))
		time.Sleep(3 * time.Second)
		if s := l.State(); s.Condition != Healthy || isOpen(l, rbl.IP4) {
			t.Errorf("state of the list that came back %+v", s)
		}
		stop()
		<-ran
	})
}

func TestDirect_cancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		x.root.become(nil)
		d := x.direct(t, "zen.list.org")
		got := make(chan error, 2)
		out := d.begin(question(t, "a.zen.list.org", 1), nil, func(o Outcome) { got <- o.Err })
		out.cancel(ErrCanceled)
		out.cancel(ErrCanceled)
		if err := <-got; err != ErrCanceled {
			t.Errorf("canceled: %v", err)
		}
		d.begin(question(t, "a.zen.list.org", 1), nil, func(o Outcome) { got <- o.Err })
		x.pool.Close()
		if err := <-got; err == nil {
			t.Error("an answer from a closed pool")
		}
		if len(got) > 0 {
			t.Error("done was called twice")
		}
	})
}

// A cancel that comes when a referral has landed, and the question does not
// wait for the search yet, ends the question all the same.
func TestDirect_cancelBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		x.sub.become(nil)
		d := x.direct(t, "zen.list.org")
		got := make(chan Outcome, 1)
		done := func(o Outcome) { got <- o }
		first := d.begin(question(t, "9.2.0.192.zen.list.org", 1), nil, done).held.(*call)
		<-got
		// That is how a question stands whose exchange lands.
		c := &call{direct: d, q: question(t, "1.sub.zen.list.org", 1), done: done,
			started: time.Now(), deadline: time.Now().Add(4 * time.Second), at: first.at, out: first.out}
		referral := Outcome{delegation: &wire.Delegation{Zone: question(t, "sub.zen.list.org", 1).Name}}
		referral.Response.Referral = true
		d.mu.Lock() // what follows the referral stops here
		go c.landed(referral)
		for landed := false; !landed; runtime.Gosched() {
			c.mu.Lock()
			landed = c.hops > 0
			c.mu.Unlock()
		}
		start := time.Now()
		c.stop(0, ErrBreaker)
		for i := 0; i < 1e6 && len(got) == 0; i++ { // the end comes from another goroutine
			runtime.Gosched()
		}
		d.mu.Unlock() // what the search says is too late
		if o := <-got; o.Err != ErrBreaker || time.Since(start) > 0 {
			t.Errorf("ended after %v with %v, want at once with %v", time.Since(start), o.Err, ErrBreaker)
		}
	})
}
