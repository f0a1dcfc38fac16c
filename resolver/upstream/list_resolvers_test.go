package upstream

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/rbl"
)

// A public resolver that lists do not answer, beside one's own that they do: the
// list serves on, whichever is the faster. What both say is the list's.
func TestList_refusesOneResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked, listed := always("127.255.255.254"), blocklist("bl.example.", "9.2.0.192")
		var own *fakeHost
		g := guard(t, blocked, func(o *ListOptions) {
			e := o.Ask.(*Exchanger)
			o.Ask, o.Probe = e.pool.Exchanger(addrs(first, second), e.opts), true
			own = e.pool.network.(*fakeNet).host(second, listed)
			own.delay = 30 * time.Millisecond
		})
		defer g.end()
		for i := range 600 {
			if o := g.ask(fmt.Sprintf("198.18.0.%d", i%250)); say(o) != "unlisted" {
				t.Fatal(say(o))
			}
			time.Sleep(time.Second)
		}
		if n := len(g.host.take()); n > 60 {
			t.Errorf("the resolver that is refused was asked %d of 600 questions", n)
		}
		if o := g.ask("192.0.2.9"); say(o) != "127.0.0.2" {
			t.Error(say(o))
		}
		text := make(chan Outcome, 1) // of which nobody can say that it is an error's
		g.Start(Ask{Question: question(t, "9.2.0.192.bl.example", dns.TypeTXT), Shape: rbl.IP4}, func(o Outcome) { text <- o })
		if o := <-text; o.Server.String() != second {
			t.Errorf("the resolver that is refused was asked for the text: %+v", o)
		}
		if got, want := g.told(), "states [], voids 0, closed []"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		g.host.become(blocked)
		own.become(blocked)
		if o := g.ask("192.0.2.9"); !errors.As(o.Err, new(*CodeError)) {
			t.Errorf("both resolvers are refused: %v", o.Err)
		}
		time.Sleep(6 * time.Minute)
		if s := g.State(); s.Condition != Unreachable {
			t.Errorf("both resolvers are refused: %+v", s)
		}
	})
}
