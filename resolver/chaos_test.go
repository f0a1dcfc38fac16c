package resolver

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// chaos is an hour of a list with moods, in fake time.
type chaos struct {
	t      *testing.T
	rnd    *rand.Rand
	list   *chaosList
	guard  *upstream.List
	r      *Resolver
	rules  *overrides.Engine
	exempt netip.Prefix

	mu    sync.Mutex
	world map[netip.Addr]time.Time // asked while the list listed the world

	asked, listed, failed int
}

const (
	chaosKey   = "s3cretk3ys3cretk3y"
	chaosStale = 10 * time.Minute
	chaosSlack = 2 * time.Second // seconds are counted whole, twice
)

// TestChaos asks for an hour, while the list goes from fault to fault and the
// configuration is reloaded, and holds every answer against what must be true
// of all of them:
//
//   - an exempt address never gets a code that an exemption removes;
//   - a code beyond exemptions is never lost while the list is well;
//   - an address that the list does not have is never listed, unless the list
//     said so itself (it lists the world, and was not found out yet);
//   - no answer is older than its TTL and the stale window together;
//   - every question is answered, in less than the deadline;
//   - the key is in no answer.
func TestChaos(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runChaos(t, seed) })
		})
	}
}

func runChaos(t *testing.T, seed uint64) {
	c := &chaos{
		t: t, rnd: rand.New(rand.NewPCG(seed, 5782)), exempt: netip.MustParsePrefix("10.0.0.0/9"),
		world: map[netip.Addr]time.Time{},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var background sync.WaitGroup
	c.build(ctx, &background)

	var asking sync.WaitGroup
	end := time.Now().Add(time.Hour)
	nextMood, nextReload := time.Now().Add(time.Minute), time.Now().Add(2*time.Minute)
	for n := 0; time.Now().Before(end); n++ {
		if time.Now().After(nextMood) {
			// Every second mood is a good one, so that states heal.
			m := wellMood
			if last, _ := c.list.now(); last == wellMood {
				m = mood(1 + c.rnd.IntN(moods-1))
			}
			c.list.change(m)
			nextMood = time.Now().Add(time.Duration(20+c.rnd.IntN(200)) * time.Second)
		}
		if time.Now().After(nextReload) {
			c.configure(fmt.Sprint(n))
			nextReload = time.Now().Add(time.Duration(1+c.rnd.IntN(600)) * time.Second)
		}
		addr := netip.AddrFrom4([4]byte{10, byte(c.rnd.IntN(4) * 64), byte(c.rnd.IntN(2)), byte(c.rnd.IntN(40))})
		typ := []uint16{dns.TypeA, dns.TypeTXT}[c.rnd.IntN(2)]
		zone := []string{"plain.test", "kept.test"}[c.rnd.IntN(2)]
		asking.Go(func() { c.ask(addr, zone, typ) })
		time.Sleep(time.Duration(c.rnd.IntN(500)) * time.Millisecond)
	}
	asking.Wait()
	c.list.change(wellMood)
	synctest.Wait()

	c.r.flights.wg.Wait()
	if n := c.r.bounds.stillWaiting(); n != 0 {
		t.Errorf("%d questions still wait", n)
	}
	for i := range c.r.flights.shards {
		if c.r.flights.shards[i].chains != [64]*flight{} {
			t.Error("flights are still under way")
		}
	}
	t.Logf("%d questions: %d listed, %d failed", c.asked, c.listed, c.failed)
	if c.listed == 0 || c.failed == 0 {
		t.Error("the hour was not chaotic")
	}
	c.r.Close()
	cancel()
	background.Wait()
}

// build wires a resolver to the list, as the program does.
func (c *chaos) build(ctx context.Context, background *sync.WaitGroup) {
	c.list = &chaosList{rnd: rand.New(rand.NewPCG(c.rnd.Uint64(), 1)), zone: chaosKey + ".list.example", since: time.Now()}
	pool := upstream.NewPool(c.list)
	asker := pool.Exchanger([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}, upstream.ExchangeOptions{CaseRandom: true})
	zone := []byte(fmt.Sprintf("%c%s\x04list\x07example\x00", len(chaosKey), chaosKey))
	c.guard = upstream.NewList(upstream.ListOptions{
		Zone: zone, Ask: asker, Holds: rbl.HoldsIP4, Probe: true,
		OnVoid:  func() { c.forget(true) },
		OnClose: func(rbl.Shape) { c.forget(false) },
	})
	var err error
	if c.rules, err = overrides.Open(c.ruleSet(), overrides.Options{}); err != nil {
		c.t.Fatal(err)
	}
	if c.r, err = New(Options{Rules: c.rules, CacheSize: 1 << 20}); err != nil {
		c.t.Fatal(err)
	}
	c.configure("0")
	background.Go(func() { c.guard.Run(ctx); pool.Close() })
	background.Go(func() { c.r.Run(ctx) })
}

func (c *chaos) forget(answers bool) {
	c.r.Forget("plain.test", answers)
	c.r.Forget("kept.test", answers)
}

func (c *chaos) ruleSet() []overrides.Rule {
	return []overrides.Rule{{Name: "half", Enabled: true, CIDR: []string{c.exempt.String()}}}
}

// configure reloads, mostly with nothing changed.
func (c *chaos) configure(fingerprint string) {
	var zones []ZoneOptions
	for _, name := range []string{"plain.test", "kept.test"} {
		z := ZoneOptions{
			Name: name, Holds: rbl.HoldsIP4, Listed: rbl.DefaultListed(), Verify: true,
			Upstream: c.list.zone, Secrets: []string{chaosKey}, List: c.guard, Fingerprint: "same",
		}
		if name == "kept.test" {
			z.NoOverride = codes(c.t, chaosFixed.String())
		}
		if c.rnd.IntN(3) == 0 {
			z.Fingerprint = fingerprint
		}
		zones = append(zones, z)
	}
	if err := c.rules.Replace(c.ruleSet()); err != nil {
		c.t.Error(err)
	}
	err := c.r.Configure(Settings{
		Zones: zones, Clients: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		MaxTTL: time.Hour, MaxNegativeTTL: 15 * time.Minute, Stale: chaosStale, Prefetch: true,
	})
	if err != nil {
		c.t.Error(err)
	}
}

// ask puts one question and judges the answer.
func (c *chaos) ask(addr netip.Addr, zone string, typ uint16) {
	q := new(dns.Msg).SetQuestion(rbl.AddrSubject(addr).Name(zone)+".", typ).SetEdns0(1232, false)
	pkt, err := q.Pack()
	if err != nil {
		c.t.Error(err)
		return
	}
	moodBefore, lasted := c.list.now()
	began := time.Now()
	out := (&scene{t: c.t, r: c.r}).raw(pkt, false)
	took := time.Since(began)

	if bytes.Contains(bytes.ToLower(out), []byte(chaosKey)) {
		c.t.Errorf("%s: the key is in the answer", addr)
	}
	var m dns.Msg
	if err := m.Unpack(out); err != nil {
		c.t.Errorf("%s: answer %x: %v", addr, out, err)
		return
	}
	if took > 4*time.Second {
		c.t.Errorf("%s: answered after %v", addr, took)
	}
	c.judge(addr, zone, &m, moodBefore, lasted)
}

func (c *chaos) judge(addr netip.Addr, zone string, m *dns.Msg, before mood, lasted time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	after, _ := c.list.now()
	if before == worldMood || after == worldMood {
		c.world[addr] = time.Now()
	}
	c.asked++
	has := truth(addr)
	exempt, kept := c.exempt.Contains(addr), zone == "kept.test"
	code, _ := ede(m)
	if code == edeUnreachable || code == edeNetwork {
		c.failed++
	}
	at := func() string {
		return fmt.Sprintf("%s in %s, mood %d for %v: %s", addr, zone, before, lasted, brief(m))
	}
	var got []rbl.Code
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			a, _ := netip.AddrFromSlice(rr.A.To4())
			got = append(got, rbl.CodeFromAddr(a))
		case *dns.TXT:
			c.age(rr, at)
		}
	}
	listed := len(m.Answer) > 0
	if listed {
		c.listed++
	}
	if exempt && (slices.Contains(got, chaosRemovable) || listed && !kept) {
		c.t.Errorf("an exempt address is listed: %s", at())
	}
	fooled := time.Since(c.world[addr]) < chaosTTL*time.Second+chaosStale+chaosSlack
	if listed && len(has) == 0 && !fooled {
		c.t.Errorf("an unlisted address is listed: %s", at())
	}
	// A breaker closes, and a quarantine ends, some minutes after a fault.
	const healed = 3 * time.Minute
	well := before == wellMood && lasted > healed && after == wellMood
	if well && kept && slices.Contains(has, chaosFixed) && !listed {
		c.t.Errorf("a code beyond exemptions is lost: %s", at())
	}
}

// age holds the time in a TXT record against TTL and stale window.
func (c *chaos) age(rr *dns.TXT, at func() string) {
	stamp, _, _ := strings.Cut(rr.Txt[0], " ")
	given, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		c.t.Errorf("text %q: %v", rr.Txt, err)
		return
	}
	if old := time.Since(given); old > chaosTTL*time.Second+chaosStale+chaosSlack {
		c.t.Errorf("an answer is %v old: %s", old, at())
	}
}
