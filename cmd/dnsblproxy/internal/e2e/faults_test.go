package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// What a fault may cost the mail server. The first questions find out; the
// tenth must not wait. It is asked five times over, and the best counts: who
// waits, waits each time, while a loaded machine is slow now and then.
const (
	firstAtMost = 4500 * time.Millisecond // the resolver's deadline, 4s, and slack
	tenthAtMost = 300 * time.Millisecond  // less than any wait
)

// faultRun is what ten clients in a row got while a list failed.
type faultRun struct {
	fault  string
	gets   []string        // verdicts that occurred
	took   []time.Duration // from the tenth on the best of five
	broken []string        // what must not be
}

// TestFaults asks for ten unlisted addresses, one after the other, of a list
// that fails in each of the ways of Faults. None may be answered as listed,
// and the tenth may not wait. The log of the test is the table for people.
func TestFaults(t *testing.T) {
	// Not parallel: it measures milliseconds.
	faults := append(Faults(), Fault{Name: "port unreachable"})
	lists := make([]*Faulty, len(faults))
	var config strings.Builder
	for i, fault := range faults {
		name := faultZone(i)
		lists[i] = startFaulty(t, name)
		lists[i].Set(fault)
		if fault.Name == "port unreachable" {
			lists[i].Close()
		}
		config.WriteString(zone(name, "", lists[i].Addr))
	}
	proxy := startProxy(t, ProxyOptions{Config: config.String(), Hurried: true})
	wild := slices.IndexFunc(faults, func(f Fault) bool { return f.Name == "wildcard" })
	proxy.quarantined(t, faultZone(wild))

	runs := make([]faultRun, len(faults))
	var clients sync.WaitGroup
	for i, fault := range faults {
		clients.Go(func() { runs[i] = tenQuestions(proxy.Addr, fault.Name, faultZone(i)) })
	}
	clients.Wait()

	var table strings.Builder
	table.WriteString("| fault | the mail server gets | first question | tenth question | the log says |\n|---|---|---|---|---|\n")
	for i, run := range runs {
		for _, what := range run.broken {
			t.Errorf("%s: %s", run.fault, what)
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", run.fault, strings.Join(run.gets, ", "),
			millis(run.took[0]), millis(run.took[9]), logged(proxy.Output(), faultZone(i)))
	}
	t.Logf("\n%s", table.String())
}

// TestFaults_test_question has the metrics know why a list is unreachable that
// has refused our own question, so that no other has asked it.
func TestFaults_test_question(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.Set(faultNamed("error code 254"))
	proxy := startProxy(t, ProxyOptions{Config: zone("bl.example", "", list.Addr)})
	eventually(t, soon, "the error code to be counted", func() error {
		if proxy.metric(t, "dnsblproxy_list_errors_total", `zone="bl.example"`, `error="blocked"`) == 0 {
			return errors.New("it is not")
		}
		return nil
	})
}

func faultZone(i int) string { return fmt.Sprintf("f%d.example", i) }

func millis(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

func tenQuestions(proxy netip.AddrPort, fault, zone string) faultRun {
	run := faultRun{fault: fault}
	for n := range 14 {
		m := new(dns.Msg).SetQuestion(reverse(fmt.Sprintf("198.51.100.%d", 10+n), zone), dns.TypeA).SetEdns0(1232, false)
		began := awake()()
		answer, took, err := exchange("udp", proxy, m)
		run.took = append(run.took, took)
		got := "nothing"
		if err == nil {
			got = summary(answer)
		}
		if !slices.Contains(run.gets, got) {
			run.gets = append(run.gets, got)
		}
		if got != "unlisted" && got != "nodata" {
			run.broken = append(run.broken, fmt.Sprintf("question %d: %s, want unlisted (%v)", n+1, got, err))
		} else if len(answer.Ns) == 0 {
			run.broken = append(run.broken, fmt.Sprintf("question %d: no SOA", n+1))
		}
		if took := since(began); took > firstAtMost {
			run.broken = append(run.broken, fmt.Sprintf("question %d took %v", n+1, took))
		}
	}
	run.took[9] = slices.Min(run.took[9:])
	if run.took[9] > tenthAtMost {
		run.broken = append(run.broken, fmt.Sprintf("the tenth question took %v", run.took[9]))
	}
	return run
}

// logged is why a list changed its state, as the log has it, or else why the
// first decision about it failed.
func logged(log, zone string) string {
	said := regexp.MustCompile(`level=WARN msg=("list changed state"|decision) zone=` + regexp.QuoteMeta(zone) + ` .*reason=("(?:[^"\\]|\\.)*"|\S+)`)
	best := "nothing"
	for line := range strings.Lines(log) {
		m := said.FindStringSubmatch(line)
		if m == nil || best != "nothing" && m[1] == "decision" {
			continue
		}
		if reason, err := strconv.Unquote(m[2]); err == nil {
			m[2] = reason
		}
		if best = m[2]; m[1] != "decision" {
			break
		}
	}
	return best
}

// TestFaults_exemptionAndStale has a list that fails after it worked: what it
// said stays in force for a while, and exemptions all the time.
func TestFaults_exemptionAndStale(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.66": "127.0.0.2", "192.0.2.67": "127.0.0.2", "192.0.2.68": "127.0.0.4"})
	proxy := startProxy(t, ProxyOptions{Hurried: true, Config: "[cache]\nmax_ttl = \"1s\"\nmax_negative_ttl = \"1s\"\n" +
		zone("bl.example", `no_override = ["127.0.0.4"]`, list.Addr) + "[allow.some]\ncidr = [\"192.0.2.67\", \"192.0.2.68\"]\n"})
	want := map[string]string{"192.0.2.66": "listed 127.0.0.2", "192.0.2.67": "unlisted", "192.0.2.68": "listed 127.0.0.4"}
	verdicts(t, "healthy", proxy.Addr, "bl.example", want)
	for _, name := range []string{"silent", "servfail", "error code 254", "parked address"} {
		list.Set(faultNamed(name))
		eventually(t, soon, name+": a stale answer", func() error {
			m := ask(t, proxy.Addr, reverse("192.0.2.66", "bl.example"), dns.TypeA)
			if got := summary(m); got != want["192.0.2.66"] {
				return errors.New(got)
			}
			if ttl := m.Answer[0].Header().Ttl; ttl != 30 {
				return fmt.Errorf("TTL %d, want the 30 of a stale answer", ttl)
			}
			return nil
		})
		verdicts(t, name, proxy.Addr, "bl.example", want)
	}
	list.Set(Fault{})
	eventually(t, soon, "the list to be asked again", func() error {
		if got := verdict(t, proxy.Addr, "192.0.2.1", "bl.example"); got != "unlisted" {
			return errors.New(got)
		}
		if list.AskedFor("192.0.2.1") == 0 {
			return errors.New("the list has not been asked")
		}
		return nil
	})
}

// TestOnFailure_servfail is the honest setting, for a list that fails; but one
// that answers error codes does so to every question, which SERVFAIL would have
// mail servers ask again and again.
func TestOnFailure_servfail(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	proxy := startProxy(t, ProxyOptions{Config: zone("bl.example", `on_failure = "servfail"`, list.Addr) +
		"[allow.some]\ncidr = [\"192.0.2.67\"]\n"})
	list.Set(faultNamed("servfail"))
	verdicts(t, "a failing list", proxy.Addr, "bl.example", map[string]string{"192.0.2.1": "failed SERVFAIL", "192.0.2.67": "unlisted"})
	list.Set(faultNamed("error code 254"))
	asked := 0
	eventually(t, soon, "the breaker to open for the error code", func() error {
		asked++ // a test of the list may have passed just before it failed
		subject := fmt.Sprintf("198.51.100.%d", 1+asked%250)
		if got := verdict(t, proxy.Addr, subject, "bl.example"); got != "unlisted" {
			return fmt.Errorf("%s is %s", subject, got)
		}
		return mentions(proxy.page(t, "/api/v1/zones"), "127.255.255.254")
	})
}

// TestCoalesced asks one question from many clients at once; the list sees one.
func TestCoalesced(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	list.List(map[string]string{"192.0.2.66": "127.0.0.2"})
	proxy := startProxy(t, ProxyOptions{Config: zone("bl.example", "", list.Addr)})
	list.Set(Fault{delay: 300 * time.Millisecond})
	var clients sync.WaitGroup
	for range 50 {
		clients.Go(func() {
			m, _, err := exchange("udp", proxy.Addr, new(dns.Msg).SetQuestion(reverse("192.0.2.66", "bl.example"), dns.TypeA))
			if err != nil {
				t.Error(err)
			} else if got := summary(m); got != "listed 127.0.0.2" {
				t.Error(got)
			}
		})
	}
	clients.Wait()
	if n := list.AskedFor("192.0.2.66"); n != 1 {
		t.Errorf("50 clients with one question made %d upstream, want 1", n)
	}
}
