package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"dnsblproxy/cache/shared"
	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/cmd/dnsblproxy/internal/report"
	"dnsblproxy/cmd/dnsblproxy/internal/state"
	"dnsblproxy/cmd/dnsblproxy/internal/tap"
	"dnsblproxy/cmd/dnsblproxy/internal/watch"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// proxy is the running proxy: the packages, wired.
type proxy struct {
	lists *rbl.Table
	log   *slog.Logger
	reg   *prometheus.Registry

	ctx  context.Context // ends background work, after the last answer
	stop context.CancelFunc
	work sync.WaitGroup

	cfg      atomic.Pointer[config.Config]
	began    *config.Config // of the start: what a reload cannot change is still as it says
	pool     *upstream.Pool
	dns      atomic.Pointer[upstream.Exchanger] // for SPF records and hosts
	kept     state.Dir                          // what outlives a restart
	lost     sync.Map                           // of names in kept: that could not be saved
	rules    *overrides.Engine
	resolver *resolver.Resolver
	shared   *shared.Cache // nil without one
	figures  *report.Recorder
	tap      *tap.Writer // nil when [dnstap] is off
	watcher  *watch.Watcher

	mu       sync.Mutex // of backends, which change with cfg, and in configure alone
	backends map[string]*backend

	reloaded prometheus.Gauge
	search   sync.Mutex  // held while findLoops waits
	ready    atomic.Bool // every source was tried, and questions are read
	stale    atomic.Bool // the latest reload failed

	// What the page remembers, and forgets at a restart.
	started time.Time
	answers *prometheus.Registry // the resolver's metrics, for the page's figures
	journal *admin.Journal
	history *admin.History
}

// newProxy makes a proxy that runs in the background. It binds nothing.
func newProxy(c *config.Config, lists *rbl.Table, log *slog.Logger, root string) (*proxy, error) {
	d, err := wire(c, lists, log, root)
	if err == nil {
		d.start()
	}
	return d, err
}

// wire makes a proxy that loads no source before start. root is the folder for
// what outlives a restart; empty: nothing does.
func wire(c *config.Config, lists *rbl.Table, log *slog.Logger, root string) (*proxy, error) {
	d := &proxy{
		lists: lists, log: log, reg: prometheus.NewRegistry(), began: c, started: time.Now(),
		answers: prometheus.NewRegistry(), journal: admin.NewJournal(remembered),
		pool: upstream.NewPool(nil), backends: map[string]*backend{}, kept: state.Dir(stateDir(root, listState)),
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.cfg.Store(c)
	d.dns.Store(d.resolverExchanger(c))
	d.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d.registerOwn()
	d.history = admin.NewHistory(d.answers, log)
	d.figures = report.Open(report.Options{Totals: d.totals, Listing: d.listing, Load: d.kept.Load, Save: d.keep, Log: log})
	d.watcher = d.newWatcher()
	if err := d.open(c, root); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *proxy) start() {
	d.work.Go(func() { _ = d.rules.Run(d.ctx) }) // fails only when it runs already
	d.work.Go(func() { d.resolver.Run(d.ctx) })
	if d.shared != nil {
		d.work.Go(func() { d.shared.Watch(d.ctx, warningsEvery, d.listNames, d.warned) })
	}
}

// open makes rules, caches and zones.
func (d *proxy) open(c *config.Config, root string) (err error) {
	d.rules, err = overrides.Open(nil, overrides.Options{
		Resolver: dnsResolver(d.dns.Load), UserAgent: "dnsblproxy/" + readVersion().Version,
		Transport: feedTransport(func() []netip.AddrPort { return d.cfg.Load().Nameservers }),
		StateDir:  stateDir(root, "sources"), Log: d.log, Registerer: d.reg,
	})
	if err != nil {
		return err
	}
	second, err := d.openShared(c)
	if err != nil {
		return err
	}
	d.resolver, err = resolver.New(resolver.Options{
		Rules: d.rules, Second: second, CacheSize: c.Cache.Size, Log: d.log, Registerer: d.answers,
		Shards: resolver.DefaultWorkers(), OnListing: d.figures.Listing, OnDecision: d.decided,
	})
	if err != nil {
		return err
	}
	d.reg.MustRegister(d.answers)
	if err := d.configure(c); err != nil {
		return err
	}
	d.forgetLies(c)
	return nil
}

// configure puts the rules, zones and settings of c in force. What can be wrong
// with the zones is seen first: what the rules of before have loaded could not
// be had back. It is called by one at a time, and others can see meanwhile what
// is in force: large files take a while.
func (d *proxy) configure(c *config.Config) error {
	before := d.backends
	s, backends, err := d.settings(c, before)
	if err == nil {
		if wrong := d.rules.Replace(rules(c)); wrong != nil {
			err = config.Join(ruleProblems(c, wrong))
		}
	}
	if err == nil {
		err = d.resolver.Configure(s) // no zone that config accepts is refused
	}
	if err != nil {
		retire(backends, before)
		return err
	}
	d.mu.Lock()
	d.backends = backends
	d.cfg.Store(c)
	d.mu.Unlock()
	retire(before, backends)
	return nil
}

// retire stops the backends that the others no longer have. Questions that
// are out with them are answered all the same.
func retire(old, kept map[string]*backend) {
	for name, b := range old {
		if kept[name] != b {
			b.stop()
		}
	}
}

// reload reads the configuration again and puts it in force, or changes
// nothing.
func (d *proxy) reload(own []netip.AddrPort) error {
	c, err := reread(d.lists, d.cfg.Load(), own)
	if err == nil {
		err = d.apply(c)
	}
	d.stale.Store(err != nil)
	if err != nil {
		d.reloaded.Set(0)
		return err
	}
	d.reloaded.Set(1)
	return nil
}

func (d *proxy) apply(c *config.Config) error {
	if err := d.findLoops(c); err != nil {
		return err
	}
	before := d.dns.Swap(d.resolverExchanger(c)) // the sources of new rules ask at once
	if err := d.configure(c); err != nil {
		d.dns.Store(before)
		return err
	}
	d.watcher.Set(watches(c, d.lists))
	warn(d.log, c, d.lists)
	for _, setting := range waiting(d.began, c) {
		d.log.Warn("a changed setting waits for a restart", slog.String("setting", setting))
	}
	return nil
}

// waiting names the settings of c that a process which began with another
// configuration takes up at its next start only.
func waiting(began, c *config.Config) (settings []string) {
	fixed := func(setting string, changed bool) {
		if changed {
			settings = append(settings, setting)
		}
	}
	fixed("listen", fmt.Sprint(began.Listen, began.Systemd) != fmt.Sprint(c.Listen, c.Systemd))
	fixed("admin", began.Admin != c.Admin)
	fixed("log", began.Log != c.Log)
	fixed("dnstap", began.Dnstap != c.Dnstap)
	fixed("state", began.State != c.State)
	fixed("cache.size", began.Cache.Size != c.Cache.Size)
	fixed("cache.shared", began.Cache.Shared != c.Cache.Shared)
	return settings
}

// listen binds the addresses for DNS.
func (d *proxy) listen(own sockets) (*resolver.Server, error) {
	c := d.cfg.Load()
	o := resolver.ServerOptions{Resolver: d.resolver, Log: d.log, Listen: c.Listen}
	if d.tap = d.newTap(c); d.tap != nil {
		o.Tap = d.tap
	}
	if c.Systemd {
		if len(own.udp) == 0 {
			return nil, errors.New(`listen = ["systemd"]: no UDP socket was handed over; enable the socket unit, or name an address`)
		}
		if len(own.tcp) == 0 {
			d.log.Warn("systemd handed over no TCP socket, without which nobody gets an answer that is too long for UDP; write ListenStream= into the socket unit")
		}
		o.InheritedUDP, o.InheritedTCP = own.udp, own.tcp
	} else if addrs := own.addrs(); len(addrs) > 0 {
		d.log.Warn(`nobody answers at systemd's sockets; write "systemd" in listen, or disable the socket unit`, slog.Any("sockets", addrs))
	}
	return resolver.Listen(o)
}

// adminOptions are what the admin address serves; nil without one.
func (d *proxy) adminOptions() *admin.Options {
	c := d.cfg.Load()
	if !c.Admin.Listen.IsValid() {
		return nil
	}
	ready := func() error {
		if !d.ready.Load() {
			return errors.New("the sources of the rules are being loaded")
		}
		return nil
	}
	return &admin.Options{
		Listen: c.Admin.Listen, Token: c.Admin.Token.Reveal(), TLSCert: c.Admin.TLSCert, TLSKey: c.Admin.TLSKey, ReadFile: config.ReadFile,
		Gatherer: d.reg, Ready: ready, API: d.api(), Page: d.page(), Log: d.log,
	}
}

// close ends all background work. Nothing may be asked any more; what is asked
// still, for nobody or for who has waited through the grace, is cut off.
func (d *proxy) close() {
	d.stop()
	d.work.Wait() // for backends that a reload replaced, too: they keep what they spent
	d.pool.Close()
	if d.resolver != nil {
		d.resolver.Close()
	}
	if d.shared != nil {
		d.shared.Close()
	}
}

// stateRoot is the folder for what outlives a restart, "" if nothing does.
func stateRoot(c *config.Config) string {
	if c.State != "" {
		return c.State
	}
	// systemd may name several; the first is ours.
	dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	return dir
}

// stateDir is the folder of that name in root, "" if nothing is kept.
func stateDir(root, name string) string {
	if root == "" {
		return ""
	}
	return filepath.Join(root, name)
}

// listState is the folder of what is kept of the lists.
const listState = "lists"

// firstLoad is how long the start waits for SPF records and feeds, so that an
// exempt sender is not refused because the proxy was just restarted. What large
// files take counts too.
const firstLoad = 4 * time.Second
