package cache

import (
	"hash/maphash"
	"sync"
)

// Zone is one zone in one state of its settings. It is a small value, made by
// Cache.Zone; the zero Zone makes keys that are never found.
type Zone struct {
	cache *Cache
	id    uint32 // 1 to maxZone; never given twice
}

// zones gives out the ids of zones.
type zones struct {
	mu   sync.Mutex
	last uint32
	by   map[string]zoneState
	dead map[uint32]bool // ids that were replaced and not yet flushed
}

type zoneState struct {
	fingerprint string
	id          uint32
}

// maxZone is the largest id that fits into a packed key.
const maxZone = 1<<22 - 1

// takeDead returns what zoneOf tells of the zones that wait for being flushed, nil
// without any. Names are left to their end that a living zone might have.
func (z *zones) takeDead() map[uint32]bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.dead) == 0 {
		return nil
	}
	dead := map[uint32]bool{}
	for id := range z.dead {
		dead[id], dead[markHashed(id)] = true, true
	}
	for _, zone := range z.by {
		delete(dead, markHashed(zone.id))
	}
	clear(z.dead)
	return dead
}

// Zone returns the zone of this name. As long as fingerprint stays the same it
// is the same zone; with another one it is a new and empty zone, and what was
// stored under the old is not found any more. That is how a zone is flushed.
// After four million changes the ids are used up and nothing more is cached
// for zones that change.
func (c *Cache) Zone(name, fingerprint string) Zone {
	c.zones.mu.Lock()
	defer c.zones.mu.Unlock()
	old, ok := c.zones.by[name]
	if ok && old.fingerprint == fingerprint {
		return Zone{c, old.id}
	}
	if c.zones.last == maxZone {
		return Zone{}
	}
	if ok {
		c.zones.dead[old.id] = true
	}
	c.zones.last++
	c.zones.by[name] = zoneState{fingerprint, c.zones.last}
	return Zone{c, c.zones.last}
}

// Key is a question to the cache, a small value.
type Key struct {
	packed uint64 // 0 is no key
	check  uint64 // of a hashed question; 0 for an exact one
}

// hashed is the bit that tells a hashed packed key from an exact one.
const hashed = 1 << (keyBits - 1)

// IP4 returns the key for a question about an IPv4 address. It is exact: two
// keys are equal only if zone, type and address are. It is laid out as 0 (1
// bit), zone (22), type (8), address (32).
func (z Zone) IP4(qtype uint8, a [4]byte) Key {
	if z.id == 0 {
		return Key{}
	}
	return Key{packed: uint64(z.id)<<40 | uint64(qtype)<<32 |
		uint64(a[0])<<24 | uint64(a[1])<<16 | uint64(a[2])<<8 | uint64(a[3])}
}

// Name returns the key for a question about anything else. name is any
// sequence of bytes that says what is asked, such as labels in wire form.
//
// The key is laid out as 1 (1 bit), the low bits of the zone (12), and 50 bits of
// one hash of the name, and beside it are 64 bits of another. Of the same name the
// check differs by zone and type in any case. Two names are taken for each other
// once in 2^114 times, and nobody knows the seeds.
func (z Zone) Name(qtype uint16, name []byte) Key {
	if z.id == 0 {
		return Key{}
	}
	head := uint64(qtype)<<32 | uint64(z.id)
	h := maphash.Bytes(z.cache.seeds[0], name)
	// As with IPv4, the low half goes by what is asked about alone: see spread.
	packed := mix63((h+head)&keyMask)&^(1<<32-1) | h&(1<<32-1)
	return Key{
		packed: hashed | uint64(z.id&lowZone)<<50 | packed&z.cache.hashMask&(1<<50-1),
		check:  maphash.Bytes(z.cache.seeds[1], name) + head*0x9e3779b97f4a7c15,
	}
}

// lowZone are the bits of a zone's id that a hashed key has.
const lowZone = 1<<12 - 1

// zoneOf returns what a stored key tells of its zone: the id, or of a hashed key the
// low bits of it, marked.
func zoneOf(packed uint64) uint32 {
	if packed&hashed != 0 {
		return markHashed(uint32(packed >> 50))
	}
	return uint32(packed >> 40)
}

func markHashed(id uint32) uint32 { return 1<<31 | id&lowZone }
