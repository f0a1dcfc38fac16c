package replay

import (
	"fmt"
	"sync"
	"time"

	"dnsblproxy/bench/internal/load"
	"dnsblproxy/bench/internal/trace"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// list answers as the trace's list of that index does.
type list struct {
	params *trace.Params
	index  int
	most   Options // its bounds of an answer's life
	now    *time.Time
	flying *sync.WaitGroup

	mu                      sync.Mutex
	waited, renewed, useful int
	ends                    map[record]time.Time
	renewals                map[record]renewal
}

// record is what a list was asked for.
type record struct {
	addr uint32
	typ  uint16
}

// renewal is a record that was fetched in the background. It is of use to who
// asks from the old one's end to its own.
type renewal struct{ from, to time.Time }

func newList(o Options, index int, now *time.Time, flying *sync.WaitGroup) *list {
	return &list{
		params: o.Trace, index: index, most: o, now: now, flying: flying,
		ends: map[record]time.Time{}, renewals: map[record]renewal{},
	}
}

// soa is the RDATA of an SOA record whose timers nobody looks at: the TTL of
// the answer counts.
const soa = "\x02ns\x00\x04root\x00" + "\x00\x00\x00\x01\x00\x00\x0e\x10\x00\x00\x02\x58\x00\x01\x51\x80\x00\x00\x0e\x10"

// Start answers at once, from another goroutine.
func (l *list) Start(a upstream.Ask, done func(upstream.Outcome)) {
	ip := a.Subject.As4()
	addr := uint32(ip[0])<<24 | uint32(ip[1])<<16 | uint32(ip[2])<<8 | uint32(ip[3])
	l.count(record{addr, a.Type}, a.Background)
	var o upstream.Outcome
	o.Response.TTL = uint32(l.params.Life(l.index, addr) / time.Second)
	switch {
	case !l.params.Listed(l.index, addr):
		o.Response.Rcode, o.Response.SOA = 3, []byte(soa)
	case a.Type == load.TypeA:
		o.Response.Records = [][]byte{{127, 0, 0, 2}}
	default:
		text := fmt.Sprintf("listed, see https://lists.bench.internal/query/ip/%v", a.Subject)
		o.Response.Records = [][]byte{append([]byte{byte(len(text))}, text...)}
	}
	l.flying.Go(func() { done(o) })
}

// Open and Quarantined say that the list is well.
func (l *list) Open(rbl.Shape) (string, bool, bool) { return "", false, false }
func (l *list) Quarantined() (string, bool)         { return "", false }

// life is how long an answer is kept.
func (l *list) life(addr uint32) time.Duration {
	most := l.most.MaxTTL
	if !l.params.Listed(l.index, addr) {
		most = min(most, l.most.MaxNegativeTTL)
	}
	return min(l.params.Life(l.index, addr), most)
}

// count notes a question.
func (l *list) count(r record, background bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end := l.now.Add(l.life(r.addr))
	if background {
		l.renewed++
		l.renewals[r] = renewal{from: l.ends[r], to: end}
	} else {
		l.waited++
		delete(l.renewals, r) // it was lost before it was of use
	}
	l.ends[r] = end
}

// used notes that a mail server asked for a record.
func (l *list) used(addr uint32, typ uint16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := record{addr, typ}
	if got, ok := l.renewals[r]; ok && !l.now.Before(got.from) {
		if l.now.Before(got.to) {
			l.useful++
		}
		delete(l.renewals, r)
	}
}
