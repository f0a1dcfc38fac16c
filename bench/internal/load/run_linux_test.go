package load

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// echo answers questions by turning them around, after what delay says of the
// n-th one; a negative delay swallows it.
func echo(t *testing.T, delay func(n int) time.Duration) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		buf := make([]byte, 512)
		for n := 0; ; n++ {
			l, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			d := delay(n)
			if d < 0 {
				continue
			}
			if d > 0 {
				<-time.After(d)
			}
			buf[2] |= 0x80
			buf[3] = 3
			_, _ = c.WriteToUDPAddrPort(buf[:l], from)
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func at(server netip.AddrPort) Options {
	return Options{Server: server, Zone: NewZone("bl.example"), Names: &Row{Len: 100}}
}

func TestClosed(t *testing.T) {
	for _, window := range []int{1, 16} {
		o := at(echo(t, func(int) time.Duration { return 0 }))
		o.Clients, o.Outstanding, o.Total, o.For = 4, window, 5000, time.Minute
		res, err := Closed(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if res.Asked != 5000 || res.Answered != 5000 || res.Lost != 0 || res.Rcodes[3] != 5000 || res.Latency.count != 5000 {
			t.Errorf("window %d: asked %d, answered %d, lost %d, NXDOMAIN %d", window, res.Asked, res.Answered, res.Lost, res.Rcodes[3])
		}
	}
}

// TestClosed_spin: who looks all the time has as much patience as who waits.
func TestClosed_spin(t *testing.T) {
	o := at(echo(t, func(int) time.Duration { return 2 * time.Millisecond }))
	o.Spin, o.Total, o.For = true, 50, time.Minute
	res, err := Closed(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if res.Lost > 0 || res.Answered != 50 {
		t.Errorf("%d of 50 answered, %d lost", res.Answered, res.Lost)
	}
}

// TestClosed_loses goes on when answers are lost.
func TestClosed_loses(t *testing.T) {
	o := at(echo(t, func(n int) time.Duration {
		if n%10 == 9 {
			return -1
		}
		return 0
	}))
	o.Clients, o.Total, o.For = 2, 20, time.Minute
	began := time.Now()
	res, err := Closed(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if most := time.Since(began) - patience; res.Took > most {
		t.Errorf("took %v, want %v at most: the last question was lost, and nothing came any more", res.Took, most)
	}
	if res.Lost == 0 || res.Answered+res.Lost != res.Asked || res.Asked < 20 {
		t.Errorf("asked %d, answered %d, lost %d", res.Asked, res.Answered, res.Lost)
	}
}

// TestClosed_dead gives a server up that never answers again.
func TestClosed_dead(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for seconds")
	}
	o := at(echo(t, func(n int) time.Duration { return time.Duration(10 - n) }))
	o.For = time.Hour
	if res, err := Closed(t.Context(), o); err == nil {
		t.Errorf("%d of %d answered, and no error", res.Answered, res.Asked)
	}
}

// TestOpen_stall has a server pause once for 200 ms. All that was due in that
// time waited, though a closed loop would have seen one slow answer.
func TestOpen_stall(t *testing.T) {
	// So few that a machine that stands still loses none of them.
	const rate, stall = 200, 200 * time.Millisecond
	o := at(echo(t, func(n int) time.Duration {
		if n == 60 {
			return stall
		}
		return 0
	}))
	o.Rate, o.For, o.Clients = rate, time.Second, 4
	res, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if res.Lost > 0 || res.Asked < rate*8/10 || res.Asked > rate*12/10 {
		t.Fatalf("asked %d, lost %d, want about %d and 0", res.Asked, res.Lost, rate)
	}
	// About 40 questions fell into the pause, half of them waited longer
	// than half of it.
	if got := res.Latency.Quantile(0.93); got < stall/4 {
		t.Errorf("7%% of the answers took more than %v, want more than %v", got, stall/4)
	}
	if got := res.Latency.max; got < stall {
		t.Errorf("the longest took %v, want at least %v", got, stall)
	}
}

// Test_canceled: a run ends with its context, though nobody answers.
func Test_canceled(t *testing.T) {
	for name, run := range map[string]func(context.Context, Options) (*Result, error){"Closed": Closed, "Open": Open} {
		ctx, cancel := context.WithCancel(t.Context())
		o := at(echo(t, func(int) time.Duration { cancel(); return -1 }))
		o.For, o.Rate = time.Hour, 1000
		if _, err := run(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchedule(t *testing.T) {
	s, again := newSchedule(1000, 7), newSchedule(1000, 7)
	last := int64(0)
	for i := range 100_000 {
		due := s.take()
		if due < last {
			t.Fatalf("question %d is due before the one ahead of it", i)
		}
		if other := again.take(); other != due {
			t.Fatalf("question %d is due at %d and at %d with one seed", i, due, other)
		}
		last = due
	}
	if seconds := float64(last) / 1e9; seconds < 98 || seconds > 102 {
		t.Errorf("100,000 questions at 1,000 a second took %.1f s", seconds)
	}
}
