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

// takeDead returns the ids that wait for being flushed, nil without any.
func (z *zones) takeDead() map[uint32]bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.dead) == 0 {
		return nil
	}
	dead := z.dead
	z.dead = map[uint32]bool{}
	return dead
}

// zoneOf returns the zone of a stored key.
func zoneOf(packed, head uint64) uint32 {
	if packed&hashed != 0 {
		return uint32(head)
	}
	return uint32(packed >> 40)
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

// Key is a question to the cache, made on the stack. Its name belongs to the
// caller and must not change while the key is in use.
type Key struct {
	packed uint64 // 0 is no key
	head   uint64 // type and zone of a hashed question; 0 for an exact one
	name   []byte
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
func (z Zone) Name(qtype uint16, name []byte) Key {
	if z.id == 0 {
		return Key{}
	}
	head := uint64(qtype)<<32 | uint64(z.id)
	h := maphash.Bytes(z.cache.nameSeed, name)
	// As with IPv4, the low half goes by what is asked about alone: see spread.
	packed := mix63((h+head)&keyMask)&^(1<<32-1) | h&(1<<32-1)
	return Key{packed: packed&z.cache.hashMask | hashed, head: head, name: name}
}

// is reports whether what was stored with head and name is the answer to k.
// Exact keys have neither.
func (k Key) is(head uint64, name string) bool {
	return k.head == head && string(k.name) == name
}
