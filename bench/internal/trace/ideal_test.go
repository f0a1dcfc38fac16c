package trace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// randomUses are n uses of some keys, a second apart or at once.
func randomUses(rnd *rand.Rand, n, keys int, life func() time.Duration) []use {
	out := make([]use, n)
	at := time.Duration(0)
	lives := make([]time.Duration, keys)
	for i := range lives {
		lives[i] = life()
	}
	for i := range out {
		at += time.Duration(rnd.IntN(3)) * time.Second
		key := min(rnd.IntN(keys), rnd.IntN(keys))
		out[i] = use{at: at, key: uint64(key), life: lives[key]}
	}
	for i := range out {
		out[i].next = len(out)
		for j := i + 1; j < len(out); j++ {
			if out[j].key == out[i].key {
				out[i].next = j
				break
			}
		}
	}
	return out
}

// slow is a cache as one would write it down: a list of what is there, from
// which victim picks what goes.
func slow(uses []use, room int, victim func(have []record, now int) int) (asked int) {
	var have []record
	for i, u := range uses {
		at := slices.IndexFunc(have, func(r record) bool { return r.key == u.key })
		switch {
		case at < 0:
			asked++
			have = append(have, record{key: u.key, ends: u.at + u.life, used: i})
			if len(have) > room {
				gone := victim(have, i)
				have = slices.Delete(have, gone, gone+1)
			}
		case have[at].ends <= u.at:
			asked++
			have[at].ends = u.at + u.life
			fallthrough
		default:
			have[at].used = i
		}
	}
	return asked
}

type record struct {
	key  uint64
	ends time.Duration
	used int // when last
}

func eachCase(t *testing.T, f func(t *testing.T, uses []use, room int)) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1966))
		life := func() time.Duration { return time.Duration(1+rnd.IntN(60)) * time.Second }
		if seed%3 == 0 {
			life = func() time.Duration { return 1000 * time.Hour }
		}
		uses := randomUses(rnd, 1+rnd.IntN(200), 1+rnd.IntN(20), life)
		room := 1 + rnd.IntN(12)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { f(t, uses, room) })
	}
}

func TestLRU_agrees_with_its_slow_twin(t *testing.T) {
	eachCase(t, func(t *testing.T, uses []use, room int) {
		want := slow(uses, room, func(have []record, _ int) int {
			oldest := 0
			for i, r := range have {
				if r.used < have[oldest].used {
					oldest = i
				}
			}
			return oldest
		})
		if got := lru(uses, room); got != want {
			t.Errorf("room for %d: asked %d times, want %d", room, got, want)
		}
	})
}

// nextUse looks ahead for the use of r that saves a question.
func nextUse(uses []use, r record, now int) int {
	for i := now + 1; i < len(uses); i++ {
		if uses[i].key == r.key {
			if uses[i].at < r.ends {
				return i
			}
			break
		}
	}
	return len(uses)
}

func TestMIN_agrees_with_its_slow_twin(t *testing.T) {
	eachCase(t, func(t *testing.T, uses []use, room int) {
		want := slow(uses, room, func(have []record, now int) int {
			last := 0
			for i, r := range have {
				if nextUse(uses, r, now) > nextUse(uses, have[last], now) {
					last = i
				}
			}
			return last
		})
		if got := belady(uses, room); got != want {
			t.Errorf("room for %d: asked %d times, want %d", room, got, want)
		}
	})
}

// least tries every way to give up records, or not to keep one.
func least(uses []use, i int, have []record, room int) int {
	if i == len(uses) {
		return 0
	}
	u := uses[i]
	asked := 0
	at := slices.IndexFunc(have, func(r record) bool { return r.key == u.key })
	if at < 0 || have[at].ends <= u.at {
		asked = 1
		if at >= 0 {
			have = slices.Delete(slices.Clone(have), at, at+1)
		}
		have = append(slices.Clone(have), record{key: u.key, ends: u.at + u.life})
	}
	best := 1 << 30
	if len(have) <= room {
		best = least(uses, i+1, have, room)
	}
	for gone := range have {
		best = min(best, least(uses, i+1, slices.Delete(slices.Clone(have), gone, gone+1), room))
	}
	return asked + best
}

// TestMIN_is_the_least: without TTLs no choice asks less, and with them hardly
// any; an infinite cache is below all.
func TestMIN_is_the_least(t *testing.T) {
	over, all := 0, 0
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		ttl := seed%2 == 1
		uses := randomUses(rnd, 9, 4, func() time.Duration {
			if ttl {
				return time.Duration(2+rnd.IntN(8)) * time.Second
			}
			return 1000 * time.Hour
		})
		room := 1 + rnd.IntN(2)
		best, got := least(uses, 0, nil, room), belady(uses, room)
		if got < best || !ttl && got != best || infinite(uses) > best {
			t.Errorf("seed %d: MIN asks %d times, the best choice %d, an infinite cache %d", seed, got, best, infinite(uses))
		}
		over, all = over+got-best, all+best
	}
	if over*50 > all {
		t.Errorf("with TTLs MIN asks %d times more than the best choices, which ask %d times", over, all)
	}
}

// TestInfinite counts by hand: A lives 10 s.
func TestInfinite(t *testing.T) {
	p := Params{Lists: []List{{Positive: 10, Negative: 10}}}
	ask := func(at int, text bool) Question {
		return Question{At: time.Duration(at) * time.Second, Addr: onceFrom << 24, Text: text}
	}
	all := []Question{ask(0, false), ask(0, true), ask(9, false), ask(10, false), ask(19, true), ask(20, true)}
	if got := p.Infinite(all); got != 3 { // at 0, 10 and 20
		t.Errorf("Infinite = %d, want 3", got)
	}
	if got := p.EachType(all); got != 4 { // A at 0 and 10, TXT at 0 and 19
		t.Errorf("EachType = %d, want 4", got)
	}
}
