// Package replay asks a resolver what mail servers asked in the course of hours,
// in seconds: the resolver is the program's own, with its cache and its flights,
// and goes by a clock that is set to the time of each question. Its lists are
// not servers but functions, which count how often they are asked, by whom, and
// what became of renewals in the background.
//
// What it leaves out: lists that fail or take their time, and the moments between
// a question to a list and its answer, in which others ask the same.
package replay

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"dnsblproxy/bench/internal/load"
	"dnsblproxy/bench/internal/trace"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver"
	"dnsblproxy/resolver/rbl"
)

// Options are what a replay may vary.
type Options struct {
	Trace    *trace.Params
	Bytes    int64 // the cache's
	Prefetch bool
	Stale    time.Duration

	MaxTTL, MaxNegativeTTL time.Duration
}

// Counts are what a replay found.
type Counts struct {
	Waited  int // questions of the mail servers that had to wait for the list
	Renewed int // asked in the background
	Useful  int // of these, that saved somebody a wait
}

// Asked is how many questions went to the lists.
func (c Counts) Asked() int { return c.Waited + c.Renewed }

// Run replays all.
func Run(o Options, all []trace.Question) (counts Counts, err error) {
	a, err := newAsker(o)
	if err != nil {
		return counts, err
	}
	defer a.r.Close()
	began := a.now
	for _, q := range all {
		if at := began.Add(q.At); !at.Equal(a.now) {
			a.now = at
			a.r.Tick()
		}
		typ := uint16(load.TypeA)
		if q.Text {
			typ = load.TypeTXT
		}
		a.ask(a.wires[q.List], q.Addr, typ)
		a.lists[q.List].used(q.Addr, typ)
	}
	for _, l := range a.lists {
		counts.Waited += l.waited
		counts.Renewed += l.renewed
		counts.Useful += l.useful
	}
	if a.failed > 0 {
		return counts, fmt.Errorf("replaying: %d questions were not answered", a.failed)
	}
	return counts, nil
}

// asker asks one question at a time.
type asker struct {
	r      *resolver.Resolver
	sc     *resolver.Scratch
	client netip.Addr
	pkt    []byte
	failed int

	now    time.Time
	lists  []*list
	wires  []load.Zone
	flying sync.WaitGroup // questions to the lists
}

// newAsker makes a resolver with a zone for each list.
func newAsker(o Options) (*asker, error) {
	a := &asker{
		sc: resolver.NewScratch(0), client: netip.AddrFrom4([4]byte{127, 0, 0, 1}), now: time.Unix(1_800_000_000, 0),
	}
	var zones []resolver.ZoneOptions
	for i := range o.Trace.Lists {
		name := fmt.Sprintf("l%d.bench.internal", i)
		l := newList(o, i, &a.now, &a.flying)
		a.lists, a.wires = append(a.lists, l), append(a.wires, load.NewZone(name))
		zones = append(zones, resolver.ZoneOptions{
			Name: name, Upstream: name, Fingerprint: name, List: l, Holds: rbl.HoldsAll, Listed: rbl.DefaultListed(),
		})
	}
	rules, err := overrides.Open(nil, overrides.Options{})
	if err != nil {
		return nil, fmt.Errorf("making rules: %w", err)
	}
	a.r, err = resolver.New(resolver.Options{Rules: rules, CacheSize: o.Bytes, Now: func() time.Time { return a.now }})
	if err != nil {
		return nil, err
	}
	err = a.r.Configure(resolver.Settings{
		Zones: zones, Clients: []netip.Prefix{netip.PrefixFrom(a.client, 8).Masked()},
		MaxTTL: o.MaxTTL, MaxNegativeTTL: o.MaxNegativeTTL, Stale: o.Stale, Prefetch: o.Prefetch,
	})
	if err != nil {
		a.r.Close()
		return nil, err
	}
	return a, nil
}

// ask waits for the answer and for what is renewed in the background.
func (a *asker) ask(zone load.Zone, addr uint32, typ uint16) {
	a.pkt = zone.Append(a.pkt[:0], 1, addr, typ)
	out, done := a.r.Respond(a.sc, a.pkt, a.client, false)
	if done {
		a.judge(out)
	} else {
		answer := make(chan struct{})
		a.r.Await(a.sc, a.pkt, a.client, false, func(out []byte) { a.judge(out); close(answer) })
		<-answer
	}
	a.flying.Wait()
}

func (a *asker) judge(out []byte) {
	if len(out) < 12 || out[3]&0xf != 0 && out[3]&0xf != 3 {
		a.failed++
	}
}
