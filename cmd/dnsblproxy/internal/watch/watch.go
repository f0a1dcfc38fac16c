// Package watch keeps an eye on one's own sending addresses: each is asked in
// each list at intervals, and when it gets listed or delisted that is a line
// in the log, a metric and, if wanted, a command or a webhook.
//
//	dnsblproxy_watch_listed{watch="outbound",zone="bl.example.org"} 2
//
// What counts is the list's own word, handed in by a function: exemptions are
// for mail that comes in, and others do not have them. A list that cannot be
// asked changes nothing. What is listed, and whether that was told, outlives a
// restart: a restart does not tell it again, and what could not be told,
// because the command or the webhook failed, is told at the next look.
//
// Questions are spread over the interval, one at a time for each watch, so
// that many addresses make no burst. The package bounds nothing else: how many
// addresses a watch may have is decided where it is configured.
//
// Commands run one after the other, without a shell, with a clean environment
// and a bound on their time, and read the facts as JSON on standard input. A
// webhook gets the same facts by POST, and is tried three times. Its URL may
// hold a key anywhere but in its host: nothing else of it is ever logged.
package watch

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Watch is what to look at.
type Watch struct {
	Name    string
	Addrs   []netip.Addr
	Zones   []Zone
	Every   time.Duration
	Notify  []string // argv; empty: no command
	Webhook string   // a URL of http or https, instead of a command; "": none
}

// tells reports whether somebody is told.
func (w *Watch) tells() bool { return len(w.Notify) > 0 || w.Webhook != "" }

// Zone is a list to ask.
type Zone struct {
	Name    string
	Removal string // address of the page where removal is asked for, or ""
}

// Answer is what a list says.
type Answer struct {
	Known  bool // the list could be asked; nothing else counts without
	Listed bool
	Codes  []string
	Text   string
}

// Options are what a Watcher needs.
type Options struct {
	Ask func(ctx context.Context, zone string, a netip.Addr) Answer

	// Load reads what Save kept; found is false when there is nothing. Save says
	// itself when it fails.
	Load func(*State) (found bool, err error)
	Save func(State) error

	// Command runs argv with input; nil runs it as a process.
	Command func(ctx context.Context, argv []string, input []byte) error

	// Transport posts to webhooks; nil: a transport of our own with the
	// system's roots.
	Transport http.RoundTripper

	UserAgent string // sent to webhooks

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

const (
	// firstGap is the pace of the first look, so that it does not take a
	// whole interval to learn the state of affairs.
	firstGap = 100 * time.Millisecond

	// patience bounds one question; lists have deadlines of their own.
	patience = 15 * time.Second
)

// Watcher watches. Its methods are safe for concurrent use.
type Watcher struct {
	o       Options
	client  *http.Client // of webhooks
	listed  *prometheus.GaugeVec
	told    *prometheus.CounterVec
	changed chan struct{} // holds one element after Set
	jobs    chan job

	mu      sync.Mutex
	watches []Watch
	state   State
}

// New loads what was kept, which a damaged file loses with a line in the log.
// Nothing is asked before Run.
func New(o Options) *Watcher {
	w := &Watcher{
		o: o, changed: make(chan struct{}, 1), jobs: make(chan job, maxJobs), state: State{},
		listed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "dnsblproxy_watch_listed",
			Help: "Own addresses that a list has, by watch and zone.",
		}, []string{"watch", "zone"}),
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dnsblproxy_watch_notifications_total",
			Help: "Commands run and webhooks posted to when own addresses were listed or delisted, by watch and result (told, failed).",
		}, []string{"watch", "result"}),
	}
	if _, err := o.Load(&w.state); err != nil {
		o.Log.Warn("watches start anew", slog.Any("error", err))
		w.state = State{}
	}
	if o.Command == nil {
		w.o.Command = runCommand
	}
	w.client = newClient(o.Transport)
	o.Registerer.MustRegister(w.listed, w.told)
	return w
}

// Set says what to watch from now on. What was known of other addresses and
// lists is forgotten, without a word: nobody asked to be told of these.
func (w *Watcher) Set(watches []Watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if reflect.DeepEqual(watches, w.watches) {
		return
	}
	for i := range w.watches {
		if gone := w.watches[i].Name; !slices.ContainsFunc(watches, func(of Watch) bool { return of.Name == gone }) {
			w.told.DeletePartialMatch(prometheus.Labels{"watch": gone})
		}
	}
	w.watches = watches
	w.state.prune(watches)
	w.listed.Reset()
	for i := range watches {
		if watches[i].tells() {
			w.told.WithLabelValues(watches[i].Name, resultTold)
			w.told.WithLabelValues(watches[i].Name, resultFailed)
		}
		for _, z := range watches[i].Zones {
			w.gauge(watches[i].Name, z.Name)
		}
	}
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Run watches until ctx is done. It waits for a command or a webhook that is
// under way, for a moment.
func (w *Watcher) Run(ctx context.Context) {
	var teller sync.WaitGroup
	teller.Go(func() { w.tellAll(ctx) })
	defer teller.Wait()
	for ctx.Err() == nil {
		w.mu.Lock()
		watches := w.watches
		select { // what changed before is in watches
		case <-w.changed:
		default:
		}
		w.mu.Unlock()
		round, stop := context.WithCancel(ctx)
		var looks sync.WaitGroup
		for i := range watches {
			looks.Go(func() { w.follow(round, &watches[i]) })
		}
		select {
		case <-w.changed:
		case <-ctx.Done():
		}
		stop()
		looks.Wait()
	}
}

// follow looks at one watch again and again until ctx is done.
func (w *Watcher) follow(ctx context.Context, of *Watch) {
	n := len(of.Addrs) * len(of.Zones)
	if n == 0 {
		return
	}
	even := of.Every / time.Duration(n)
	gap := min(even, firstGap)
	for begin := time.Now(); ; {
		for i := range n {
			w.look(ctx, of, &of.Zones[i%len(of.Zones)], of.Addrs[i/len(of.Zones)])
			if !sleepUntil(ctx, begin.Add(time.Duration(i+1)*gap)) {
				return
			}
		}
		// The next round begins on time, unless lists were so slow that this
		// one has taken longer than the interval.
		begin = begin.Add(of.Every)
		if !sleepUntil(ctx, begin) {
			return
		}
		if now := time.Now(); begin.Before(now) {
			begin = now
		}
		gap = even
	}
}

// sleepUntil waits; false when ctx is done first.
func sleepUntil(ctx context.Context, at time.Time) bool {
	select {
	case <-time.After(time.Until(at)):
		return true
	case <-ctx.Done():
		return false
	}
}

// look asks once and tells what has changed.
func (w *Watcher) look(ctx context.Context, of *Watch, zone *Zone, addr netip.Addr) {
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a := w.o.Ask(asking, zone.Name, addr)
	if !a.Known || ctx.Err() != nil {
		return
	}
	key := Key{of.Name, zone.Name, addr}
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.state[key]
	switch {
	case a.Listed != e.Listed:
		e = Entry{Listed: a.Listed, Since: time.Now().UTC().Truncate(time.Second)}
		w.write(&key, &e, &a, zone)
	case !known || e.Told:
		return
	}
	e.Told = !of.tells() // the command may have gone
	w.keep(key, e)
	w.gauge(of.Name, zone.Name)
	if !e.Told {
		w.enqueue(job{key: key, entry: e, argv: of.Notify, webhook: of.Webhook, facts: facts(&key, &e, &a, zone)})
	}
}

// keep stores an entry; one that says nothing any more is taken out. The
// caller holds w.mu.
func (w *Watcher) keep(key Key, e Entry) {
	w.state[key] = e
	if !e.Listed && e.Told {
		delete(w.state, key)
	}
	_ = w.o.Save(w.state)
}

// gauge sets the metric of one watch and zone. The caller holds w.mu.
func (w *Watcher) gauge(watch, zone string) {
	n := 0
	for key, e := range w.state {
		if e.Listed && key.Watch == watch && key.Zone == zone {
			n++
		}
	}
	w.listed.WithLabelValues(watch, zone).Set(float64(n))
}

// write puts a change into the log.
func (w *Watcher) write(key *Key, e *Entry, a *Answer, zone *Zone) {
	attrs := []slog.Attr{
		slog.String("watch", key.Watch), slog.String("address", key.Addr.String()), slog.String("zone", key.Zone),
	}
	if !e.Listed {
		w.o.Log.LogAttrs(context.Background(), slog.LevelInfo, "own address delisted", attrs...)
		return
	}
	attrs = append(attrs, slog.Any("codes", a.Codes), slog.String("text", a.Text))
	if zone.Removal != "" {
		attrs = append(attrs, slog.String("removal", zone.Removal))
	}
	w.o.Log.LogAttrs(context.Background(), slog.LevelWarn, "own address listed", attrs...)
}
