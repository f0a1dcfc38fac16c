package upstream

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/rbl"
)

// again asks about the same address each time.
func again(t *testing.T, d *Direct) func() Outcome {
	return func() Outcome {
		return d.Exchange(t.Context(), question(t, "9.2.0.192.zen.list.org", dns.TypeA))
	}
}

// The zone's servers are searched anew before their TTL ends, without anybody
// waiting for it.
func TestDirect_renews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		d := x.direct(t, "zen.list.org")
		ask := again(t, d)
		ask()
		ask()
		x.org.become(authority("org.", "zen.list.org. 600 NS b.zen.list.org.", "b.zen.list.org. 600 A 198.51.100.6"))
		moved := x.net.host(newAddr, authority("zen.list.org.", "9.2.0.192.zen.list.org. 300 A 127.0.0.9"))
		for range 20 {
			time.Sleep(30 * time.Second)
			if o := ask(); o.Took > 2*time.Second || o.Err != nil {
				t.Errorf("%s after %v", say(o), o.Took)
			}
		}
		if o := ask(); say(o) != "127.0.0.9" || len(moved.times()) == 0 {
			t.Errorf("%s after the TTL, want the new server's answer", say(o))
		}
		// The parents fail: old servers are better than none.
		x.org.become(nil)
		x.root.become(nil)
		for range 40 {
			time.Sleep(30 * time.Second)
			ask()
		}
		if o := ask(); say(o) != "127.0.0.9" {
			t.Errorf("%s while the parents fail", say(o))
		}
	})
}

// Parents that refuse to say where the zone's servers are get asked once in
// searchPause, not once for each question.
func TestDirect_renewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		d := x.direct(t, "zen.list.org")
		ask := again(t, d)
		ask()
		ask()
		time.Sleep(595 * time.Second)
		x.org.become(failing(dns.RcodeServerFailure))
		x.root.become(failing(dns.RcodeServerFailure))
		x.org.take()
		x.root.take()
		for range 200 {
			time.Sleep(100 * time.Millisecond)
			if o := ask(); say(o) != "127.0.0.4" {
				t.Fatalf("%s while the parents fail", say(o))
			}
		}
		if n := len(x.org.take()) + len(x.root.take()); n > 5 {
			t.Errorf("200 questions in 20 s made %d to the parents, want one in %v", n, searchPause)
		}
	})
}

// When all servers fail they are searched anew long before the TTL ends.
func TestDirect_rediscovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		d := x.direct(t, "zen.list.org")
		ask := func() string {
			return say(d.Exchange(t.Context(), question(t, "9.2.0.192.zen.list.org", dns.TypeA)))
		}
		ask()
		x.bl.become(failing(5))
		x.net.host(newAddr, authority("zen.list.org.", "9.2.0.192.zen.list.org. 300 A 127.0.0.9"))
		x.org.become(authority("org.", "zen.list.org. 600 NS b.zen.list.org.", "b.zen.list.org. 600 A 198.51.100.6"))
		ask()
		time.Sleep(time.Second)
		if got := ask(); got != "127.0.0.9" {
			t.Errorf("after the servers moved: %s", got)
		}
	})
}

// Nobody waits longer than the deadline for a search, nor twice for one that
// has just failed.
func TestDirect_deadParents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		x.root.become(nil)
		d := x.direct(t, "zen.list.org")
		q := question(t, "9.2.0.192.zen.list.org", dns.TypeA)
		o := d.Exchange(t.Context(), q)
		if o.Err == nil || o.Took > 4*time.Second {
			t.Errorf("first question: %v after %v", o.Err, o.Took)
		}
		time.Sleep(time.Second)
		if o = d.Exchange(t.Context(), q); !errors.Is(o.Err, ErrTimeout) || o.Took != 0 {
			t.Errorf("second question: %v after %v", o.Err, o.Took)
		}
		x.root.become(authority(".", "org. 86400 NS ns.org.", "ns.org. 86400 A 198.51.100.2"))
		time.Sleep(searchPause)
		if o = d.Exchange(t.Context(), q); say(o) != "127.0.0.4" {
			t.Errorf("after the root came back: %s", say(o))
		}
	})
}

// Hosts whose addresses nobody can find keep nobody waiting while others of the
// list's are known: from the parent, or looked up.
func TestDirect_hostsUnknown(t *testing.T) {
	for name, ns := range map[string]string{"from the parent": "a.zen.list.org.", "looked up": "ns.example.net."} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTree(t)
				x.resolve["ns.example.net"], x.resolve["slow.example.net"] = "198.51.100.4", "never"
				x.org.become(authority("org.", "zen.list.org. 600 NS slow.example.net.",
					"zen.list.org. 600 NS "+ns, "a.zen.list.org. 600 A 198.51.100.4"))
				o := again(t, x.direct(t, "zen.list.org"))()
				if say(o) != "127.0.0.4" || o.Took > time.Second {
					t.Errorf("%s after %v", say(o), o.Took)
				}
			})
		})
	}
}

// A host that is found a moment later than others is asked, too.
func TestDirect_hostsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		x.resolve["late.example.net"] = "198.51.100.4"
		x.late = 300 * time.Millisecond
		x.org.become(authority("org.", "zen.list.org. 600 NS late.example.net.",
			"zen.list.org. 600 NS a.zen.list.org.", "a.zen.list.org. 600 A 198.51.100.3"))
		if o := again(t, x.direct(t, "zen.list.org"))(); say(o) != "127.0.0.4" {
			t.Errorf("%s, want the answer of the host that was looked up", say(o))
		}
	})
}

// Who is above a list is told no more of its name than it takes to find the
// next zone: it may hold a key.
func TestDirect_tellsNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		x.bl.become(authority("zen.list.org.", "9.2.0.192.key.a.zen.list.org. 300 A 127.0.0.4"))
		o := x.direct(t, "key.a.zen.list.org").Exchange(t.Context(), question(t, "9.2.0.192.key.a.zen.list.org", dns.TypeA))
		if say(o) != "127.0.0.4" {
			t.Error(say(o))
		}
		if got := fmt.Sprint(x.root.take(), x.org.take()); got != "[org.] [list.org. zen.list.org.]" {
			t.Errorf("root and org were asked for %s", got)
		}
	})
}

// A zone that its parent's servers have themselves, and whose hosts they name
// without addresses, is asked of them.
func TestDirect_sameServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		x.org.become(authority("org.", "list.org. 600 NS b.list.org.", "b.list.org. 600 A 198.51.100.4"))
		list, domain := authority("zen.list.org.", "zen.list.org. 600 NS ns.zen.list.org.", "9.2.0.192.zen.list.org. 300 A 127.0.0.4"), authority("list.org.")
		x.bl.become(func(m *dns.Msg) *dns.Msg {
			if dns.IsSubDomain("zen.list.org.", dns.CanonicalName(m.Question[0].Name)) {
				return list(m)
			}
			return domain(m)
		})
		if o := again(t, x.direct(t, "zen.list.org"))(); say(o) != "127.0.0.4" {
			t.Error(say(o))
		}
	})
}

// The servers of a list's domain may have what stands between it and the list
// themselves, without addresses of hosts, or fail to answer for it: the list is
// found all the same. Those above the domain are told no more for that.
func TestDirect_oddParents(t *testing.T) {
	for name, between := range map[string]func(m *dns.Msg) *dns.Msg{
		"hosts without addresses": authority("zen.list.org.", "zen.list.org. 600 NS ns.nowhere.example."),
		"SERVFAIL":                failing(dns.RcodeServerFailure),
		"NXDOMAIN":                failing(dns.RcodeNameError),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTree(t)
				x.org.become(authority("org.", "list.org. 600 NS b.list.org.", "b.list.org. 600 A 198.51.100.4"))
				list := authority("list.org.", "key.zen.list.org. 600 NS ns.key.zen.list.org.", "ns.key.zen.list.org. 600 A 198.51.100.5")
				x.bl.become(func(m *dns.Msg) *dns.Msg {
					if dns.CanonicalName(m.Question[0].Name) == "zen.list.org." {
						return between(m)
					}
					return list(m)
				})
				x.sub.become(authority("key.zen.list.org.", "1.key.zen.list.org. 300 A 127.0.0.4"))
				ask := func() Outcome {
					return x.direct(t, "key.zen.list.org").Exchange(t.Context(), question(t, "1.key.zen.list.org", dns.TypeA))
				}
				if o := ask(); say(o) != "127.0.0.4" {
					t.Error(say(o))
				}
				x.finder.cuts = map[string]*cut{}
				x.org.become(between)
				if o := ask(); o.Err == nil && name != "hosts without addresses" {
					t.Error(say(o))
				}
				for _, name := range append(x.root.take(), x.org.take()...) {
					if name != "org." && name != "list.org." {
						t.Errorf("a server above the list's domain was asked for %s", name)
					}
				}
			})
		})
	}
}

// A list that is a part of a zone is searched again once in that zone's time,
// not with each question in the last tenth of it.
func TestDirect_partOfZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		d := x.direct(t, "a.zen.list.org")
		x.bl.become(authority("zen.list.org.", "9.2.0.192.a.zen.list.org. 300 A 127.0.0.4"))
		for range 3600 {
			if o := d.Exchange(t.Context(), question(t, "9.2.0.192.a.zen.list.org", dns.TypeA)); say(o) != "127.0.0.4" {
				t.Fatal(say(o))
			}
			time.Sleep(time.Second)
		}
		searches := 0
		for _, name := range x.bl.take() {
			if name == "a.zen.list.org." {
				searches++
			}
		}
		if searches > 10 {
			t.Errorf("%d searches in an hour, six times the zone's TTL", searches)
		}
	})
}

// A search that fails before its time takes nothing from the time of the
// servers that are known.
func TestDirect_renewalFailsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		x.org.become(authority("org.", "zen.list.org. 86400 NS b.zen.list.org.", "b.zen.list.org. 86400 A 198.51.100.4"))
		ask := again(t, x.direct(t, "zen.list.org"))
		ask()
		x.org.become(nil)
		x.root.become(nil)
		time.Sleep(22 * time.Hour)
		for range 5 {
			if o := ask(); say(o) != "127.0.0.4" || o.Took > time.Second {
				t.Fatalf("%s after %v", say(o), o.Took)
			}
			time.Sleep(10 * time.Minute)
		}
	})
}

// A list whose name servers cannot be found keeps nobody waiting twice.
func TestDirect_deadParentsOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		x.root.become(nil)
		zone := question(t, "zen.list.org", 1).Name
		l := NewList(ListOptions{Zone: zone, Ask: x.finder.Direct(zone), Holds: rbl.HoldsIP4})
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { l.Run(ctx); close(ran) }()
		waited := time.Duration(0)
		for range 20 {
			start, done := time.Now(), make(chan Outcome)
			l.Start(Ask{Question: question(t, "9.2.0.192.zen.list.org", 1), Shape: rbl.IP4}, func(o Outcome) { done <- o })
			<-done
			waited += time.Since(start)
			time.Sleep(time.Second)
		}
		if waited > 3*time.Second || !isOpen(l, rbl.IP4) {
			t.Errorf("20 questions waited for %v, open %t", waited, isOpen(l, rbl.IP4))
		}
		stop()
		<-ran
	})
}

// TestDirect_boundedSearches: a list's server that refers each question to other
// servers still does not have any number of them searched for at once.
func TestDirect_boundedSearches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTree(t)
		x.late = 8 * time.Second // longer than a question may take
		x.bl.become(func(m *dns.Msg) *dns.Msg {
			r := new(dns.Msg).SetReply(m)
			name := dns.CanonicalName(m.Question[0].Name)
			if name == "zen.list.org." {
				return authority("zen.list.org.")(m)
			}
			ns, _ := dns.NewRR(name + " 300 NS ns.elsewhere." + name[:1] + ".net.")
			r.Ns = append(r.Ns, ns)
			return r
		})
		d := x.direct(t, "zen.list.org")
		d.Exchange(t.Context(), question(t, "zen.list.org", dns.TypeSOA))
		const n = 2 * maxBelow
		got := make(chan Outcome, n)
		for i := range n {
			d.begin(question(t, fmt.Sprintf("a%d.zen.list.org", i), dns.TypeA), nil, func(o Outcome) { got <- o })
		}
		time.Sleep(2 * time.Second)
		d.mu.Lock()
		searches := len(d.searches)
		d.mu.Unlock()
		if searches != maxBelow || len(got) != n-maxBelow {
			t.Errorf("%d searches go on, %d questions have failed", searches, len(got))
		}
		for range n {
			if o := <-got; o.Err == nil {
				t.Errorf("%s", say(o))
			}
		}
	})
}
