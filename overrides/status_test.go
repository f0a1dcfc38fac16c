package overrides

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::/126 -all"
		rules := []Rule{
			allow(func(r *Rule) {
				// The file's /29 lies within the SPF record's /28.
				r.SPF, r.CIDR, r.Except = []string{"efax.com", "gone.example"}, []string{"192.0.2.0/29", "192.0.2.64"}, []string{"192.0.2.1", "203.0.113.0/24"}
			}),
			{Name: "local", Action: Deny, Enabled: true, Zones: []string{"z.example"}, CIDR: []string{"198.51.100.66"}},
		}
		tl := start(t, dns, Options{Registerer: reg}, rules...)
		const want = `
# HELP dnsblproxy_rule_addresses Distinct addresses that a rule's fixed entries hold, by family (ip4, ip6).
# TYPE dnsblproxy_rule_addresses gauge
dnsblproxy_rule_addresses{family="ip4",rule="efax"} 16
dnsblproxy_rule_addresses{family="ip4",rule="local"} 1
dnsblproxy_rule_addresses{family="ip6",rule="efax"} 4
dnsblproxy_rule_addresses{family="ip6",rule="local"} 0
# HELP dnsblproxy_source_failures_total Attempts to load a rule's source that failed.
# TYPE dnsblproxy_source_failures_total counter
dnsblproxy_source_failures_total{rule="efax",source="cidr"} 0
dnsblproxy_source_failures_total{rule="efax",source="spf efax.com"} 0
dnsblproxy_source_failures_total{rule="efax",source="spf gone.example"} 1
dnsblproxy_source_failures_total{rule="local",source="cidr"} 0
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "dnsblproxy_rule_addresses", "dnsblproxy_source_failures_total"); err != nil {
			t.Error(err)
		}
		if n, err := testutil.GatherAndCount(reg, "dnsblproxy_source_last_success_timestamp_seconds"); err != nil || n != 3 {
			t.Errorf("%d series of the last success, %v, want 3", n, err)
		}
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
		if err := tl.Replace(rules[1:]); err != nil {
			t.Fatal(err)
		}
		if n, err := testutil.GatherAndCount(reg, "dnsblproxy_rule_addresses"); err != nil || n != 2 {
			t.Errorf("%d series of one rule, %v, want 2", n, err)
		}
	})
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.txt["efax.com"] = "v=spf1 ip4:10.0.0.0/15 exists:%{i}.efax.com -all"
		tl := start(t, dns, Options{}, spfRule("efax.com"))
		st := tl.status()
		if st.V4 != 1<<17 || st.Live4 != 1<<32-1<<17 || st.V6 != 0 || !st.Tried || !st.Enabled {
			t.Errorf("status = %+v", st)
		}
		if age := time.Since(st.LastSuccess); age > time.Second {
			t.Errorf("LastSuccess is %s old", age)
		}
		if left := time.Until(st.Next); left < 4*time.Minute || left > 5*time.Minute {
			t.Errorf("the next attempt is in %s, want a bit less than the TTL", left)
		}
		text := strings.Join(st.Warnings, "\n")
		for _, want := range []string{"opens 131072 IPv4 addresses", "exists:%{i}.efax.com"} {
			if !strings.Contains(text, want) {
				t.Errorf("warnings lack %q: %q", want, text)
			}
		}
	})
}

// What could never be asked for as a whole was never confirmed, whatever is loaded
// or restarted meanwhile: alerts look at that time.
func TestStatus_never_confirmed(t *testing.T) {
	dns := newFakeDNS()
	dns.hosts["mail.example.com"], dns.asked["aaaa"] = "192.0.2.1", 1
	opts := Options{Resolver: noAAAA{dns}, StateDir: t.TempDir()}
	rules := []Rule{allow(func(r *Rule) { r.A = []string{"mail.example.com"} })}
	for range 2 {
		run(t, nil, opts, rules, func(tl *timeline) {
			for range 2 {
				tl.want("in part", "+192.0.2.1")
				if st := tl.status(); !st.LastSuccess.IsZero() || st.LastError == "" {
					t.Errorf("confirmed at %s, %q", st.LastSuccess, st.LastError)
				}
				if err := tl.Replace(rules); err != nil {
					t.Fatal(err)
				}
				tl.elapse(time.Minute)
			}
		})
	}
}
