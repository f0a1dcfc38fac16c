package resolver

import (
	"maps"
	"sync"
	"sync/atomic"

	"dnsblproxy/resolver/dataset"
	"dnsblproxy/resolver/internal/wire"
)

// fileAnswers packs what a zone's own data says. Its answers are few and
// asked for often, so that equal ones are packed once: the same as the cache
// does for a list.
type fileAnswers struct {
	known atomic.Pointer[map[string]packed]
	mu    sync.Mutex
}

// fileAnswersMax bounds the answers kept; others are packed each time.
const fileAnswersMax = 1024

func (k *fileAnswers) of(b []byte, keep bool) packed {
	if known := k.known.Load(); known != nil {
		if p, ok := (*known)[string(b)]; ok {
			return p
		}
	}
	p := packed(b)
	if !keep {
		return p
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	next := map[string]packed{}
	if known := k.known.Load(); known != nil {
		if len(*known) >= fileAnswersMax && !hasSOA(p) {
			return p
		}
		next = maps.Clone(*known)
	}
	if hasSOA(p) { // with another serial than that of data which were replaced
		maps.DeleteFunc(next, func(_ string, old packed) bool { return hasSOA(old) && old[1:] != p[1:] })
	}
	next[string(p)] = p
	k.known.Store(&next)
	return p
}

// fromFile answers from a zone's own data. Its TTLs are as the data says.
func (f *facts) fromFile(q *question, typ uint16) listAnswer {
	data := q.zone.File.Zone()
	if data == nil {
		return listAnswer{state: failing, why: failure{text: "no data could be loaded", ede: edeUnreachable}}
	}
	ans := &f.fileAnswer
	data.Lookup(q.subject, q.labels, typ, ans)
	if ans.Rcode == dataset.Refused {
		// The zone's data names no SOA or NS; ours stand in.
		return listAnswer{state: fresh, data: packed([]byte{wire.RcodeSuccess}), ttl: ownTTL}
	}
	b, ttl := append(f.packing[:0], ans.Rcode), ans.TTL
	for i := range ans.Len() {
		f.rdata = ans.AppendRData(f.rdata[:0], i)
		b = appendPacked(b, wire.Answer, typ, f.rdata)
	}
	if ans.Len() == 0 {
		ttl = ownTTL
		if soa, negative := data.SOA(); soa != nil {
			b, ttl = appendPacked(b, wire.Authority, wire.TypeSOA, soa), negative
		}
	}
	f.packing = b
	return listAnswer{state: fresh, data: q.zone.files.of(b, typ != wire.TypeTXT || ans.Len() == 0), ttl: ttl}
}
