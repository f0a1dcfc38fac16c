package peers

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/bench/internal/load"
)

func TestScripted(t *testing.T) {
	s, err := NewScripted(load.Listed)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ask := func(name string, typ uint16) *dns.Msg {
		t.Helper()
		m, err := exchange(new(dns.Msg).SetQuestion(name, typ), s.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := ask("4.3.2.1.bl.example.", dns.TypeA); m.Rcode != dns.RcodeSuccess || m.Answer[0].(*dns.A).A.String() != "127.0.0.2" {
		t.Errorf("listed: %v", m)
	}
	if m := ask("4.3.2.1.bl.example.", dns.TypeTXT); m.Rcode != dns.RcodeSuccess || m.Answer[0].(*dns.TXT).Txt[0] != "listed" {
		t.Errorf("listed, text: %v", m)
	}
	m := ask("4.3.2.5.bl.example.", dns.TypeA)
	if soa := m.Ns[0].(*dns.SOA); m.Rcode != dns.RcodeNameError || soa.Hdr.Name != "bl.example." || soa.Minttl != 3600 {
		t.Errorf("unlisted: %v", m)
	}
	if m := ask("2.5.bl.example.", dns.TypeA); m.Rcode != dns.RcodeSuccess || len(m.Answer) > 0 {
		t.Errorf("partial: %v", m)
	}
	if got := s.Asked(); got != 4 {
		t.Errorf("asked %d times, want 4", got)
	}
	s.Silence(true)
	if m, err := silently(s); err == nil {
		t.Errorf("a silent list answered %v", m)
	}
	s.Silence(false)
	s.Delay(20 * time.Millisecond)
	began := time.Now()
	if ask("4.3.2.1.bl.example.", dns.TypeA); time.Since(began) < 20*time.Millisecond {
		t.Error("a late list answered at once")
	}
}

func TestNewLists(t *testing.T) {
	s, err := NewLists(func(zone string, addr uint32) (bool, uint32) { return zone == "l1" && addr == 0x01020304, 77 })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for zone, want := range map[string]int{"l0": dns.RcodeNameError, "l1": dns.RcodeSuccess, "L1": dns.RcodeSuccess} {
		m, err := exchange(new(dns.Msg).SetQuestion("4.3.2.1."+zone+".example.", dns.TypeA), s.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		rr := append(m.Answer, m.Ns...)[0]
		if m.Rcode != want || rr.Header().Ttl != 77 {
			t.Errorf("%s: %v", zone, m)
		}
		if soa, ok := rr.(*dns.SOA); ok && soa.Minttl != 77 {
			t.Errorf("%s: MINIMUM is %d, want 77", zone, soa.Minttl)
		}
	}
}

// exchange waits for an answer also where the machine stands still.
func exchange(q *dns.Msg, server string) (*dns.Msg, error) {
	c := dns.Client{Timeout: time.Minute}
	m, _, err := c.Exchange(q, server)
	return m, err
}

func silently(s *Scripted) (*dns.Msg, error) {
	c := dns.Client{Timeout: 20 * time.Millisecond}
	m, _, err := c.Exchange(new(dns.Msg).SetQuestion("4.3.2.1.bl.example.", dns.TypeA), s.Addr.String())
	return m, err
}

// TestReply_rubbish has packets that are no questions ignored.
func TestReply_rubbish(t *testing.T) {
	good := load.NewZone("bl.example").Append(nil, 1, 1<<24, 1)
	for n := range good {
		if out := reply(good[:n], hour(load.Listed)); out != nil {
			t.Errorf("the first %d octets of a question are answered: %x", n, out)
		}
	}
	answer := append([]byte(nil), good...)
	answer[2] |= 0x80
	if reply(answer, hour(load.Listed)) != nil {
		t.Error("an answer is answered")
	}
}
