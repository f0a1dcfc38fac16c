package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"dnsblproxy/bench/internal/peers"
)

// Traced is how many questions go to the lists while mail servers ask for hours.
// Figures of questions are per 1,000 of the mail servers'.
type Traced struct {
	Seed uint64 `json:"seed"`

	// Simulated is the program's resolver under a clock of ours, beside caches
	// that know the future.
	Simulated TracePart `json:"simulated"`

	// Sockets are programs in real time, with all TTLs divided by Factor.
	Sockets TracePart `json:"sockets"`
	Factor  int       `json:"factor"`
}

// TracePart is what one trace found.
type TracePart struct {
	Hours       float64    `json:"hours"` // of the trace
	Connections int        `json:"connections"`
	Questions   int        `json:"questions"`
	EachType    float64    `json:"each_type"` // asked with endless room if an NXDOMAIN holds for one type only
	Rows        []TraceRow `json:"rows"`
}

// TraceRow is what one cache asked.
type TraceRow struct {
	Who      string  `json:"who"`
	CacheMB  int     `json:"cache_mb,omitempty"`
	Prefetch bool    `json:"prefetch_and_stale"`
	Asked    float64 `json:"asked"`
	Renewed  float64 `json:"renewed,omitempty"` // of these, in the background
	Useful   float64 `json:"useful,omitempty"`  // of these, such as saved somebody a wait
	Lost     int     `json:"lost,omitempty"`    // questions of the mail servers without an answer
}

// The ideal caches' names.
const (
	idealInfinite = "endless room"
	idealMIN      = "MIN"
	idealLRU      = "LRU"
)

// find is a row; its figures are 0 if it is not there.
func (p *TracePart) find(who string, mb int, prefetch bool) TraceRow {
	for _, r := range p.Rows {
		if r.Who == who && r.CacheMB == mb && r.Prefetch == prefetch {
			return r
		}
	}
	return TraceRow{}
}

// ratio is a divided by b, 0 without b.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// print writes a table of the part.
func (p *TracePart) print(w io.Writer, title string) {
	if len(p.Rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s: %.1f hours, %d connections, %d questions\n", title, p.Hours, p.Connections, p.Questions)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "cache\tMiB\tprefetch, stale\tasked per 1,000\tin the background\tof use\tof endless room's\tof MIN's\tof unbound's\t\n")
	least := p.find(idealInfinite, 0, false).Asked
	for _, r := range p.Rows {
		yes, unbound := "no", ""
		if r.Prefetch {
			yes = "yes"
		}
		if r.Who == peers.Proxy {
			unbound = orNone(ratio(r.Asked, p.find(unboundName, r.CacheMB, r.Prefetch).Asked))
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%.1f\t%.1f\t%.1f\t%s\t%s\t%s\t\n", r.Who, r.CacheMB, yes, r.Asked, r.Renewed, r.Useful,
			orNone(ratio(r.Asked, least)), orNone(ratio(r.Asked, p.find(idealMIN, r.CacheMB, false).Asked)), unbound)
	}
	_ = t.Flush()
	for _, r := range p.Rows {
		if r.Lost > 0 {
			fmt.Fprintf(w, "%s, %d MiB: %d questions had no answer\n", r.Who, r.CacheMB, r.Lost)
		}
	}
}

// orNone leaves out what was not found.
func orNone(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.3f", x)
}

// unboundName is the peer that has the same settings.
const unboundName = "unbound"

// print writes the tables, and how far they can be believed.
func (t *Traced) print(w io.Writer) {
	t.Simulated.print(w, "questions to ten lists, simulated time")
	t.Sockets.print(w, fmt.Sprintf("over sockets, %d times as fast", t.Factor))
	if len(t.Sockets.Rows) > 0 {
		fmt.Fprintf(w, "Every TTL is divided by %d and rounded to whole seconds, at least 1. A TTL of n s lasts from n-1 to n s with the proxy,\n"+
			"from n to n+1 s with unbound, which so asks less than it would in real time; \"rounded up\" is endless room with lives of n+½ s.\n", t.Factor)
	}
}

// targets are that the lists are asked no more than unbound asks them, and
// hardly more than the ideal of the same size does.
func (t *Traced) targets(add func(what string, figure, most float64)) {
	for _, r := range t.Sockets.Rows {
		if other := t.Sockets.find(unboundName, r.CacheMB, r.Prefetch); r.Who == peers.Proxy && other.Asked > 0 {
			with := "off"
			if r.Prefetch {
				with = "on"
			}
			add(fmt.Sprintf("questions to ten lists, %d MiB, prefetch and stale %s, of unbound's", r.CacheMB, with), r.Asked/other.Asked, 1)
		}
	}
}
