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

// hash lays out: index in the shard, at most 11 (5 bits), the rest of the mixed
// key (51), shard (8). ristretto's counters go by the low bits too, which are
// as good as random above the shard.
func (s *spread) hash(packed uint64) uint64 {
	x := mix63(packed ^ s.seed)
	at := s.slots[x&(1<<slotBits-1)]
	return uint64(at.index)<<(keyBits-slotBits+8) | x>>slotBits<<8 | uint64(at.shard)
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
