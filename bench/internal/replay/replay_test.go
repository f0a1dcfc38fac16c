package replay

import (
	"testing"
	"time"

	"dnsblproxy/bench/internal/trace"
)

// hour is a quiet hour, in which answers live for up to 15 minutes.
func hour() (*trace.Params, []trace.Question) {
	p := trace.Default()
	p.For, p.Rate = time.Hour, .3
	for i := range p.Lists {
		p.Lists[i].Negative = min(p.Lists[i].Negative, 900)
	}
	return &p, p.All()
}

func run(t *testing.T, p *trace.Params, all []trace.Question, prefetch bool) Counts {
	t.Helper()
	c, err := Run(Options{
		Trace: p, Bytes: 16 << 20, Prefetch: prefetch, Stale: time.Hour,
		MaxTTL: time.Hour, MaxNegativeTTL: 15 * time.Minute,
	}, all)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRun_asks_what_it_must: with room for all, the resolver asks for each record
// once for each of its lives. It counts whole seconds, so that lives are shorter
// by up to one.
func TestRun_asks_what_it_must(t *testing.T) {
	p, all := hour()
	c := run(t, p, all, false)
	must := p.Infinite(all)
	if c.Renewed != 0 {
		t.Errorf("without prefetching %+v", c)
	}
	if c.Asked() < must || c.Asked() > must+must/100 {
		t.Errorf("asked %d times, want %d and hardly more", c.Asked(), must)
	}
	if c.Asked() >= p.EachType(all) {
		t.Errorf("asked %d times: no less than if an NXDOMAIN held for one type (%d)", c.Asked(), p.EachType(all))
	}
	if again := run(t, p, all, false); again != c {
		t.Errorf("%+v, and then %+v", c, again)
	}
}

// TestRun_renews: a good part of what is fetched before anybody waits for it is
// used, and the lists are hardly asked more.
func TestRun_renews(t *testing.T) {
	p, all := hour()
	without, c := run(t, p, all, false), run(t, p, all, true)
	if c.Renewed == 0 || c.Waited >= without.Waited {
		t.Errorf("%+v with prefetch, %+v without", c, without)
	}
	// The last renewals of the hour have nobody to be of use to.
	if c.Useful < c.Renewed/3 {
		t.Errorf("%d of %d renewals were of use", c.Useful, c.Renewed)
	}
	if c.Asked() > without.Asked()+without.Asked()/100 {
		t.Errorf("asked %d times with prefetch, %d without", c.Asked(), without.Asked())
	}
}
