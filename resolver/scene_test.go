package resolver

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// fakeList is a list whose records stand in a map. It answers from a
// goroutine of its own, as an upstream does, after hold if that is not nil.
type fakeList struct {
	mu      sync.Mutex
	records map[string][]string // "2.0.0.127.list.example A": RDATA texts
	all     string              // if not empty, the A record of every name
	ttl     uint32
	err     error
	open    string
	refuses bool // why it is open
	lies    string
	spent   bool // but for questions that somebody waits for
	hold    chan struct{}
	delay   time.Duration // of every answer
	began   chan struct{} // if not nil, gets an element for each question
	asked   []string
}

func (l *fakeList) Start(a upstream.Ask, done func(upstream.Outcome)) {
	key := a.Name.String() + " " + dns.TypeToString[a.Type]
	l.mu.Lock()
	l.asked = append(l.asked, key)
	hold, began, delay := l.hold, l.began, l.delay
	l.mu.Unlock()
	go func() {
		if began != nil {
			began <- struct{}{}
		}
		if hold != nil {
			<-hold
		}
		time.Sleep(delay)
		done(l.answer(a, key))
	}()
}

func (l *fakeList) answer(a upstream.Ask, key string) upstream.Outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return upstream.Outcome{Err: l.err}
	}
	if l.spent && a.Background {
		return upstream.Outcome{Err: upstream.ErrBudget}
	}
	r := wire.Response{TTL: l.ttl}
	texts := l.records[key]
	if l.all != "" && a.Type == dns.TypeA {
		texts = []string{l.all}
	}
	for _, text := range texts {
		if a.Type == dns.TypeA {
			ip := netip.MustParseAddr(text).As4()
			r.Records = append(r.Records, ip[:])
		} else {
			r.Records = append(r.Records, []byte(txt(text)))
		}
	}
	if len(r.Records) == 0 {
		r.SOA = []byte("\x02ns\x04list\x00\x04root\x04list\x00" + "\x00\x00\x00\x07\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01")
		r.Rcode = dns.RcodeNameError
		other := map[string]string{"A": "TXT", "TXT": "A"}[dns.TypeToString[a.Type]]
		if len(l.records[a.Name.String()+" "+other]) > 0 {
			r.Rcode = dns.RcodeSuccess
		}
	}
	return upstream.Outcome{Response: r, Took: time.Millisecond}
}

func (l *fakeList) Open(rbl.Shape) (why string, vain, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, l.refuses, l.open != ""
}

func (l *fakeList) Quarantined() (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lies, l.lies != ""
}

func (l *fakeList) questions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked)
}

// set changes the list while others may ask it.
func (l *fakeList) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// scene is a resolver with zones, rules and lists.
type scene struct {
	t      testing.TB
	r      *Resolver
	rules  *overrides.Engine
	list   *fakeList
	told   []Decision
	tellMu sync.Mutex
}

// testZone is a zone whose list is l.
func testZone(name string, l *fakeList) ZoneOptions {
	return ZoneOptions{
		Name: name, Holds: rbl.HoldsAll, Listed: rbl.DefaultListed(),
		Upstream: "list.example", List: l, Fingerprint: name,
	}
}

func codes(t testing.TB, spellings ...string) rbl.CodeSet {
	t.Helper()
	set, err := rbl.ParseCodeSet(spellings)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// newScene serves zones; the first one's list is in scene.list.
func newScene(t testing.TB, zones []ZoneOptions, rules ...overrides.Rule) *scene {
	t.Helper()
	return newSceneWith(t, overrides.Options{}, zones, rules...)
}

// newSceneWith is newScene with rules that may have sources to load, which
// they have done when it returns.
func newSceneWith(t testing.TB, opts overrides.Options, zones []ZoneOptions, rules ...overrides.Rule) *scene {
	t.Helper()
	return newSceneSized(t, 4<<20, opts, zones, rules...)
}

// newSceneSized is newSceneWith with a cache of so many bytes.
func newSceneSized(t testing.TB, cacheSize int64, opts overrides.Options, zones []ZoneOptions, rules ...overrides.Rule) *scene {
	t.Helper()
	s := &scene{t: t}
	for i := range zones {
		if l, ok := zones[i].List.(*fakeList); ok && s.list == nil {
			s.list = l
		}
	}
	for i := range rules {
		rules[i].Enabled = true
	}
	var err error
	if s.rules, err = overrides.Open(rules, opts); err != nil {
		t.Fatal(err)
	}
	if opts.Resolver != nil {
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { s.rules.Run(ctx) })
		t.Cleanup(func() { stop(); running.Wait() })
		<-s.rules.Ready()
	}
	s.r, err = New(Options{Rules: s.rules, CacheSize: cacheSize, OnDecision: func(d Decision) {
		s.tellMu.Lock()
		defer s.tellMu.Unlock()
		s.told = append(s.told, d)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.r.Close()
		if n := s.r.flights.alone.Load(); n != 0 {
			t.Errorf("%d flights that nobody waits for are counted when all have landed", n)
		}
	})
	s.configure(zones)
	return s
}

func (s *scene) configure(zones []ZoneOptions) {
	s.t.Helper()
	err := s.r.Configure(Settings{
		Zones: zones, Clients: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		MaxTTL: time.Hour, MaxNegativeTTL: 15 * time.Minute, Stale: time.Hour, Prefetch: true,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

var testClient = netip.MustParseAddr("127.0.0.1")

// exchange sends one message and waits for its answer.
func (s *scene) exchange(m *dns.Msg, tcp bool) *dns.Msg {
	s.t.Helper()
	pkt, err := m.Pack()
	if err != nil {
		s.t.Fatal(err)
	}
	out := s.raw(pkt, tcp)
	if out == nil {
		return nil
	}
	var answer dns.Msg
	if err := answer.Unpack(out); err != nil {
		s.t.Fatalf("answer %x: %v", out, err)
	}
	return &answer
}

// raw answers a packet; nil when nothing is sent back.
func (s *scene) raw(pkt []byte, tcp bool) []byte {
	sc := NewScratch(0)
	out, done := s.r.Respond(sc, pkt, testClient, tcp)
	if done {
		return append([]byte(nil), out...)
	}
	got := make(chan []byte, 1)
	s.r.Await(sc, pkt, testClient, tcp, func(b []byte) { got <- append([]byte(nil), b...) })
	return <-got
}

// ask asks for name in text, with EDNS.
func (s *scene) ask(name string, typ uint16) *dns.Msg {
	s.t.Helper()
	return s.exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), typ).SetEdns0(1232, false), false)
}

// brief is an answer in a line: rcode, then the answer's records' data.
func brief(m *dns.Msg) string {
	out := dns.RcodeToString[m.Rcode]
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			out += " " + rr.A.String()
		case *dns.TXT:
			out += " " + rr.Txt[0]
		default:
			out += " " + dns.TypeToString[rr.Header().Rrtype]
		}
	}
	return out
}

// ede is the extended error of an answer: its code and text; 0 without one.
func ede(m *dns.Msg) (uint16, string) {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return e.InfoCode, e.ExtraText
			}
		}
	}
	return 0, ""
}

// gathered is the sum of a metric over all its labels.
func gathered(t testing.TB, s *scene, name string) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	if err := reg.Register(s.r.stats); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}
