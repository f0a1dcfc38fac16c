package trace

import (
	"math"
	"slices"
	"testing"
	"time"
)

func small() Params {
	p := Default()
	p.For = 30 * time.Minute
	return p
}

func TestConnections_same_for_a_seed(t *testing.T) {
	p := small()
	first, again := p.Connections(), p.Connections()
	if !slices.Equal(first, again) {
		t.Error("the same seed gives two traces")
	}
	p.Seed++
	if slices.Equal(first, p.Connections()) {
		t.Error("another seed gives the same trace")
	}
	// Results of different days are comparable only while this one stays.
	sum := uint64(0)
	for _, c := range first {
		sum = mix(sum, uint64(c.At)^uint64(c.Addr))
	}
	const count, want = 1843, 0x34a85ca9d7083a42
	if len(first) != count || sum != want {
		t.Errorf("%d connections with the sum %#x; want %d with %#x", len(first), sum, count, uint64(want))
	}
}

// TestConnections_are_as_described counts what the parameters promise.
func TestConnections_are_as_described(t *testing.T) {
	p := Default()
	p.Start, p.For = 0, 24*time.Hour
	all := p.Connections()
	if want := p.Rate * 86400; math.Abs(float64(len(all))-want) > want/20 {
		t.Errorf("%d connections in a day, want about %.0f", len(all), want)
	}
	var night, noon, regular, burst int
	seen := map[uint32]int{}
	for i, c := range all {
		if i > 0 && c.At < all[i-1].At {
			t.Fatal("not in the order of time")
		}
		seen[c.Addr]++
		switch h := c.At.Hours(); {
		case h < 4:
			night++
		case h >= 12 && h < 16:
			noon++
		}
		switch first := c.Addr >> 24; {
		case first < onceFrom:
			regular++
		case first >= burstFrom:
			burst++
		}
	}
	if noon < 3*night {
		t.Errorf("%d connections at noon, %d at night: want three times as many", noon, night)
	}
	n := float64(len(all))
	if got := float64(regular) / n; math.Abs(got-.5) > .03 {
		t.Errorf("%.3f are regular clients, want .5", got)
	}
	if got := float64(burst) / n; math.Abs(got-p.Burst) > .04 {
		t.Errorf("%.3f are bursts, want %.2f", got, p.Burst)
	}
	most := 0
	for a, times := range seen {
		if a>>24 < onceFrom {
			most = max(most, times)
		}
	}
	if most < regular/30 {
		t.Errorf("the busiest client connects %d times of %d: that is not Zipf's", most, regular)
	}
}

// TestListed_shares has each list hold what it is said to.
func TestListed_shares(t *testing.T) {
	p := Default()
	const n = 40_000
	listed := 0
	for i := range uint64(n) {
		if a := place(onceFrom, burstFrom, mix(7, i)); slices.ContainsFunc([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, func(l int) bool { return p.Listed(l, a) }) {
			listed++
		}
	}
	if got := float64(listed) / n; got < .75 || got > notorious+.01 {
		t.Errorf("%.3f of the spam is on a list, want nearly %.2f", got, notorious)
	}
	for l := range p.Lists {
		spam, regular := 0, 0
		for i := range uint64(n) {
			if p.Listed(l, place(onceFrom, burstFrom, mix(7, i))) {
				spam++
			}
			if p.Listed(l, place(regularFrom, onceFrom, mix(7, i))) {
				regular++
			}
		}
		if got := float64(spam) / n; math.Abs(got-p.Lists[l].Spam) > .01 {
			t.Errorf("list %d has %.3f of the spam, want %.2f", l, got, p.Lists[l].Spam)
		}
		if got := float64(regular) / n; math.Abs(got-p.Lists[l].Regular) > .002 {
			t.Errorf("list %d has %.4f of the regular clients, want %.3f", l, got, p.Lists[l].Regular)
		}
	}
}

func TestQuestions(t *testing.T) {
	p := Default()
	c := Connection{At: time.Second, Addr: place(onceFrom, burstFrom, 12345)}
	types := make([]int, len(p.Lists))
	for _, q := range p.Questions(nil, c) {
		if q.Addr != c.Addr || q.Text != (q.At > c.At) {
			t.Fatalf("%+v is not about %+v", q, c)
		}
		if q.Text {
			types[q.List] += 10
		} else {
			types[q.List]++
		}
	}
	for l, got := range types {
		want := 1
		if p.Lists[l].Text || p.Listed(l, c.Addr) {
			want = 11
		}
		if got != want {
			t.Errorf("list %d is asked %d for A and %d for TXT", l, got%10, got/10)
		}
	}
}
