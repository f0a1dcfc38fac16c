package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestSoak runs as long as the environment variable DNSBLPROXY_SOAK says:
// clients ask without a pause, the list changes its fault every second, and
// the configuration is reloaded now and then. At every answer an exempt
// address is unlisted and an unlisted one is not listed; at the end memory
// and goroutines are where they were.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("DNSBLPROXY_SOAK"))
	if err != nil {
		t.Skip("runs on request: make soak")
	}
	list := startFaulty(t, "bl.example")
	codes := make(map[string]string)
	for n := range 256 {
		codes[fmt.Sprintf("10.20.30.%d", n)] = "127.0.0.2"
	}
	list.List(codes)
	base := zone("bl.example", "", list.Addr) + "[allow.some]\ncidr = [\"10.20.30.128/25\"]\n"
	proxy := startProxy(t, ProxyOptions{Hurried: true, Config: "[cache]\nmax_ttl = \"2s\"\nmax_negative_ttl = \"2s\"\n" + base})
	// The faults that lie about every name are for TestFaults: until the
	// probe finds them out, their answers are the list's own.
	var faults []Fault
	for _, fault := range Faults() {
		if fault.Name != "wildcard" {
			faults = append(faults, fault)
		}
	}

	goroutines := func() float64 { return proxy.metric(t, "go_goroutines") }
	before := goroutines()
	stop := make(chan struct{})
	var asked, unanswered atomic.Int64
	var clients sync.WaitGroup
	for client := range 4 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(uint64(client), 7))
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := random.IntN(256)
				subject := fmt.Sprintf("%s.%d", []string{"10.20.30", "198.51.100", "203.0.113"}[random.IntN(3)], n)
				network := []string{"udp", "udp", "udp", "tcp"}[random.IntN(4)]
				m, _, err := exchange(network, proxy.Addr, new(dns.Msg).SetQuestion(reverse(subject, "bl.example"), dns.TypeA))
				asked.Add(1)
				if err != nil {
					unanswered.Add(1)
					continue
				}
				got := summary(m)
				_, listed := codes[subject]
				exempt := listed && n >= 128
				ok := got == "unlisted"
				if !exempt { // some faults are proper answers without records
					ok = ok || got == "nodata" || listed && got == "listed 127.0.0.2"
				}
				if !ok {
					t.Errorf("%s is %s (listed: %t, exempt: %t)", subject, got, listed, exempt)
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 1))
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for end := time.After(length); ; {
		select {
		case <-tick.C:
			list.Set(faults[random.IntN(len(faults))])
			if random.IntN(5) == 0 {
				proxy.reload(t, "[cache]\nmax_ttl = \"2s\"\nmax_negative_ttl = \"2s\"\n"+base+fmt.Sprintf("[allow.r%d]\ncidr = [\"203.0.113.9\"]\n", random.IntN(100)))
			}
			continue
		case <-end:
		}
		break
	}
	close(stop)
	clients.Wait()
	list.Set(Fault{})
	t.Logf("%d questions, %d unanswered", asked.Load(), unanswered.Load())
	if unanswered.Load() > 0 {
		t.Errorf("%d of %d questions went unanswered", unanswered.Load(), asked.Load())
	}
	eventually(t, 90*time.Second, "the goroutines to go", func() error {
		if now := goroutines(); now > before+20 {
			return fmt.Errorf("%v goroutines, %v at the start", now, before)
		}
		return nil
	})
	if strings.Contains(proxy.Output(), "panic") {
		t.Error("a panic is in the log")
	}
}
