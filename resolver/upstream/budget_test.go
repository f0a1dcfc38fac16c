package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dnsblproxy/resolver/rbl"
)

func TestList_budget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		saved := Spent{DaySpent: DaySpent{Day: dayOf(time.Now()), Used: 40}}
		g := guard(t, blocklist("bl.example."), func(o *ListOptions) {
			o.Probe, o.Budget = true, 100
			o.Load = func() Spent { return saved }
			o.Save = func(s Spent) error { saved = s; return nil }
		})
		time.Sleep(6 * time.Hour) // many tests, none of which counts
		if f := g.Budget(); f.Used != 40 || f.Limit != 100 || f.Forecast < 100 || f.Forecast > 170 {
			t.Errorf("figures %+v", f)
		}
		asked, refused := 0, 0
		count := func(o Outcome) {
			if o.Err == ErrBudget {
				refused++
			} else {
				asked++
			}
		}
		for i := range 30 { // one /24, of which a tenth of the budget is the share
			count(g.ask(fmt.Sprintf("198.51.100.%d", i)))
		}
		if asked != 10 || refused != 20 {
			t.Errorf("one /24: %d asked, %d refused; want 10, 20", asked, refused)
		}
		for i := range 30 {
			count(g.ask(fmt.Sprintf("198.18.%d.1", i)))
		}
		back := make(chan Outcome, 1)
		a := Ask{Question: question(t, "1.1.1.1.bl.example", 1), Shape: rbl.IP4, Subject: netip.MustParseAddr("1.1.1.1")}
		a.Background = true
		g.Start(a, func(o Outcome) { back <- o })
		if o := <-back; o.Err != ErrBudget {
			t.Errorf("a background question: %v", o.Err)
		}
		for i := range 30 {
			count(g.ask(fmt.Sprintf("198.19.%d.1", i)))
		}
		if asked != 60 {
			t.Errorf("%d questions asked, want the 60 that were left", asked)
		}
		g.end()
		if saved.Used != 100 {
			t.Errorf("saved %+v", saved)
		}
		if len(g.notes) != 2 || g.notes[0].Used != 80 || g.notes[1].Used != 100 {
			t.Errorf("told of %v, want 80 and 100", g.notes)
		}
	})
}

// A list without a bound has spent nothing; one with a bound says what it has.
func TestList_spent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock does not pass midnight
		if s, ok := (&List{}).Spent(); ok || s != (Spent{}) || (&List{}).Budget() != (Budget{}) {
			t.Errorf("without a bound %+v, %t", s, ok)
		}
		spent := Spent{DaySpent: DaySpent{Day: dayOf(time.Now()), Used: 3}}
		l := &List{budget: newBudget(10, func() Spent { return spent })}
		if s, ok := l.Spent(); !ok || s.Used != 3 {
			t.Errorf("Spent() = %+v, %t, want 3", s, ok)
		}
	})
}

func TestBudget_newDay(t *testing.T) {
	b := newBudget(10, func() Spent { return Spent{DaySpent: DaySpent{Day: 1, Used: 10}} })
	now := time.Now()
	if ok, _ := b.take(now, netip.Addr{}, false); !ok {
		t.Error("what another day has spent counts today")
	}
	for range 9 {
		b.take(now, netip.Addr{}, false)
	}
	if ok, _ := b.take(now, netip.Addr{}, false); ok {
		t.Error("an eleventh question of ten was allowed")
	}
	if ok, _ := b.take(now.Add(day), netip.Addr{}, false); !ok {
		t.Error("the next day's first question was refused")
	}
}

// TestBudget_take goes through a day twice: the second one is like the first.
func TestBudget_take(t *testing.T) {
	b := newBudget(10, nil)
	for d := range 2 {
		now := time.Date(2026, 3, 1+d, 12, 0, 0, 0, time.UTC)
		for i, tt := range []struct {
			subject                string
			background, ok, report bool
		}{
			{subject: "::ffff:192.0.2.1", ok: true}, // one is a tenth
			{subject: "192.0.2.9"},
			{subject: "2001:db8::1", ok: true},
			{subject: "2001:db8::2"},
			{subject: "2001:db8:0:1::1", ok: true},
			{ok: true}, {ok: true}, {ok: true},
			{background: true, ok: true},
			{background: true, ok: true, report: true}, // the eighth
			{background: true},
			{ok: true},
			{ok: true, report: true},
			{},
		} {
			subject, _ := netip.ParseAddr(tt.subject) // the zero Addr is a domain's
			if ok, report := b.take(now, subject, tt.background); ok != tt.ok || report != tt.report {
				t.Errorf("day %d, question %d: %t, report %t, want %+v", d, i, ok, report, tt)
			}
		}
	}
}

// TestBudget_count has each subnet lose one for a subnet that finds no room.
func TestBudget_count(t *testing.T) {
	b := newBudget(10, nil)
	for key := range uint64(maxSubnets) {
		b.count(key)
	}
	b.count(7) // known: it needs no room
	b.count(maxSubnets)
	if len(b.subnets) != 1 || b.subnets[7] != 1 {
		t.Errorf("%d subnets are left, %d questions of the one that asked twice", len(b.subnets), b.subnets[7])
	}
}

// A clock that was wrong for a while gives a list no second budget for the day
// on which it is set right, wherever it was.
func TestBudget_wrongClock(t *testing.T) {
	today := time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC)
	for name, wrong := range map[string]time.Time{
		"a moment ahead": today.Add(time.Second), "a year ahead": today.AddDate(1, 0, 0),
		"a day behind": today.Add(-day), "since 1970": time.Unix(0, 0),
	} {
		b := newBudget(10, nil)
		asked := 0
		for _, now := range []time.Time{today, wrong, today} {
			for range 6 {
				if ok, _ := b.take(now, netip.Addr{}, false); ok && now == today {
					asked++
				}
			}
		}
		if asked != 10 {
			t.Errorf("%s: %d questions of 10 were allowed", name, asked)
		}
	}
}

// The clock of a machine without a battery is set right after the start.
func TestBudget_startsWithWrongClock(t *testing.T) {
	now := time.Now()
	b := newBudget(10, func() Spent { return Spent{DaySpent: DaySpent{Day: dayOf(now) + 1, Used: 10}} })
	if ok, _ := b.take(now, netip.Addr{}, false); !ok {
		t.Error("what another day has spent counts today")
	}
	if ok, _ := b.take(now.Add(day), netip.Addr{}, false); ok {
		t.Error("an eleventh question of ten was allowed, which were spent before the start")
	}
}

// Nor does a restart meanwhile, whatever the clock says then.
func TestBudget_restartWithWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for name, c := range map[string]struct{ right, wrong time.Time }{
			"right again": {now, now.AddDate(1, 0, 0)}, "still wrong": {now.Add(-day), now},
		} {
			b := newBudget(10, func() Spent { return Spent{DaySpent: DaySpent{Day: dayOf(c.right), Used: 6}} })
			b.take(c.right, netip.Addr{}, false)
			b.take(c.wrong, netip.Addr{}, false)
			saved, _ := b.unsaved()
			text, err := json.Marshal(saved)
			if err != nil {
				t.Fatal(err)
			}
			b = newBudget(10, func() (s Spent) {
				if err := json.Unmarshal(text, &s); err != nil {
					t.Error(err)
				}
				return s
			})
			if f := b.figures(c.right); f.Used != 7 {
				t.Errorf("%s: %s is %d used, want 7", name, text, f.Used)
			}
		}
	})
}

// However many subnets ask, the counts kept stay bounded, and one that asks for
// a tenth is still found out.
func TestBudget_subnets(t *testing.T) {
	b := newBudget(1_000_000, nil)
	now := time.Now()
	heavy, asked := netip.MustParseAddr("2001:db8:1:2::"), 0
	for i := range uint32(400_000) {
		b.take(now, netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}), false)
		if ok, _ := b.take(now, heavy, false); ok {
			asked++
		}
	}
	if len(b.subnets) > maxSubnets {
		t.Errorf("%d subnets kept", len(b.subnets))
	}
	if asked < 100_000 || asked > 101_000 {
		t.Errorf("the heavy /64 was allowed %d of a million, want a tenth or little more", asked)
	}
}

// TestList_budgetKeptLater has the disk full when the last question of the day
// is counted: it is kept once there is room.
func TestList_budgetKeptLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var saved Spent
		var saves atomic.Int64
		var full atomic.Bool
		full.Store(true)
		g := guard(t, blocklist("bl.example."), func(o *ListOptions) {
			o.Budget = 100
			o.Save = func(s Spent) error {
				if full.Load() {
					return errors.New("no space left on device")
				}
				saved = s
				saves.Add(1)
				return nil
			}
		})
		g.ask("198.51.100.1")
		time.Sleep(time.Minute)
		full.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if saved.Used != 1 {
			t.Errorf("saved %+v, want the one question", saved)
		}
		time.Sleep(time.Hour)
		g.end()
		if n := saves.Load(); n != 1 {
			t.Errorf("what did not change was saved %d times", n)
		}
	})
}
