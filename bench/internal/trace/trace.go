package trace

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Params are what a trace is made of.
type Params struct {
	Seed  uint64
	Start time.Duration // of the day
	For   time.Duration
	Rate  float64 // connections a second, in the mean of a day

	// Regular clients, and how steeply their share falls: the n-th most busy
	// connects in proportion to 1/n^Zipf. Connections per source are Zipf-like
	// (Jung and Sit, An Empirical Study of Spam Traffic and the Use of DNS Black
	// Lists, 2004); the exponent and the number are assumed.
	Clients int
	Zipf    float64

	// Shares of the connections that are of new addresses and of bursts. The
	// rest are regular clients'.
	Once, Burst float64

	// Retry is the chance that an address of spam comes once more, each time.
	Retry float64

	Lists []List

	// Slack is how much longer than its TTL an answer is used.
	Slack time.Duration
}

// Default are the parameters of a site of middling size. Half of its connections
// are of clients that come again. Shares and rate are assumed.
func Default() Params {
	return Params{
		Seed: 5782, Start: 6 * time.Hour, For: 8 * time.Hour, Rate: 1.5,
		Clients: 20_000, Zipf: 1.05, Once: .35, Burst: .15, Retry: .4, Lists: Lists(),
	}
}

// swing is how far the rate of an hour departs from the mean, with its peak at
// 14:00. Mail servers' days differ by more between night and noon.
const swing = 0.6

// Connection is one client that connects: all lists are asked about it.
type Connection struct {
	At   time.Duration // from the trace's start
	Addr uint32
}

// Question is one that the mail server asks.
type Question struct {
	At   time.Duration
	Addr uint32
	List int
	Text bool // TXT instead of A
}

// The classes of addresses, by their first octet.
const (
	regularFrom = 20
	onceFrom    = 80
	burstFrom   = 180
	burstTo     = 220
)

// mix is a number that looks random made of a and b: splitmix64's finaliser.
func mix(a, b uint64) uint64 {
	x := a + b*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// share is mix as a number from 0 to 1.
func share(a, b uint64) float64 { return float64(mix(a, b)>>11) / (1 << 53) }

// notorious is the share of spam sources that any list has: 80 % of those that
// Jung and Sit identified.
const notorious = 0.8

// Listed reports whether a list has an address. It is the same for the whole
// trace. The addresses of a /24 that sends bursts share one fate: of 14,217
// addresses that three lists or more had on one day (stamparm/ipsum, level 3,
// 2026-08-22) 56 % had company in their /24.
func (p *Params) Listed(list int, addr uint32) bool {
	l := &p.Lists[list]
	who := uint64(addr)
	switch first := addr >> 24; {
	case first < onceFrom:
		return share(who, uint64(list)+100) < l.Regular
	case first >= burstFrom:
		who >>= 8
	}
	return share(who, 99) < notorious && share(who, uint64(list)+100) < l.Spam/notorious
}

// Life is how long the answer to a question lives.
func (p *Params) Life(list int, addr uint32) time.Duration {
	secs := p.Lists[list].Negative
	if p.Listed(list, addr) {
		secs = p.Lists[list].Positive
	}
	return time.Duration(secs)*time.Second + p.Slack
}

// Connections are those of the trace in their order.
func (p *Params) Connections() []Connection {
	g := generator{p: p, rnd: rand.New(rand.NewPCG(p.Seed, 1035))}
	g.regular()
	g.once()
	g.bursts()
	slices.SortFunc(g.all, func(a, b Connection) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Addr, b.Addr))
	})
	return g.all
}

// textAfter is how long after the questions for A those for TXT come: a mail
// server has all answers before it looks for the words of its rejection. Assumed.
const textAfter = 400 * time.Millisecond

// Questions appends what is asked about a connection: every list for A at once,
// and then the texts.
func (p *Params) Questions(out []Question, c Connection) []Question {
	for l := range p.Lists {
		out = append(out, Question{At: c.At, Addr: c.Addr, List: l})
	}
	for l := range p.Lists {
		if p.Lists[l].Text || p.Listed(l, c.Addr) {
			out = append(out, Question{At: c.At + textAfter, Addr: c.Addr, List: l, Text: true})
		}
	}
	return out
}

// All is every question of the trace, in their order.
func (p *Params) All() []Question {
	var out []Question
	for _, c := range p.Connections() {
		out = p.Questions(out, c)
	}
	slices.SortStableFunc(out, func(a, b Question) int { return cmp.Compare(a.At, b.At) })
	return out
}

// generator draws connections.
type generator struct {
	p   *Params
	rnd *rand.Rand
	all []Connection
}

// add notes a connection that is within the trace.
func (g *generator) add(at time.Duration, addr uint32) {
	if at < g.p.For {
		g.all = append(g.all, Connection{At: at, Addr: addr})
	}
}

// arrivals calls f at the times of a Poisson process of rate a second that
// follows the hours of the day.
func (g *generator) arrivals(rate float64, f func(at time.Duration)) {
	most := rate * (1 + swing)
	for at := time.Duration(0); ; {
		at += time.Duration(g.rnd.ExpFloat64() / most * float64(time.Second))
		if at >= g.p.For {
			return
		}
		hour := (g.p.Start + at).Hours()
		now := rate * (1 + swing*math.Cos((hour-14)/24*2*math.Pi))
		if g.rnd.Float64()*most < now {
			f(at)
		}
	}
}

func (g *generator) regular() {
	zipf := rand.NewZipf(g.rnd, g.p.Zipf, 1, uint64(g.p.Clients-1))
	g.arrivals(g.p.Rate*(1-g.p.Once-g.p.Burst), func(at time.Duration) {
		g.add(at, place(regularFrom, onceFrom, mix(g.p.Seed, zipf.Uint64())))
	})
}

// place is an address with a first octet from one to below another.
func place(from, to uint32, x uint64) uint32 {
	return (from+uint32(x>>32)%(to-from))<<24 | uint32(x)&0xffffff
}

// once draws addresses of spam that are seen for a while and never again: a
// first time, and each time perhaps once more within half an hour.
func (g *generator) once() {
	times := 1 / (1 - g.p.Retry)
	g.arrivals(g.p.Rate*g.p.Once/times, func(at time.Duration) {
		g.again(at, place(onceFrom, burstFrom, g.rnd.Uint64()))
	})
}

// again has an address come now, and with each retry at most half an hour later.
func (g *generator) again(at time.Duration, addr uint32) {
	for {
		g.add(at, addr)
		if g.rnd.Float64() >= g.p.Retry {
			return
		}
		at += time.Minute + time.Duration(g.rnd.Int64N(int64(29*time.Minute)))
	}
}

// The sizes of bursts, in addresses: /24s of ipsum's list with company have up
// to 210 in it.
const burstLeast, burstMost = 8, 210

// bursts has up to 210 neighbours come within five minutes.
func (g *generator) bursts() {
	spread := math.Log(float64(burstMost) / burstLeast)
	mean := (burstMost - burstLeast) / spread / (1 - g.p.Retry)
	g.arrivals(g.p.Rate*g.p.Burst/mean, func(at time.Duration) {
		net := place(burstFrom, burstTo, g.rnd.Uint64()) &^ 0xff
		long := 30*time.Second + time.Duration(g.rnd.Int64N(int64(270*time.Second)))
		for _, host := range g.rnd.Perm(256)[:int(burstLeast*math.Exp(g.rnd.Float64()*spread))] {
			g.again(at+time.Duration(g.rnd.Int64N(int64(long))), net|uint32(host))
		}
	})
}
