//go:build !race

package resolver

import (
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
)

// TestRespond_allocs holds the promise that what needs no list costs nothing
// but time. The race detector changes allocation, so it is not in force.
func TestRespond_allocs(t *testing.T) {
	z := testZone("bl.test", spamhaus())
	z.Verify = true
	z.CodeName = func(rbl.Code) string { return "SBL" }
	s := newScene(t, []ZoneOptions{z}, overrides.Rule{Name: "office", CIDR: []string{"192.0.2.2"}},
		overrides.Rule{Name: "own", Action: overrides.Deny, CIDR: []string{"192.0.2.66"}, Zones: []string{"bl.test"}, Text: "no"})
	sc := NewScratch(0)
	for name, q := range map[string]*dns.Msg{
		"listed":         new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeA),
		"listed, text":   new(dns.Msg).SetQuestion("1.2.0.192.bl.test.", dns.TypeTXT),
		"unlisted":       new(dns.Msg).SetQuestion("8.2.0.192.bl.test.", dns.TypeA).SetEdns0(1232, false),
		"exempt":         new(dns.Msg).SetQuestion("2.2.0.192.bl.test.", dns.TypeA).SetEdns0(1232, false),
		"denied":         new(dns.Msg).SetQuestion("66.2.0.192.bl.test.", dns.TypeA).SetEdns0(1232, false),
		"partial":        new(dns.Msg).SetQuestion("2.0.192.bl.test.", dns.TypeA),
		"domain":         new(dns.Msg).SetQuestion("bad.example.bl.test.", dns.TypeA),
		"outside, other": new(dns.Msg).SetQuestion("example.", dns.TypeA),
	} {
		t.Run(name, func(t *testing.T) {
			pkt, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			s.raw(pkt, false)
			s.r.flights.wg.Wait() // what verify asks
			n := testing.AllocsPerRun(200, func() {
				if _, done := s.r.Respond(sc, pkt, testClient, false); !done {
					t.Fatal("not answered at once")
				}
			})
			if n != 0 {
				t.Errorf("answering allocates %v times, want 0", n)
			}
		})
	}
}
