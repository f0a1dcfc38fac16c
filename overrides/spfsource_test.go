package overrides

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSPF_leaves_an_include_out(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 include:a.example include:b.example -all"
		dns.txt["a.example"] = "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2"
		dns.txt["b.example"] = "v=spf1 ip4:192.0.2.2 ip4:192.0.2.3 ip4:192.0.2.4"
		r := spfRule("efax.com")
		r.Except = []string{"spf:a.example", "192.0.2.4"}
		tl := start(t, dns, Options{}, r)
		tl.want("only b, less one address", "-192.0.2.1", "+192.0.2.2", "+192.0.2.3", "-192.0.2.4")
		if n := dns.count("a.example"); n != 0 {
			t.Errorf("a.example was asked %d times", n)
		}
	})
}

// An include that is gone takes those behind it along, as RFC 7208 has it. Nobody
// forgets them in silence.
func TestSPF_loses_a_part(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1 include:a.example include:b.example -all"
		dns.txt["a.example"] = "v=spf1 ip4:192.0.2.2 -all"
		dns.txt["b.example"] = "v=spf1 ip4:192.0.2.3 -all"
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		tl.want("at first", "+192.0.2.1", "+192.0.2.2", "+192.0.2.3")
		if n := tl.log.count("WARN"); n > 0 {
			t.Errorf("%d warnings of a record that is well: %s", n, tl.log.b.String())
		}
		dns.set(func() { delete(dns.txt, "a.example") })
		for range 3 {
			tl.elapse(time.Hour)
			tl.want("without the include", "+192.0.2.1", "-192.0.2.2", "-192.0.2.3")
			if n := tl.log.count("permerror"); n != 1 || tl.log.count("WARN") != 1 {
				t.Fatalf("the log says so %d times, want once: %s", n, tl.log.b.String())
			}
		}
	})
}

// An exception that leaves nothing out is most often misspelt, and what it was
// meant for is open.
func TestSPF_leaves_nothing_out(t *testing.T) {
	dns := newFakeDNS()
	dns.txt["efax.com"] = "v=spf1 include:a.example exists:%{i}.live.example include:behind.example ~all"
	dns.txt["a.example"] = "v=spf1 ip4:192.0.2.1 redirect=b.example"
	dns.txt["b.example"] = "v=spf1 ip4:192.0.2.2"
	dns.txt["behind.example"] = "v=spf1 ip4:192.0.2.3"
	dns.txt["jfax.com"] = "v=spf1 include:c.example -all"
	dns.txt["c.example"] = "v=spf1 ip4:192.0.2.4"
	dns.txt["odd.example"] = "v=spf1 include:c.example ipv4:192.0.2.5"
	for _, tt := range []struct {
		name    string
		domains []string
		except  string
		fail    string
		want    bool
	}{
		{"an include", []string{"efax.com"}, "spf:a.example", "", false},
		{"a redirect of an include", []string{"efax.com"}, "spf:B.example.", "", false},
		{"one behind a live term", []string{"efax.com"}, "spf:behind.example", "", false},
		{"of one record of two", []string{"efax.com", "jfax.com"}, "spf:c.example", "", false},
		{"of neither", []string{"efax.com", "jfax.com"}, "spf:d.example", "", true},
		{"of a record that is there no more", []string{"efax.com", "gone.example"}, "spf:d.example", "", false},
		{"of a broken record", []string{"odd.example"}, "spf:d.example", "", false},
		{"while a part fails", []string{"efax.com"}, "spf:d.example", "b.example", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dns.fail = map[string]bool{tt.fail: true}
				r := spfRule(tt.domains...)
				r.Except = []string{"192.0.2.9", tt.except}
				tl := start(t, dns, Options{}, r)
				got := tl.InVain()
				if len(got) != 0 && !tt.want || len(got) != 1 && tt.want {
					t.Fatalf("InVain() = %v", got)
				}
				const text = `config.toml:7: allow.efax.except: spf:d.example is in no SPF record of the rule`
				if tt.want && !strings.HasPrefix(got[0].Error(), text) {
					t.Errorf("InVain() = %v, want %s", got, text)
				}
				tl.elapse(time.Hour)
				if n := tl.log.count("is in no SPF record"); n != len(got) {
					t.Errorf("that is in the log %d times, want %d\n%s", n, len(got), tl.log.b.String())
				}
			})
		})
	}
}

func TestRange_random(t *testing.T) {
	for _, s := range []string{"192.0.2.7", "0.0.0.0/0", "192.0.2.250-192.0.3.3", "2001:db8::7", "::/0", "2001:db8::ffff-2001:db8:0:0:1::"} {
		r, err := ParseRange(s)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if a := r.random(); a.BitLen() != r.First.BitLen() || !r.holds(Range{a, a}) {
				t.Fatalf("%v is not in %s", a, r)
			}
		}
	}
}
