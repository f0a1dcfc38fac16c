package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"dnsblproxy/bench/internal/load"
	"dnsblproxy/bench/internal/peers"
	"dnsblproxy/bench/internal/replay"
	"dnsblproxy/bench/internal/trace"
	"dnsblproxy/cache"
)

// The proxy's defaults, with which all are compared.
const (
	traceMaxTTL      = time.Hour
	traceMaxNegative = 15 * time.Minute
	traceStale       = time.Hour
)

// traceFactor is how much shorter all times are on the wire than in the trace.
const traceFactor = 20

// Sizes of caches, in MiB: room for all, for what lives at one time, and for half
// of that.
const (
	roomy = 64
	tight = 2
	small = 1
)

// trace counts the questions to the lists.
func (b *bench) trace(ctx context.Context) error {
	t := &Traced{Factor: traceFactor}
	p := trace.Default()
	t.Seed = p.Seed
	p.For = 4 * time.Hour
	if b.o.short {
		p.For = time.Hour
	}
	p.Lists = aged(p.Lists, 1)
	var err error
	if t.Simulated, err = simulate(ctx, &p); err != nil {
		return err
	}
	p.Start, p.For, p.Rate = 12*time.Hour, 50*time.Minute, 3
	if b.o.short {
		p.For = 5 * time.Minute
	}
	p.Lists = aged(trace.Lists(), traceFactor)
	if t.Sockets, err = b.sockets(ctx, &p); err != nil {
		return err
	}
	b.res.Trace = t
	return nil
}

// aged are lists whose answers live as caches with the usual bounds let them,
// if TTLs are divided by factor on the wire.
func aged(lists []trace.List, factor int) []trace.List {
	for i := range lists {
		l := &lists[i]
		for ttl, most := range map[*uint32]time.Duration{&l.Positive: traceMaxTTL, &l.Negative: traceMaxNegative} {
			secs := min(float64(*ttl), most.Seconds())
			*ttl = uint32(max(math.Round(secs/float64(factor)), 1)) * uint32(factor)
		}
	}
	return lists
}

func newPart(p *trace.Params) (part TracePart, all []trace.Question) {
	all = p.All()
	part = TracePart{Hours: p.For.Hours(), Connections: len(p.Connections()), Questions: len(all)}
	part.EachType = part.per(p.EachType(all))
	part.Rows = []TraceRow{{Who: idealInfinite, Asked: part.per(p.Infinite(all))}}
	return part, all
}

// per is n per 1,000 questions.
func (p *TracePart) per(n int) float64 { return float64(n) * 1000 / float64(p.Questions) }

// simulate replays a trace with the program's resolver.
func simulate(ctx context.Context, p *trace.Params) (TracePart, error) {
	part, all := newPart(p)
	for _, mb := range []int{roomy, tight, small} {
		room := cache.Capacity(int64(mb) << 20)
		part.Rows = append(part.Rows,
			TraceRow{Who: idealMIN, CacheMB: mb, Asked: part.per(p.MIN(all, room))},
			TraceRow{Who: idealLRU, CacheMB: mb, Asked: part.per(p.LRU(all, room))})
		for _, prefetch := range []bool{false, true} {
			o := replay.Options{
				Trace: p, Bytes: int64(mb) << 20, Prefetch: prefetch,
				MaxTTL: traceMaxTTL, MaxNegativeTTL: traceMaxNegative,
			}
			if prefetch {
				o.Stale = traceStale
			}
			c, err := replay.Run(o, all)
			if err != nil {
				return part, err
			}
			part.Rows = append(part.Rows, TraceRow{
				Who: peers.Proxy, CacheMB: mb, Prefetch: prefetch,
				Asked: part.per(c.Asked()), Renewed: part.per(c.Renewed), Useful: part.per(c.Useful),
			})
			if err := ctx.Err(); err != nil {
				return part, err
			}
		}
	}
	return part, nil
}

// roundedUp is endless room for a cache that keeps answers for half a second
// longer than their TTL, as one does on average whose clock has whole seconds
// and which answers in the last of them still.
func roundedUp(p trace.Params, all []trace.Question) int {
	p.Slack = traceFactor * time.Second / 2
	return p.Infinite(all)
}

// sockets has programs answer a trace, all at once, each in front of lists of its
// own.
func (b *bench) sockets(ctx context.Context, p *trace.Params) (TracePart, error) {
	part, all := newPart(p)
	part.Rows = append(part.Rows, TraceRow{Who: "rounded up", Asked: part.per(roundedUp(*p, all))})
	var kinds []peers.Kind // of the rows from here on
	first := len(part.Rows)
	for _, k := range b.kinds() {
		if k.Name != peers.Proxy && k.Name != unboundName {
			continue
		}
		for _, c := range []TraceRow{{CacheMB: roomy}, {CacheMB: roomy, Prefetch: true}, {CacheMB: small, Prefetch: true}} {
			c.Who = k.Name
			part.Rows, kinds = append(part.Rows, c), append(kinds, k.Traced())
		}
	}
	errs := make([]error, len(kinds))
	var wait sync.WaitGroup
	for i, k := range kinds {
		wait.Go(func() {
			row := &part.Rows[first+i]
			asked, lost, err := b.played(ctx, k, *row, p, all)
			row.Asked, row.Lost = part.per(asked), lost
			if err != nil {
				errs[i] = fmt.Errorf("%s: %w", k.Name, err)
			}
		})
	}
	wait.Wait()
	return part, errors.Join(errs...)
}

// played has one program answer a trace, and counts what its lists are asked.
func (b *bench) played(ctx context.Context, k peers.Kind, row TraceRow, p *trace.Params, all []trace.Question) (asked, lost int, err error) {
	set := peers.Settings{CacheMB: row.CacheMB, Processors: []int{b.server}, Aging: peers.Aging{
		MaxTTL: int(traceMaxTTL.Seconds()) / traceFactor, MaxNegative: int(traceMaxNegative.Seconds()) / traceFactor, Prefetch: row.Prefetch,
	}}
	if row.Prefetch {
		set.Stale = int(traceStale.Seconds()) / traceFactor
	}
	numbers := map[string]int{}
	var zones []load.Zone
	for i := range p.Lists {
		name := fmt.Sprintf("l%d", i)
		numbers[name] = i
		set.Zones = append(set.Zones, name+"."+zone)
		zones = append(zones, load.NewZone(name+"."+zone))
	}
	set.Zone = set.Zones[0]
	list, err := peers.NewLists(func(name string, addr uint32) (bool, uint32) {
		i, ok := numbers[name]
		if !ok {
			return false, 1
		}
		return p.Listed(i, addr), uint32(p.Life(i, addr)/time.Second) / traceFactor
	})
	if err != nil {
		return 0, 0, err
	}
	defer list.Close()
	set.List = list.Addr
	s, err := k.Start(set)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	before := list.Asked()
	due := make([]load.Due, len(all))
	for i, q := range all {
		due[i] = load.Due{At: q.At / traceFactor, Zone: zones[q.List], Addr: q.Addr, Type: load.TypeA}
		if q.Text {
			due[i].Type = load.TypeTXT
		}
	}
	lost, err = load.Play(ctx, s.Addr, due)
	return list.Asked() - before, lost, err
}
