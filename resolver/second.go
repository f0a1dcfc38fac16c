package resolver

import (
	"encoding/binary"

	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// SecondLevel is a cache that several proxies share. *shared.Cache is one.
type SecondLevel interface {
	// Get looks for the answer to a question and calls done once, from
	// another goroutine, with the seconds that it is still good for. It
	// returns false, and does not call done, when there is no use in asking.
	Get(question []byte, done func(data string, life uint32, ok bool)) bool

	// Set hands an answer to the others, without waiting.
	Set(question []byte, data string, life uint32)
}

// askShared looks in the second level before the list is asked. It is false
// when there is none, or none to be asked.
func (r *Resolver) askShared(f *flight, q *question, ask Ask) bool {
	if r.second == nil || q.zone.Source != SourceUpstream {
		return false
	}
	z, typ := f.key.zone, f.key.typ
	return r.second.Get(z.sharedKey(f), func(data string, life uint32, ok bool) {
		limits := &r.snap.Load().limits
		if !ok || !z.believable(packed(data), typ) {
			r.askList(f, q, ask)
			return
		}
		life = min(life, limits.maxTTL)
		r.cache.Set(z.key(q, typ), data, life, limits.stale)
		r.landed(f, listAnswer{state: fresh, data: packed(data), ttl: life})
	})
}

// sharedKey is a question as the second level knows it: the list, what stands
// behind the zone's answers, and the zone's name, which is written into them.
func (z *zone) sharedKey(f *flight) []byte {
	b := binary.BigEndian.AppendUint16(nil, f.key.typ)
	for _, part := range []string{z.Upstream, z.Name, f.key.labels} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(part)))
		b = append(b, part...)
	}
	return b
}

// believable judges an answer of the second level as if the list had sent it:
// it is whole, about the type that was asked, and holds no error code.
func (z *zone) believable(data packed, typ uint16) bool {
	if len(data) == 0 || data.rcode() != wire.RcodeSuccess && data.rcode() != wire.RcodeNXDomain {
		return false
	}
	whole := 1
	for rec := range data.records {
		whole += packedHead + len(rec.rdata)
		if rec.section == wire.Authority && rec.typ == wire.TypeSOA {
			continue
		}
		if rec.section != wire.Answer || rec.typ != typ {
			return false
		}
		if typ != wire.TypeA {
			continue
		}
		code, ok := rec.code()
		if _, _, bad := rbl.ErrorName(nil, code); !ok || bad && !z.Listed.Contains(code) {
			return false
		}
	}
	return whole == len(data)
}
