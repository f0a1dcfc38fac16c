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

// askShared looks in the second level before the list is asked, for an answer
// that is good for more than over seconds. It is false when there is none, or
// none to be asked.
func (r *Resolver) askShared(f *flight, over uint32) bool {
	if r.second == nil || f.zone.Source != SourceUpstream {
		return false
	}
	z, typ := f.zone, f.typ
	return r.second.Get(z.sharedKey(f), func(value string, life uint32, ok bool) {
		data, since := unstamp(value)
		if !ok || life <= over || z.void(since, r.clock) || !z.believable(data, typ) {
			r.askList(f)
			return
		}
		limits := &r.snap.Load().limits
		life = min(life, limits.most(data.has()))
		r.cache.Set(z.key(&f.question, typ), string(data), life, limits.stale)
		z.learned(f, data)
		r.landed(f, listAnswer{state: fresh, data: data, ttl: life, shared: true})
	})
}

// share hands a list's answer to the other proxies.
func (r *Resolver) share(f *flight, data packed, life uint32) {
	if r.second != nil && f.zone.Source == SourceUpstream {
		r.second.Set(f.zone.sharedKey(f), stamp(data, r.clock.now()), life)
	}
}

// An answer stands in the second level with the moment at which the list gave
// it (Unix seconds, 8 octets), because all that a list said until it stopped
// lying is void. Clocks of two machines may differ by clockSkew seconds.
const (
	stampLen  = 8
	clockSkew = 2
)

// void reports whether that moment was before the list stopped lying. When that
// was is known by the seconds since: the wall clock may have been set meanwhile.
func (z *zone) void(since int64, c *clock) bool {
	at := z.voided.Load()
	return at > 0 && since <= c.now()-int64(c.seconds())+at+clockSkew
}

func stamp(data packed, now int64) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(now))) + string(data)
}

func unstamp(value string) (data packed, since int64) {
	if len(value) < stampLen {
		return "", 0
	}
	return packed(value[stampLen:]), int64(binary.BigEndian.Uint64([]byte(value[:stampLen])))
}

// sharedKey is a question as the second level knows it: the list, what stands
// behind the zone's answers, and the zone's name, which is written into them.
func (z *zone) sharedKey(f *flight) []byte {
	b := binary.BigEndian.AppendUint16(nil, f.typ)
	for _, part := range []string{z.Upstream, z.Name, string(f.labels)} {
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
		if _, _, bad := rbl.ErrorName(nil, code); !ok || bad && !z.Listed.Names(code) {
			return false
		}
	}
	return whole == len(data)
}
