package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	dnstap "github.com/dnstap/golang-dnstap"
	"github.com/miekg/dns"
	"google.golang.org/protobuf/proto"
)

// TestDnstap reads back the query log of a miss, a hit and an exemption.
func TestDnstap(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.1": "127.0.0.2"})
	proxy := startProxy(t, ProxyOptions{Config: zone("bl.example", "", list.Addr) +
		"[allow.office]\ncidr = [\"192.0.2.3\"]\n[dnstap]\nfile = \"queries.tap\"\n"})
	for _, subject := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.3"} {
		verdict(t, proxy.Addr, subject, "bl.example")
	}
	if n := proxy.metric(t, "dnsblproxy_dnstap_dropped_total"); n != 0 {
		t.Errorf("%v messages dropped", n)
	}
	proxy.Signal(t, syscall.SIGTERM)
	proxy.Wait(t, stopTimeout)

	f, err := os.Open(filepath.Join(proxy.dir, "queries.tap"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, err := dnstap.NewReader(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	frame := make([]byte, 1<<16)
	for {
		n, err := in.ReadFrame(frame)
		if err != nil {
			break // the counts tell whether it came too early
		}
		var d dnstap.Dnstap
		if err := proto.Unmarshal(frame[:n], &d); err != nil {
			t.Fatal(err)
		}
		var m dns.Msg
		if err := m.Unpack(append(d.Message.GetQueryMessage(), d.Message.GetResponseMessage()...)); err != nil {
			t.Fatal(err)
		}
		seen[d.Message.GetType().String()+" "+m.Question[0].Name+" "+dns.RcodeToString[m.Rcode]]++
	}
	for what, want := range map[string]int{
		"CLIENT_QUERY 1.2.0.192.bl.example. NOERROR":     2,
		"CLIENT_RESPONSE 1.2.0.192.bl.example. NOERROR":  2,
		"CLIENT_QUERY 3.2.0.192.bl.example. NOERROR":     1,
		"CLIENT_RESPONSE 3.2.0.192.bl.example. NXDOMAIN": 1,
	} {
		if seen[what] != want {
			t.Errorf("%d of %s, want %d (all: %v)", seen[what], what, want, seen)
		}
	}
}
