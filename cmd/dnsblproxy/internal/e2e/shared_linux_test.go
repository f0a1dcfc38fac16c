package e2e

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// sharedTimeout is [cache.shared] timeout in these tests; sharedSlack is for
// the race detector and a loaded machine. Who waits without a bound waits for
// more than a second.
const (
	sharedTimeout = 100 * time.Millisecond
	sharedSlack   = 500 * time.Millisecond
)

// site is two mail servers' proxies with one shared cache and one list.
type site struct {
	list    *Faulty
	redis   *Redis
	proxies []*Proxy
	next    int // subjects so far
}

// subject is the nth address of a site; every other one is listed.
func subject(n int) string { return fmt.Sprintf("198.18.%d.%d", n/256, n%256) }

func subjectVerdict(n int) string {
	if n%2 == 1 {
		return "listed 127.0.0.2"
	}
	return "unlisted"
}

func listSubjects(list *Faulty, n int) {
	codes := make(map[string]string)
	for i := range n {
		if i%2 == 1 {
			codes[subject(i)] = "127.0.0.2"
		}
	}
	list.List(codes)
}

func startSite(t testing.TB) *site {
	t.Helper()
	s := &site{list: startFaulty(t, "bl.example"), redis: startRedis(t)}
	listSubjects(s.list, 2048)
	for range 2 {
		s.proxies = append(s.proxies, startProxy(t, ProxyOptions{Env: []string{sharedSecret},
			Config: s.redis.table(fmt.Sprintf("timeout = %q", sharedTimeout)) + zone("bl.example", "probe = false", s.list.Addr)}))
	}
	s.connected(t)
	return s
}

// connected waits until all proxies read and write the shared cache. The
// subjects that it asks about do not come again.
func (s *site) connected(t testing.TB) {
	t.Helper()
	for _, p := range s.proxies {
		before, keys := p.metric(t, "dnsblproxy_shared_cache_requests_total", `result="miss"`), len(s.redis.keys(t))
		eventually(t, soon, "the shared cache to be asked", func() error {
			s.next++
			if got := verdict(t, p.Addr, subject(s.next), "bl.example"); got != subjectVerdict(s.next) {
				t.Errorf("%s is %s", subject(s.next), got)
			}
			if p.metric(t, "dnsblproxy_shared_cache_requests_total", `result="miss"`) == before || len(s.redis.keys(t)) == keys {
				return fmt.Errorf("it is not")
			}
			return nil
		})
	}
}

// new returns a subject that nobody has asked about.
func (s *site) new() int {
	s.next++
	return s.next
}

// share asks the proxy about new subjects until the server holds forty.
func (s *site) share(t testing.TB, what string, p *Proxy) (asked []int) {
	t.Helper()
	eventually(t, soon, "the answers to be shared", func() error {
		asked = append(asked, s.new())
		s.measure(t, what, p, asked[len(asked)-1:])
		if n := len(s.redis.keys(t)); n < 40 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	return asked
}

// measure asks the proxy about subjects and returns the longest wait.
func (s *site) measure(t testing.TB, what string, p *Proxy, subjects []int) time.Duration {
	t.Helper()
	var longest time.Duration
	for _, n := range subjects {
		start := awake()()
		got := verdict(t, p.Addr, subject(n), "bl.example")
		longest = max(longest, since(start))
		if got != subjectVerdict(n) {
			t.Errorf("%s: %s is %s, want %s", what, subject(n), got, subjectVerdict(n))
		}
	}
	return longest
}

// TestShared: a name asked of one proxy is no question to the list for the
// other. Then the shared cache fails in each way: every answer is right, none
// waits longer than the timeout for it, and it is used again when it is back.
func TestShared(t *testing.T) {
	// Not parallel: it measures milliseconds.
	s := startSite(t)
	asked := s.share(t, "asked first", s.proxies[0])
	s.measure(t, "asked of the other", s.proxies[1], asked)
	times := 0
	for _, n := range asked {
		times += s.list.AskedFor(subject(n))
	}
	// All but a few hit, those that found the machine standing still.
	hits := int(s.proxies[1].metric(t, "dnsblproxy_shared_cache_requests_total", `result="hit"`))
	if times != 2*len(asked)-hits || hits < 20 {
		t.Errorf("the list was asked %d times for %d subjects of two proxies, with %d hits", times, len(asked), hits)
	}

	var table strings.Builder
	table.WriteString("| the shared cache | the first question takes | the tenth |\n|---|---|---|\n")
	for _, way := range sharedFaults() {
		way.begin(t, s)
		var first, tenth time.Duration
		for _, p := range s.proxies {
			best := time.Hour // of the last five: who waits, waits each time
			for i := range 14 {
				took := s.measure(t, way.name, p, []int{s.new()})
				if i == 0 {
					first = max(first, took)
				}
				if i >= 9 {
					best = min(best, took)
				}
				if took > sharedTimeout+sharedSlack {
					t.Errorf("%s: question %d took %v", way.name, i+1, took)
				}
			}
			tenth = max(tenth, best)
			s.measure(t, way.name, p, asked) // in the proxy's own cache
		}
		if tenth > sharedTimeout {
			t.Errorf("%s: the tenth question took %v", way.name, tenth)
		}
		fmt.Fprintf(&table, "| %s | %s | %s |\n", way.name, millis(first), millis(tenth))
		way.end(t, s)
		s.connected(t)
	}
	t.Logf("\n%s", table.String())
	s.shares(t)
}

// shares sees that the two still share, at the end.
func (s *site) shares(t testing.TB) {
	t.Helper()
	n := s.new()
	s.measure(t, "at the end", s.proxies[1], []int{n})
	before := s.proxies[0].metric(t, "dnsblproxy_shared_cache_requests_total", `result="hit"`)
	eventually(t, soon, "an answer to be shared again", func() error {
		s.measure(t, "at the end", s.proxies[1], []int{s.new()})
		s.measure(t, "at the end", s.proxies[0], []int{s.next})
		if s.proxies[0].metric(t, "dnsblproxy_shared_cache_requests_total", `result="hit"`) == before {
			return fmt.Errorf("no hit")
		}
		return nil
	})
}

// sharedFault is one way in which the shared cache fails.
type sharedFault struct {
	name       string
	begin, end func(t testing.TB, s *site)
}

func sharedFaults() []sharedFault {
	nothing := func(testing.TB, *site) {}
	return []sharedFault{
		{"killed", func(t testing.TB, s *site) { s.redis.kill(t) }, func(t testing.TB, s *site) { s.redis.start(t) }},
		{"restarted, empty", func(t testing.TB, s *site) { s.redis.kill(t); s.redis.start(t) }, nothing},
		{"stopped", func(t testing.TB, s *site) { s.redis.Signal(t, syscall.SIGSTOP) },
			func(t testing.TB, s *site) { s.redis.Signal(t, syscall.SIGCONT) }},
		{"full", func(t testing.TB, s *site) {
			s.redis.do(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
			s.redis.do(t, "CONFIG", "SET", "maxmemory", "1")
		}, func(t testing.TB, s *site) { s.redis.do(t, "CONFIG", "SET", "maxmemory", "0") }},
		{"password changed", func(t testing.TB, s *site) {
			s.redis.do(t, "CONFIG", "SET", "requirepass", "another")
			s.redis.try("CLIENT", "KILL", "TYPE", "normal") // itself too
		}, func(t testing.TB, s *site) { s.redis.kill(t); s.redis.start(t) }},
		{"poisoned", poison, nothing},
	}
}

// poison lets one proxy ask, and puts into the place of each of its answers
// those of other names, and what is no answer at all, before the other asks.
func poison(t testing.TB, s *site) {
	t.Helper()
	s.redis.do(t, "FLUSHALL")
	subjects := s.share(t, "before the poison", s.proxies[0])
	keys := s.redis.keys(t)
	values := make([]string, len(keys))
	for i, key := range keys {
		values[i] = s.redis.do(t, "GET", key)
	}
	for i, key := range keys {
		value := values[(i+1)%len(keys)]
		switch own := values[i]; i % 4 {
		case 1:
			value = own[:len(own)-1]
		case 2:
			value = strings.Replace(own, "\x7f\x00\x00\x02", "\x7f\x00\x00\x04", 1) + strings.Repeat("\x00", i%8)
		case 3:
			value = strings.Repeat("127.0.0.2 ", 1000)
		}
		s.redis.do(t, "SET", key, value, "EX", "300")
	}
	before := s.proxies[1].metric(t, "dnsblproxy_shared_cache_requests_total", `result="hit"`)
	s.measure(t, "poisoned", s.proxies[1], subjects)
	// A value of case 2 without the address in it is its own, whole.
	own := 0
	for i := range keys {
		if i%4 == 2 && !strings.Contains(values[i], "\x7f\x00\x00\x02") && i%8 == 0 {
			own++
		}
	}
	if hits := s.proxies[1].metric(t, "dnsblproxy_shared_cache_requests_total", `result="hit"`) - before; hits > float64(own+len(subjects)-len(keys)) { // some may come late
		t.Errorf("%v poisoned values were taken for answers", hits)
	}
}

// TestShared_strangers: proxies with different secrets, or a wrong password,
// do their work without each other.
func TestShared_strangers(t *testing.T) {
	t.Parallel()
	list, redis := startFaulty(t, "bl.example"), startRedis(t, "--requirepass", "right")
	listSubjects(list, 256)
	config := func(user string) string {
		return strings.Replace(redis.table("timeout = \"100ms\""), "redis://", "redis://"+user, 1) + zone("bl.example", "probe = false", list.Addr)
	}
	proxies := []*Proxy{
		startProxy(t, ProxyOptions{Env: []string{sharedSecret}, Config: config(":right@")}),
		startProxy(t, ProxyOptions{Env: []string{"CACHE_SECRET=another"}, Config: config(":right@")}),
		startProxy(t, ProxyOptions{Env: []string{sharedSecret}, Config: config(":wr0ng@")}),
	}
	for n := range 40 {
		for _, p := range proxies {
			if got := verdict(t, p.Addr, subject(n), "bl.example"); got != subjectVerdict(n) {
				t.Errorf("%s is %s, want %s", subject(n), got, subjectVerdict(n))
			}
		}
		if times := list.AskedFor(subject(n)); times != len(proxies) {
			t.Errorf("the list was asked %d times for %s, want %d", times, subject(n), len(proxies))
		}
	}
	for i, p := range proxies {
		if hits := p.metric(t, "dnsblproxy_shared_cache_requests_total", `result="hit"`); hits > 0 {
			t.Errorf("proxy %d: %v hits", i, hits)
		}
		for _, secret := range []string{"wr0ng", "horse", "right@"} {
			if strings.Contains(p.Output(), secret) {
				t.Errorf("proxy %d: the log holds %q", i, secret)
			}
		}
	}
	eventually(t, soon, "the log to name the wrong password", func() error { return mentions(proxies[2].Output(), "WRONGPASS") })
}

// TestShared_trace counts the questions to the list over a trace in which few
// names come often and many once (Zipf), spread over proxies as mail comes.
// The log of the test is the table for people.
func TestShared_trace(t *testing.T) {
	t.Parallel()
	const questions = 1000
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 8, 700)
	trace := make([]int, questions)
	for i := range trace {
		trace[i] = int(zipf.Uint64())
	}
	sorted := slices.Clone(trace)
	slices.Sort(sorted)
	distinct := len(slices.Compact(sorted))

	var table strings.Builder
	fmt.Fprintf(&table, "%d questions, %d names\n| proxies | questions to the list without | with the shared cache |\n|---|---|---|\n", questions, distinct)
	for _, proxies := range []int{1, 2, 4} {
		without, _ := runTrace(t, trace, proxies, nil)
		with, failed := runTrace(t, trace, proxies, startRedis(t))
		fmt.Fprintf(&table, "| %d | %d | %d |\n", proxies, without, with)
		if without < distinct || proxies > 1 && without < distinct*5/4 {
			t.Errorf("%d proxies asked %d questions without the shared cache: the trace proves nothing", proxies, without)
		}
		// An answer may be asked for again before it has been shared.
		if with < distinct || with > distinct+distinct/20+failed {
			t.Errorf("%d proxies with a shared cache asked %d questions for %d names", proxies, with, distinct)
		}
	}
	t.Logf("\n%s", table.String())
}

// runTrace returns how many questions the list got, and how many in vain the
// shared cache: it is left alone for a second where the machine stands still.
func runTrace(t testing.TB, trace []int, proxies int, redis *Redis) (n, failed int) {
	t.Helper()
	list := startFaulty(t, "bl.example")
	listSubjects(list, 2048)
	config := zone("bl.example", "probe = false", list.Addr)
	if redis != nil {
		config = redis.table("timeout = \"1s\"") + config
	}
	s := &site{list: list, redis: redis, next: 2010} // above the trace
	for range proxies {
		s.proxies = append(s.proxies, startProxy(t, ProxyOptions{Config: config, Env: []string{sharedSecret}}))
	}
	if redis != nil {
		s.connected(t)
	}
	before := len(list.Seen())
	random := rand.New(rand.NewPCG(3, 4))
	for _, n := range trace {
		s.measure(t, "trace", s.proxies[random.IntN(proxies)], []int{n})
	}
	for _, m := range list.Seen()[before:] {
		if m.Question[0].Qtype == dns.TypeA {
			n++
		}
	}
	for _, p := range s.proxies {
		failed += int(p.metric(t, "dnsblproxy_shared_cache_requests_total", `result="error"`))
	}
	return n, failed
}

// TestShared_warning: a proxy that quarantines a list has the others test it.
// One whose list lies too finds that out; one whose list is well goes on
// believing it.
func TestShared_warning(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	lying, turning, well := startFaulty(t, "bl.example"), startFaulty(t, "bl.example"), startFaulty(t, "bl.example")
	lying.Set(faultNamed("wildcard"))
	start := func(list *Faulty) *Proxy {
		return startProxy(t, ProxyOptions{Env: []string{sharedSecret}, Config: redis.table("") + zone("bl.example", "", list.Addr)})
	}
	state := func(p *Proxy, name string, count *Faulty) error {
		if p.metric(t, "dnsblproxy_list_state", `zone="bl.example"`, fmt.Sprintf("state=%q", name)) != 1 {
			return fmt.Errorf("it is not %s, after %d questions", name, len(count.Seen()))
		}
		return nil
	}
	b, c := start(well), start(turning)
	for _, list := range []*Faulty{well, turning} {
		eventually(t, soon, "the end of the first test", func() error {
			for _, m := range list.Seen() {
				if strings.HasSuffix(strings.ToLower(m.Question[0].Name), ".8.b.d.0.1.0.0.2.bl.example.") {
					return nil
				}
			}
			return fmt.Errorf("%d questions", len(list.Seen()))
		})
	}
	turning.Set(faultNamed("wildcard"))
	tests := well.AskedFor("127.0.0.2")
	a := start(lying)
	eventually(t, soon, "the list that lies to be found out", func() error { return state(a, "quarantined", lying) })
	// A list is tested once a minute at most; by itself after four.
	eventually(t, 2*soon, "the list that lies now to be found out", func() error { return state(c, "quarantined", turning) })
	eventually(t, soon, "the list that is well to be tested", func() error {
		if well.AskedFor("127.0.0.2") == tests {
			return fmt.Errorf("%d tests", tests)
		}
		return nil
	})
	if err := state(b, "healthy", well); err != nil {
		t.Error(err)
	}
	for _, p := range []*Proxy{b, c} {
		if !strings.Contains(p.Output(), "another proxy warns of a list") {
			t.Error("a proxy tested its list without being warned")
		}
	}
}

// TestShared_restart: what a list said while it lied is not believed because the
// proxy that has found it out was restarted.
func TestShared_restart(t *testing.T) {
	t.Parallel()
	list := startFaulty(t, "bl.example")
	listSubjects(list, 256)
	s := &site{list: list, redis: startRedis(t)}
	start := func(files map[string]string) *Proxy {
		s.proxies = []*Proxy{startProxy(t, ProxyOptions{
			Top: `state = "state"`, Files: files, Env: []string{sharedSecret},
			Config: s.redis.table("timeout = \"1s\"") + zone("bl.example", "probe = false", list.Addr),
		})}
		s.connected(t)
		return s.proxies[0]
	}
	believing := start(nil)
	list.Set(faultNamed("wildcard"))
	keys := len(s.redis.keys(t))
	if got := verdict(t, believing.Addr, "192.0.2.99", "bl.example"); got != "listed 127.0.0.2" {
		t.Fatalf("who tests nothing says %s", got)
	}
	eventually(t, 10*time.Second, "the lie to be shared", func() error {
		if len(s.redis.keys(t)) == keys {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	list.Set(Fault{})
	for _, tt := range []struct {
		ended time.Duration
		want  string
	}{{2 * time.Hour, "listed 127.0.0.2"}, {time.Minute, "unlisted"}} {
		sum := sha256.Sum256([]byte("bl.example"))
		p := start(map[string]string{
			fmt.Sprintf("state/lists/quarantine%%20bl.example%%20%x.json", sum[:4]): fmt.Sprintf(`{"Ended": %q}`, time.Now().Add(-tt.ended).Format(time.RFC3339)),
		})
		if got := verdict(t, p.Addr, "192.0.2.99", "bl.example"); got != tt.want {
			t.Errorf("%s after the end of the quarantine the lie of before makes it %s, want %s", tt.ended, got, tt.want)
		}
	}
}
