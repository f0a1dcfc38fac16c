package admin

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sceneNow is when the scene is looked at.
func sceneNow() time.Time { return time.Date(2026, 11, 20, 14, 32, 7, 0, time.UTC) }

// worth is a row of the report.
type worth struct {
	Zone                                          string
	Questions, Listings, Exempted, Unique, Errors uint64
}

// scene is a mail server's afternoon: what tests and screenshots show.
func scene(t *testing.T) PageOptions {
	t.Helper()
	return PageOptions{
		Overview: sceneOverview, Figures: sceneMetrics(t), History: sceneHistory(),
		Journal: sceneJournal(), Now: sceneNow,
		Worth: func() any {
			return []worth{
				{"zen.spamhaus.org", 541_020, 139_411, 96, 61_903, 7}, {"bl.spamcop.net", 480_377, 28_040, 31, 1_206, 20},
				{"dnsbl.example.net", 110_200, 17_811, 1_904, 212, 1_911}, {"list.dnswl.org", 260_118, 74_996, 0, 0, 0},
			}
		},
		Entries: func(_ string, most int) ([]Entry, int) {
			var all []Entry
			for i := range 24 {
				all = append(all, Entry{Entry: fmt.Sprintf("198.51.100.%d", 4*i+1), Source: "spf efax.com"})
			}
			return all[:min(most, len(all))], 24
		},
		Lookup: func(_ context.Context, subject string) ([]Answer, error) {
			if _, err := netip.ParseAddr(subject); err != nil {
				return nil, BadRequest("%q is neither an address nor a domain", subject)
			}
			return sceneAnswers(), nil
		},
	}
}

func sceneOverview() Overview {
	ago := func(d time.Duration) time.Time { return sceneNow().Add(-d) }
	return Overview{
		Version: "v1.0.0", Started: ago(76 * time.Hour), Reloaded: true,
		Lists: []List{
			{Zone: "zen.spamhaus.org", Name: "Spamhaus ZEN", Docs: "https://docs.example.org/zen", Source: "upstream", Mode: "enforce",
				Kind: "block", State: "healthy", Budget: &Budget{300_000, 48_211, 79_000}},
			{Zone: "bl.spamcop.net", Name: "SpamCop", Docs: "https://docs.example.org/spamcop", Source: "upstream", Mode: "enforce",
				Kind: "block", State: "healthy"},
			{Zone: "dnsbl.example.net", Source: "upstream", Mode: "observe", Kind: "block", State: "unreachable",
				Reason: "the test question for ip4 fails: no answer in time", Since: ago(17 * time.Minute)},
			{Zone: "list.dnswl.org", Name: "DNSWL.org", Docs: "https://docs.example.org/dnswl", Source: "upstream", Mode: "enforce",
				Kind: "allow", State: "healthy"},
			{Zone: "local.rbl.internal", Source: "deny", Mode: "enforce", Kind: "block"},
		},
		Rules: []Rule{
			{Name: "efax", Action: "allow", Comment: "fax notifications", Enabled: true, V4: 1_234, V6: math.Pow(2, 65)},
			{Name: "hosting", Action: "allow", Zones: []string{"zen.spamhaus.org"}, Enabled: true, V4: 49_152},
			{Name: "conference", Action: "allow", Comment: "gone after the event", Expires: "2026-10-31"},
			{Name: "local", Action: "deny", Enabled: true, Zones: []string{"local.rbl.internal"}, V4: 3},
		},
		Sources: []Source{
			{Rule: "efax", Action: "allow", What: "spf efax.com", V4: 1_024, V6: math.Pow(2, 65), LastSuccess: ago(4 * time.Minute), Next: ago(-11 * time.Minute)},
			{Rule: "efax", Action: "allow", What: "url https://ipranges.efax.com/", V4: 210, LastSuccess: ago(22 * time.Minute), Next: ago(-38 * time.Minute)},
			{Rule: "hosting", Action: "allow", What: "file allow.d/hosting.txt", V4: 49_152, LastSuccess: ago(2 * time.Hour)},
			{Rule: "hosting", Action: "allow", What: "mx mail.example.com", LastSuccess: ago(26 * time.Hour), Next: ago(-50 * time.Second), Failures: 9,
				Error: "looking up mail.example.com: no name server answered in time"},
			{Rule: "conference", Action: "allow", What: "cidr", V4: 256, LastSuccess: ago(76 * time.Hour)},
			{Rule: "local", Action: "deny", What: "cidr", V4: 3, LastSuccess: ago(76 * time.Hour)},
		},
	}
}

func sceneMetrics(t *testing.T) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewRegistry()
	counter := func(name string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dnsblproxy_" + name, Help: "Scene."}, labels)
		reg.MustRegister(v)
		return v
	}
	queries, cache := counter("queries_total", "zone", "verdict"), counter("cache_requests_total", "zone", "result")
	errors := counter("list_errors_total", "zone", "error")
	exempt, saved := counter("exemptions_total", "zone", "rule"), counter("exempted_listings_total", "zone", "rule", "code")
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "dnsblproxy_upstream_duration_seconds", Help: "Scene.", Buckets: []float64{.005, .01, .02, .05, .1, .2, .5, 1},
	}, []string{"zone"})
	all := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "dnsblproxy_query_duration_seconds", Help: "Scene.", Buckets: sceneBounds(),
	}, []string{"path"})
	reg.MustRegister(took, all)
	for zone, n := range map[string][4]float64{ // unlisted, listed, exempt, failed
		"zen.spamhaus.org": {182_340, 61_204, 812, 3}, "bl.spamcop.net": {201_877, 12_010, 790, 9},
		"dnsbl.example.net": {40_100, 6_500, 601, 841}, "list.dnswl.org": {77_012, 31_977, 0, 0}, "local.rbl.internal": {244_000, 0, 14, 0},
	} {
		for i, verdict := range []string{"unlisted", "listed", "exempt", "failed"} {
			queries.WithLabelValues(zone, verdict).Add(n[i])
		}
		if zone == "local.rbl.internal" {
			queries.WithLabelValues(zone, "denied").Add(311)
			continue
		}
		cache.WithLabelValues(zone, "hit").Add(n[0] * .8)
		cache.WithLabelValues(zone, "miss").Add(n[0]*.2 + n[1])
		for i := range 40 {
			took.WithLabelValues(zone).Observe(.004 * float64(i%7+1))
		}
	}
	own := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "dnsblproxy_watch_listed", Help: "Scene."}, []string{"watch", "zone"})
	reg.MustRegister(own)
	own.WithLabelValues("outbound", "zen.spamhaus.org").Set(0)
	own.WithLabelValues("outbound", "bl.spamcop.net").Set(0)
	errors.WithLabelValues("dnsbl.example.net", "timeout").Add(841)
	queries.WithLabelValues("", "forwarded").Add(1_200)
	exempt.WithLabelValues("zen.spamhaus.org", "efax").Add(701)
	saved.WithLabelValues("zen.spamhaus.org", "efax", "CSS").Add(96)
	exempt.WithLabelValues("zen.spamhaus.org", "hosting").Add(111)
	for range 90 {
		all.WithLabelValues("hit").Observe(18e-6)
		all.WithLabelValues("forward").Observe(3)
	}
	for range 10 {
		all.WithLabelValues("miss").Observe(.013)
	}
	return reg
}

func sceneBounds() []float64 { return []float64{1e-5, 5e-5, 2e-4, 1e-3, 5e-3, 2e-2, 1e-1, 5e-1, 2} }

// sceneHistory is six hours with an incident.
func sceneHistory() *History {
	h, r := NewHistory(nil, nil), rand.New(rand.NewPCG(1, 2))
	start := sceneNow().Add(-historySpan)
	for i := range historySamples {
		s := sample{at: start.Add(time.Duration(i+1) * historyStep), took: make([]uint32, len(sceneBounds())+1)}
		busy := 1 + .35*math.Sin(float64(i)/310) + .1*r.Float64()
		ill := i > historySamples-104 && i < historySamples-58
		s.verdicts = [len(chartKinds)]uint32{uint32(16 * busy), uint32(r.IntN(2)), uint32(1 + r.IntN(4)), 0, uint32(52 * busy), uint32(3 * busy)}
		s.took = []uint32{uint32(20 * busy), uint32(40 * busy), 4, 1, 2, uint32(6 * busy), uint32(3 * busy * r.Float64()), 0, 0, 0}
		if ill {
			s.verdicts[3], s.took[7], s.took[6] = uint32(3+r.IntN(6)), 6, 14
		}
		h.add(s, sceneBounds())
	}
	return h
}

func sceneJournal() *Journal {
	j := NewJournal(1000)
	for i := range 140 {
		d := Decision{
			Time: sceneNow().Add(-time.Duration(140-i) * 9 * time.Second), Zone: "zen.spamhaus.org",
			Subject: fmt.Sprintf("203.0.113.%d", i*37%256), Client: "127.0.0.1", Verdict: "listed", Codes: []string{"XBL", "PBL"},
		}
		switch {
		case i%9 == 4:
			d.Verdict, d.Rule, d.Source, d.Codes = "exempt", "efax", "spf efax.com", []string{"CSS"}
			d.Subject = fmt.Sprintf("198.51.100.%d", i)
		case i%11 == 7:
			d.Verdict, d.Codes, d.Zone, d.Reason = "failed", nil, "dnsbl.example.net", "no answer in time"
		case i%13 == 2:
			d.Verdict, d.Rule, d.Source, d.Codes, d.Zone = "denied", "local", "cidr", []string{"127.0.0.2"}, "local.rbl.internal"
		case i%5 == 3:
			d.Zone, d.Codes, d.Observe = "bl.spamcop.net", []string{"127.0.0.2"}, i%2 == 0
		}
		j.Add(d)
	}
	return j
}

func sceneAnswers() []Answer {
	return []Answer{
		{Zone: "zen.spamhaus.org", Verdict: "exempt", Codes: []string{"CSS"}, Rule: "efax", Source: "spf efax.com",
			Reason: "the list has it; an exemption removed the listing", TookMS: 11.4, Steps: []Step{
				{5, "the rule efax exempts it (spf efax.com), but the zone has codes that no exemption removes"},
				{7, "the list answered 127.0.0.3 (CSS)"}, {7, "the exemption removes 127.0.0.3 (CSS)"}}},
		{Zone: "bl.spamcop.net", Verdict: "unlisted", TookMS: .021, Steps: []Step{
			{5, "no rule has it"}, {7, "the list does not have it (cached, 840 s left)"}}},
	}
}

// sceneHandler serves the scene as the real server would.
func sceneHandler(t *testing.T, change func(*PageOptions)) http.Handler {
	t.Helper()
	o := scene(t)
	if change != nil {
		change(&o)
	}
	page := NewPage(o)
	return NewHandler(Options{Listen: netip.MustParseAddrPort("127.0.0.1:9353"), Page: page})
}
