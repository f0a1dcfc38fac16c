package e2e

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Authority answers for names of the test's choosing, as a recursive resolver
// would. Names that it does not hold are NXDOMAIN.
type Authority struct {
	Addr    netip.AddrPort
	records map[string][]dns.RR // by lower-case name

	mu     sync.Mutex
	rcodes map[string]int // names that are answered with an error
	asked  map[string]int // "NAME TYPE" → how often
}

// startAuthority serves the records, one a line in zone file syntax.
func startAuthority(t testing.TB, port uint16, zone string) *Authority {
	t.Helper()
	a := &Authority{
		Addr:    netip.AddrPortFrom(freeIP(t), port),
		records: make(map[string][]dns.RR),
		rcodes:  make(map[string]int),
		asked:   make(map[string]int),
	}
	parser := dns.NewZoneParser(strings.NewReader("$TTL 60\n"+zone), ".", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		name := strings.ToLower(rr.Header().Name)
		a.records[name] = append(a.records[name], rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"udp", "tcp"} {
		up := make(chan struct{})
		server := &dns.Server{Addr: a.Addr.String(), Net: network, Handler: a, NotifyStartedFunc: func() { close(up) }}
		failed := make(chan error, 1)
		go func() { failed <- server.ListenAndServe() }()
		select {
		case <-up:
		case err := <-failed:
			t.Fatalf("authority: %v", err)
		}
		t.Cleanup(func() {
			server.Shutdown()
			<-failed
		})
	}
	return a
}

// Fail answers a name with an error code from now on; dns.RcodeSuccess ends it.
func (a *Authority) Fail(name string, rcode int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rcodes[strings.ToLower(dns.Fqdn(name))] = rcode
}

// questions are the questions so far, each "name type", and how often each came.
func (a *Authority) questions() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.asked)
}

// ServeDNS implements dns.Handler.
func (a *Authority) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	question := q.Question[0]
	name := strings.ToLower(question.Name)

	a.mu.Lock()
	a.asked[fmt.Sprint(name, " ", dns.TypeToString[question.Qtype])]++
	rrs, held := a.records[name]
	m.Rcode = a.rcodes[name]
	if !held && m.Rcode == dns.RcodeSuccess && !a.emptyNonTerminal(name) {
		m.Rcode = dns.RcodeNameError
	}
	a.mu.Unlock()

	for _, rr := range rrs {
		if m.Rcode == dns.RcodeSuccess && rr.Header().Rrtype == question.Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(m.Answer) == 0 && (m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError) {
		soa, _ := dns.NewRR("test. 60 SOA ns.test. hostmaster.test. 1 600 300 86400 60")
		m.Ns = append(m.Ns, soa)
	}
	w.WriteMsg(m)
}

// emptyNonTerminal tells whether something is held below the name.
func (a *Authority) emptyNonTerminal(name string) bool {
	for held := range a.records {
		if strings.HasSuffix(held, "."+name) {
			return true
		}
	}
	return false
}
