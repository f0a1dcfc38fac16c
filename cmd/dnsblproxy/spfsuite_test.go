package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"dnsblproxy/resolver/rbl"

	"github.com/miekg/dns"
	"gopkg.in/yaml.v3"
)

// suiteWords is one word or a list of them, as the suite writes results,
// strings of a record, and records.
type suiteWords []string

func (w *suiteWords) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*w = suiteWords{n.Value}
		return nil
	}
	return n.Decode((*[]string)(w))
}

// rfc7208Suite is one document of the public suite.
type rfc7208Suite struct {
	Tests map[string]struct {
		HELO, Host, MailFrom string
		Result               suiteWords
	}
	ZoneData map[string][]map[string]yaml.Node
}

// suiteZone serves a suite's records; a name that times out is SERVFAIL here,
// which is a temporary error as well and takes no time.
type suiteZone struct {
	records map[string][]dns.RR // by presentation name, lower case
	fails   map[string]bool     // whatever is not there times out
}

func (z *suiteZone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	name := strings.ToLower(q.Question[0].Name)
	seen := 0
	for typ := q.Question[0].Qtype; ; {
		next := ""
		for _, rr := range z.records[name] {
			if c, ok := rr.(*dns.CNAME); ok && typ != dns.TypeCNAME {
				next = strings.ToLower(c.Target)
			}
			if rr.Header().Rrtype == typ || next != "" {
				m.Answer = append(m.Answer, rr)
			}
		}
		if next == "" {
			break
		}
		name = next
		if seen++; seen > 8 {
			m.Rcode = dns.RcodeServerFailure
			break
		}
	}
	if z.fails[name] && len(m.Answer) == 0 {
		m.Rcode = dns.RcodeServerFailure
	}
	if len(m.Answer) == 0 && m.Rcode == dns.RcodeSuccess && len(z.records[name]) == 0 {
		m.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(m) // a client that is gone has failed already
}

// presentation is a raw name as package dns writes it.
func presentation(t *testing.T, raw string) string {
	t.Helper()
	wire, err := rbl.AppendName(nil, raw)
	if err != nil {
		return ""
	}
	name, _, err := dns.UnpackDomainName(wire, 0)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ToLower(name)
}

func (s *rfc7208Suite) zone(t *testing.T) *suiteZone {
	z := &suiteZone{records: map[string][]dns.RR{}, fails: map[string]bool{}}
	for raw, records := range s.ZoneData {
		name := presentation(t, raw)
		if name == "" {
			continue // no DNS can hold it
		}
		z.records[name] = append(z.records[name], nil)[:0]
		hasTXT := slices.ContainsFunc(records, func(r map[string]yaml.Node) bool { _, ok := r["TXT"]; return ok })
		for _, r := range records {
			for typ, node := range r {
				var w suiteWords
				if err := node.Decode(&w); err != nil {
					t.Fatal(err)
				}
				if rr := suiteRecord(t, name, typ, w, hasTXT); rr != nil {
					z.records[name] = append(z.records[name], rr)
				}
				z.fails[name] = z.fails[name] || typ == "TIMEOUT"
			}
		}
	}
	return z
}

func suiteRecord(t *testing.T, name, typ string, w suiteWords, hasTXT bool) dns.RR {
	head := func(rrtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: 300}
	}
	switch typ {
	case "SPF", "TXT":
		if typ == "SPF" && hasTXT || slices.Equal(w, suiteWords{"NONE"}) {
			return nil
		}
		rr := &dns.TXT{Hdr: head(dns.TypeTXT)}
		for _, s := range w {
			rr.Txt = append(rr.Txt, suiteBytes(s)...)
		}
		if len(w) == 0 {
			rr.Txt = []string{""}
		}
		return rr
	case "A":
		return &dns.A{Hdr: head(dns.TypeA), A: net.ParseIP(w[0])}
	case "AAAA":
		return &dns.AAAA{Hdr: head(dns.TypeAAAA), AAAA: net.ParseIP(w[0])}
	case "MX":
		mx := presentation(t, w[1])
		if w[1] == "" {
			mx = "."
		}
		return &dns.MX{Hdr: head(dns.TypeMX), Preference: 10, Mx: mx}
	case "PTR":
		return &dns.PTR{Hdr: head(dns.TypePTR), Ptr: presentation(t, w[0])}
	case "CNAME":
		return &dns.CNAME{Hdr: head(dns.TypeCNAME), Target: presentation(t, w[0])}
	}
	return nil
}

// suiteBytes writes a string of a record as package dns wants it, in pieces of
// at most 255 octets. YAML's "\x96" is a code point; the record has the octet.
func suiteBytes(s string) []string {
	var out []string
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == 255 {
			out, n = append(out, b.String()), 0
			b.Reset()
		}
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			b.WriteString("\\" + string([]byte{'0' + byte(r)/100, '0' + byte(r)/10%10, '0' + byte(r)%10}))
		} else {
			b.WriteRune(r)
		}
		n++
	}
	return append(out, b.String())
}

// TestSPF_suite runs the public suite of RFC 7208 through the command, over
// real DNS: with sender and HELO given, and with a domain and an address
// alone, which all but three of its cases can do with.
func TestSPF_suite(t *testing.T) {
	f, err := os.Open("../../overrides/spf/testdata/rfc7208-tests.yml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases, wrong, alone := 0, 0, 0
	for dec := yaml.NewDecoder(f); ; {
		var s rfc7208Suite
		if err := dec.Decode(&s); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		server := serveSuite(t, s.zone(t))
		for name, c := range s.Tests {
			cases++
			domain := c.HELO
			if c.MailFrom != "" {
				domain = c.MailFrom[strings.LastIndexByte(c.MailFrom, '@')+1:]
			}
			base := []string{"spf", "--resolver", server, "--ip", c.Host, "--", domain}
			full := append([]string{"spf", "--sender", c.MailFrom, "--helo", c.HELO}, base[1:]...)
			if got := firstWord(t, full); !slices.Contains(c.Result, got) {
				wrong++
				t.Errorf("%s: %s, want %v", name, got, c.Result)
			}
			if slices.Contains(c.Result, firstWord(t, base)) {
				alone++
			}
		}
	}
	if cases != 203 || alone != 200 {
		t.Errorf("%d cases, %d of them right with domain and address alone; want 203 and 200", cases, alone)
	}
}

func firstWord(t *testing.T, args []string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	if status := run(args, strings.NewReader(""), &out, &errOut); status != exitDone {
		t.Fatalf("%q: exit status %d: %s", args, status, &errOut)
	}
	word, _, _ := strings.Cut(out.String(), " ")
	return word
}

// serveSuite serves a zone on loopback over UDP and TCP.
func serveSuite(t *testing.T, h dns.Handler) string {
	t.Helper()
	addr, l, pc := bothAt(t)
	for _, s := range []*dns.Server{{Listener: l, Handler: h}, {PacketConn: pc, Handler: h, UDPSize: 4096}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		ended := make(chan error, 1)
		go func() { ended <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
			<-ended
		})
	}
	return addr
}
