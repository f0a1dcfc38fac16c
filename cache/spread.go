package cache

import (
	"math"
	"math/rand/v2"
)

// keyBits is the width of a packed key.
const keyBits = 63

const keyMask = 1<<keyBits - 1

// spread maps packed keys to the hashes that ristretto goes by. It is
// injective, so that exact keys stay exact, and seeded, so that nobody can
// choose addresses that meet in one place.
//
// ristretto takes the low 8 bits for the shard, and a shard is a Go map, whose
// tables all double when they are seven eighths full. Were all shards equally
// likely, they would double together, and a cache of an unlucky size would take
// twice the memory of a slightly smaller one. So the sizes of the shards differ
// by up to a factor of two, shard s being 2^(s/256) times as likely as shard
// 0: at every size of the cache the same share of them is about to double.
type spread struct {
	seed  uint64
	slots [1 << slotBits]slot
}

const slotBits = 12

// slot is where one value of a mixed key's low bits goes: to one of the slots
// of a shard.
type slot struct{ shard, index uint8 }

func newSpread() *spread {
	s := &spread{seed: rand.Uint64() & keyMask}
	first := func(shard int) int {
		return int(math.Round((math.Exp2(float64(shard)/256) - 1) * (1 << slotBits)))
	}
	for shard := range 256 {
		for i := first(shard); i < first(shard+1); i++ {
			s.slots[i] = slot{uint8(shard), uint8(i - first(shard))}
		}
	}
	return s
}

// hash lays out: index in the shard, at most 11 (5 bits), zone and type with the
// address stirred in (31), the rest of the mixed address (20), shard (8).
//
// ristretto counts how often a key is asked for by the low bits of its hash, and
// these go by the address alone. So what is known of a client's popularity counts
// for all lists, which a mail server asks at once.
func (s *spread) hash(packed uint64) uint64 {
	x := mix32(uint32(packed) ^ uint32(s.seed))
	rest := (packed>>32 ^ s.stir(x)) & (1<<31 - 1)
	at := s.slots[x&(1<<slotBits-1)]
	return uint64(at.index)<<59 | rest<<28 | uint64(x>>slotBits)<<8 | uint64(at.shard)
}

// stir makes the hashes of one zone differ by more than their addresses do.
func (s *spread) stir(x uint32) uint64 { return mix63(uint64(x) ^ s.seed) }

// mix32 is a bijection on 32 bits in the manner of mix63.
func mix32(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	return x ^ x>>16
}

// mix63 is a bijection on 63 bits in the manner of splitmix64's finaliser:
// shifted xor and multiplication by an odd number can both be undone.
func mix63(x uint64) uint64 {
	x ^= x >> 30
	x = x * 0xbf58476d1ce4e5b9 & keyMask
	x ^= x >> 27
	x = x * 0x94d049bb133111eb & keyMask
	return x ^ x>>31
}
