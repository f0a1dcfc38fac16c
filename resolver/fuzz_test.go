package resolver

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// FuzzRespond sends arbitrary packets. Whatever comes back is a message that
// miekg/dns reads, to the same ID, with the question repeated octet by octet,
// not longer than the client takes, and without the list's own name.
func FuzzRespond(f *testing.F) {
	z := testZone("bl.test", spamhaus())
	z.Secrets = []string{"list"}
	s := newScene(f, []ZoneOptions{z},
		overrides.Rule{Name: "office", CIDR: []string{"192.0.2.2"}},
		overrides.Rule{Name: "own", Action: overrides.Deny, CIDR: []string{"192.0.2.66"}, Zones: []string{"bl.test"}, Text: "no"})
	for _, q := range []string{"1.2.0.192.bl.test A", "1.2.0.192.bl.test TXT", "66.2.0.192.bl.test ANY", "bl.test SOA", "2.192.bl.test A", "bad.example.bl.test MX", "www.example A"} {
		name, typ, _ := strings.Cut(q, " ")
		pkt, err := new(dns.Msg).SetQuestion(name+".", dns.StringToType[typ]).SetEdns0(1232, true).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pkt, false)
		f.Add(pkt, true)
	}
	f.Fuzz(func(t *testing.T, pkt []byte, tcp bool) {
		if len(pkt) > 4096 {
			return
		}
		out := s.raw(pkt, tcp)
		var q wire.Query
		fault := q.Parse(pkt)
		if fault == wire.Drop {
			if out != nil {
				t.Fatalf("%x was answered with %x", pkt, out)
			}
			return
		}
		var m dns.Msg
		if err := m.Unpack(out); err != nil {
			t.Fatalf("%x was answered with %x: %v", pkt, out, err)
		}
		switch {
		case m.Id != binary.BigEndian.Uint16(pkt) || !m.Response:
			t.Fatalf("answer %v to %x", &m, pkt[:2])
		case !tcp && len(out) > q.UDPSize:
			t.Fatalf("%d octets to a client that takes %d", len(out), q.UDPSize)
		case q.End > wire.HeaderLen && !bytes.Equal(out[wire.HeaderLen:q.End], pkt[wire.HeaderLen:q.End]):
			t.Fatalf("the question of %x is not repeated in %x", pkt, out)
		case bytes.Contains(out[q.End:], []byte("\x04list")):
			t.Fatalf("the list's name is in the answer %x", out)
		}
	})
}

// FuzzHider hides a key in arbitrary texts and names: it is in no result,
// whatever the case, and what has nothing to hide is left alone.
func FuzzHider(f *testing.F) {
	from, err := rbl.AppendName(nil, "k3y.zen.example")
	if err != nil {
		f.Fatal(err)
	}
	to, err := rbl.AppendName(nil, "zen.test")
	if err != nil {
		f.Fatal(err)
	}
	h := newHider(&ZoneOptions{Name: "zen.test", Upstream: "k3y.zen.example", Secrets: []string{"k3y"}}, from, to)
	f.Add("see https://k3y.zen.example/?ip=192.0.2.1", []byte("\x02ns\x03K3Y\x03zen\x07example\x00"))
	f.Add("K3Y", []byte("\x03k3y\x00"))
	f.Add("nothing", []byte("\x02ns\x07example\x00"))
	f.Fuzz(func(t *testing.T, text string, name []byte) {
		if len(text) > 1000 {
			return
		}
		shown := []string{h.text(text), packedRecord{typ: wire.TypeTXT, rdata: string(h.rdata(wire.TypeTXT, []byte(txt(text))))}.text()}
		if n := wire.Name(name); n.Valid() {
			out := h.rdata(wire.TypeNS, name)
			if !wire.Name(out).Valid() {
				t.Fatalf("name %x became %x", name, out)
			}
			shown = append(shown, string(out))
		}
		for _, s := range shown {
			if strings.Contains(strings.ToLower(s), "k3y") {
				t.Fatalf("the key is in %q, made of %q and %x", s, text, name)
			}
		}
		if !strings.Contains(strings.ToLower(text), "k3y") && shown[0] != text {
			t.Fatalf("%q became %q", text, shown[0])
		}
	})
}
