package resolver

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/cache"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/upstream"
)

// crowd asks about more addresses than the cache of a scene has room for, all
// of them unlisted. What is popular meanwhile is asked for again and again.
func (s *scene) crowd(nth int, popular ...string) {
	s.t.Helper()
	s.r.clock.mono.Add(1) // what is there is older
	for i := range cache.Capacity(cache.MinBytes) * 3 / 2 {
		s.ask(fmt.Sprintf("%d.%d.%d.100.bl.test", i&255, i>>8, nth), dns.TypeA)
		if i%4000 == 0 {
			for _, name := range popular {
				s.ask(name, dns.TypeA)
			}
		}
	}
	s.r.cache.Settle()
	if got := s.r.cache.Bytes(); got > cache.MinBytes {
		s.t.Errorf("the answers take %d bytes of %d", got, cache.MinBytes)
	}
}

// listings is a list of some addresses and names, with a text for each.
func listings() (*fakeList, []string) {
	l := &fakeList{ttl: 3600, records: map[string][]string{}}
	var names []string
	for i := range 240 {
		names = append(names,
			fmt.Sprintf("%d.2.0.192.", i),
			fmt.Sprintf("%x.%x.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.", i&15, i>>4),
			fmt.Sprintf("bad%d.example.", i))
	}
	for i, name := range names {
		l.records[name+"list.example A"] = []string{"127.0.0.2"}
		l.records[name+"list.example TXT"] = []string{fmt.Sprintf("listed for reason %d", i)}
		names[i] = name + "bl.test"
	}
	return l, names
}

// TestOverflow_delisted: an old listing, of which the cache may have several
// copies by then, must not come back once the list has taken it back.
func TestOverflow_delisted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, names := listings()
		s := newSceneSized(t, cache.MinBytes, overrides.Options{}, []ZoneOptions{testZone("bl.test", l)})
		for range 3 {
			for _, name := range names {
				for _, typ := range []uint16{dns.TypeA, dns.TypeTXT} {
					if m := s.ask(name, typ); len(m.Answer) != 1 {
						t.Fatalf("%s: %s", name, brief(m))
					}
				}
			}
		}
		s.crowd(1, names...)
		s.r.clock.mono.Add(3300) // they are renewed ahead of time
		l.set(func() { l.records, l.ttl = nil, 60 })
		for _, name := range names {
			s.ask(name, dns.TypeA)
		}
		synctest.Wait()
		gone := func(when string) {
			t.Helper()
			for _, name := range names {
				for _, typ := range []uint16{dns.TypeA, dns.TypeTXT} {
					if m := s.ask(name, typ); brief(m) != "NXDOMAIN" {
						t.Fatalf("%s: %s is %s", when, name, brief(m))
					}
				}
			}
		}
		gone("after the renewal")
		s.r.clock.mono.Add(61) // past the new answers' TTL, not past that of the old ones
		s.crowd(2)
		l.set(func() { l.err = upstream.ErrServfail })
		gone("after the window overflowed, with a list that fails")
		s.r.clock.mono.Add(3600)
		gone("when the old answers would be stale")
		s.r.Close()
	})
}

// TestOverflow_stale has a list die when its answers have run out.
func TestOverflow_stale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, names := listings()
		s := newSceneSized(t, cache.MinBytes, overrides.Options{}, []ZoneOptions{testZone("bl.test", l)})
		kept := func(when string, typ uint16, least int) {
			t.Helper()
			n := 0
			for _, name := range names {
				m := s.ask(name, typ)
				code, _ := ede(m)
				switch {
				case len(m.Answer) == 1 && code == dns.ExtendedErrorCodeStaleAnswer && m.Answer[0].Header().Ttl == 30:
					n++
				case m.Rcode != dns.RcodeNameError:
					t.Errorf("%s: %s is %s", when, name, brief(m))
				}
			}
			if n < least {
				t.Errorf("%s: %d of %d stale answers are there, want %d", when, n, len(names), least)
			}
		}
		refresh := func() {
			l.set(func() { l.err = nil })
			s.r.clock.mono.Add(uint32(2 * time.Hour / time.Second))
			for range 3 {
				for _, name := range names {
					s.ask(name, dns.TypeA)
					s.ask(name, dns.TypeTXT)
				}
			}
			s.r.cache.Settle()
		}
		die := func() {
			l.set(func() { l.err = upstream.ErrServfail })
			s.r.clock.mono.Add(3600)
		}
		refresh()
		die()
		kept("before the window overflowed", dns.TypeA, len(names))
		kept("before the window overflowed", dns.TypeTXT, len(names))
		refresh()
		s.crowd(1, names...)
		die()
		kept("after that", dns.TypeA, len(names)*9/10)
		s.r.Close()
	})
}
