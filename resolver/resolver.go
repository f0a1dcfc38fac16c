package resolver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"dnsblproxy/cache"
	"dnsblproxy/resolver/internal/spare"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// Options are what a Resolver needs for as long as it lives.
type Options struct {
	Rules Rules // required

	CacheSize int64 // bytes; at least cache.MinBytes

	// Log receives decisions that matter; nil drops them.
	Log *slog.Logger

	// Registerer takes the metrics; nil is fine.
	Registerer prometheus.Registerer

	// Shards is how many goroutines read packets, so that each can count
	// for itself; at least 1.
	Shards int

	// Second is a cache shared with other proxies; nil without one.
	Second SecondLevel

	// Now is the clock that answers age by; nil for the system's. What waits
	// for an answer goes by the system's all the same.
	Now func() time.Time

	// OnDecision, if not nil, is told of decisions worth a log line.
	OnDecision func(Decision)

	// OnListing, if not nil, is told of each listing once a TTL, with no
	// bound on how many: it must be quick.
	OnListing func(zone, subject string)
}

// Settings are what a reload may change.
type Settings struct {
	Zones   []ZoneOptions
	Clients []netip.Prefix // who may ask
	Relay   Relay          // takes names outside the zones; nil refuses them

	// Deadline is for all that one question takes; 0 means 4 s.
	Deadline time.Duration

	// MinTTL and MaxTTL bound for how long a list's answer is kept, and
	// MaxNegativeTTL one without records; Stale is how long past that it may
	// stand in for a failing list (RFC 8767). They count in whole seconds.
	MinTTL, MaxTTL, MaxNegativeTTL, Stale time.Duration

	// Prefetch renews popular answers shortly before they run out.
	Prefetch bool
}

// Relay passes a packet on to a recursive resolver.
type Relay interface {
	// Relay sends a copy of pkt, its ID aside, and hands the answer with the
	// packet's own ID to done, exactly once, from another goroutine.
	Relay(pkt []byte, tcp bool, done func(answer []byte, err error))
}

// Resolver answers packets. Its methods are safe for concurrent use.
type Resolver struct {
	rules    Rules
	cache    *cache.Cache
	second   SecondLevel // nil without one
	clock    *clock
	flights  *flights
	fails    *failures
	bounds   *bounds
	refusals *rate.Limiter
	scratch  spare.List[Scratch]
	waiters  spare.List[waiter]
	stats    *stats
	log      *decisionLog

	mu    sync.Mutex // of Configure and Forget
	snap  atomic.Pointer[snapshot]
	traps atomic.Pointer[traps] // nil but for moments at start and reload
}

// snapshot is what is in force between two reloads. It is immutable.
type snapshot struct {
	zones    *zoneTable
	clients  bart.Lite
	relay    Relay
	limits   limits
	deadline time.Duration
	prefetch bool
}

// refusalsPerSecond bounds the answers to clients that may not ask, so that
// forged senders cannot make the proxy a mirror.
const refusalsPerSecond = 100

// New returns a Resolver without zones: every client is refused until
// [Resolver.Configure] was called. Close it when done.
func New(o Options) (*Resolver, error) {
	if o.Rules == nil {
		return nil, errors.New("resolver: no rules")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	clk := newClock(o.Now)
	c, err := cache.New(cache.Options{MaxBytes: o.CacheSize, Now: clk.seconds})
	if err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	shards := max(o.Shards, 1)
	r := &Resolver{
		rules: o.Rules, cache: c, second: o.Second, clock: clk,
		fails:    newFailures(),
		bounds:   newBounds(10_000, 50_000),
		refusals: rate.NewLimiter(refusalsPerSecond, refusalsPerSecond),
		stats:    newStats(shards+1, c),
		log: &decisionLog{
			log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)), tell: o.OnDecision, lists: o.OnListing, seed: maphash.MakeSeed(),
		},
	}
	r.flights = newFlights(r)
	r.snap.Store(&snapshot{zones: newZoneTable(nil)})
	if o.Registerer != nil {
		if err := o.Registerer.Register(r.stats); err != nil {
			c.Close()
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return r, nil
}

// Run keeps the resolver's clock and log going until ctx is done.
func (r *Resolver) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { every(ctx, tick, r.clock.read) })
	wg.Go(func() { r.log.run(ctx) })
	wg.Wait()
}

// Tick reads the clock, which Run does 20 times a second, and waits until what
// was fetched is in the cache for good. It is for those who drive Options.Now
// through hours in seconds, instead of Run.
func (r *Resolver) Tick() {
	r.clock.read()
	r.cache.Settle()
}

// Close waits for what is being fetched and frees the cache. Nothing may be
// asked any more.
func (r *Resolver) Close() {
	r.flights.wg.Wait()
	r.cache.Close()
}

// Configure puts settings in force. Questions that wait end with those under
// which they were asked. What is cached of a zone with an unchanged
// fingerprint stays.
func (r *Resolver) Configure(s Settings) error {
	r.mu.Lock() // what is void must not be taken over
	defer r.mu.Unlock()
	now := r.snap.Load()
	before, limits := now.zones, newLimits(&s)
	zones := make([]*zone, 0, len(s.Zones))
	for i := range s.Zones {
		z, err := r.newZone(&s.Zones[i])
		if err != nil {
			return err
		}
		old := before.named(z.Name)
		if old != nil {
			z.voided.Store(old.voided.Load()) // the other proxies' answers are the same
		}
		same := old != nil && old.Fingerprint == z.Fingerprint
		if same {
			z.answers.Store(old.answers.Load())
			z.flushes.Store(old.flushes.Load())
		}
		if !same || limits.shorter(now.limits) {
			z.flush(r.cache)
		}
		zones = append(zones, z)
	}
	next := &snapshot{
		zones: newZoneTable(zones), relay: s.Relay, prefetch: s.Prefetch,
		limits: limits, deadline: cmp.Or(s.Deadline, 4*time.Second),
	}
	for _, z := range zones {
		for _, name := range z.Members {
			m := next.zones.named(name)
			if m == nil {
				return fmt.Errorf("zone %s: member %q is no zone", z.Name, name)
			}
			z.members = append(z.members, m)
		}
	}
	for _, p := range s.Clients {
		next.clients.Insert(p)
	}
	r.snap.Store(next)
	// What holds zones that were replaced is let go.
	r.fails.clear()
	r.waiters.Clear()
	r.scratch.Clear()
	r.stats.configure(zones)
	return nil
}

func (r *Resolver) newZone(o *ZoneOptions) (*zone, error) {
	name, err := rbl.AppendName(nil, o.Name)
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", o.Name, err)
	}
	apex := wire.Name(name)
	z := &zone{
		ZoneOptions: *o, apex: apex, upstream: wire.Name{0}, labels: apex.Labels(),
		salt: maphash.String(r.flights.seed, o.Name), counts: r.stats.zone(o.Name),
	}
	if z.CodeName == nil {
		z.CodeName = func(rbl.Code) string { return "" }
	}
	if o.Upstream != "" {
		if z.upstream, err = rbl.AppendName(nil, o.Upstream); err != nil {
			// Its name may hold a key, and so is not shown.
			return nil, fmt.Errorf("zone %s: upstream is no domain name: %w", o.Name, err)
		}
		z.hide = newHider(o, z.upstream, apex)
	}
	return z, nil
}

// Forget voids what is remembered of the failures of a zone's list, which is
// back; with answers also what is cached of it, because it was found to lie.
func (r *Resolver) Forget(zoneName string, answers bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	z := r.snap.Load().zones.named(zoneName)
	if z == nil {
		return
	}
	z.epoch.Add(1)
	if answers {
		z.voided.Store(int64(r.clock.seconds()) + 1)
		z.flush(r.cache)
	}
}

// limits are the bounds of an answer's life, in seconds.
type limits struct {
	minTTL, maxTTL, maxNegative, stale uint32
}

func newLimits(s *Settings) limits {
	secs := func(d time.Duration) uint32 { return uint32(d / time.Second) }
	return limits{secs(s.MinTTL), secs(s.MaxTTL), secs(s.MaxNegativeTTL), secs(s.Stale)}
}

// life is how long a list's answer may be used. A negative answer without an
// SOA says nothing of that: its TTL is 0, and it is kept only where the
// administrator wants answers kept that are not to be. RFC 2308, section 5.
func (l limits) life(r *wire.Response) uint32 {
	return min(max(r.TTL, l.minTTL), l.most(len(r.Records) > 0))
}

// shorter reports whether some of what was kept under before is kept no longer.
func (l limits) shorter(before limits) bool {
	return l.maxTTL < before.maxTTL || l.maxNegative < before.maxNegative || l.stale < before.stale
}

// most is the longest life of an answer with records, or without.
func (l limits) most(records bool) uint32 {
	if records {
		return l.maxTTL
	}
	return min(l.maxTTL, l.maxNegative)
}
