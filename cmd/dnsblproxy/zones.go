package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver"
	"dnsblproxy/resolver/combine"
	"dnsblproxy/resolver/dataset"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// backend is what stands behind one zone: it outlives reloads that do not
// change the zone.
type backend struct {
	fingerprint string
	stop        context.CancelFunc
	list        resolver.List  // nil for zones that ask nobody
	upstream    string         // of source upstream: the list's name
	guarded     *upstream.List // likewise
	data        *dataset.Store // of source file
}

// settings turns the configuration into the resolver's, with the backends
// that its zones need: those of before where nothing of the zone changed.
func (d *proxy) settings(c *config.Config, before map[string]*backend) (resolver.Settings, map[string]*backend, error) {
	s := resolver.Settings{
		Clients: c.Clients, Deadline: c.Resolver.Deadline,
		MinTTL: c.Cache.MinTTL, MaxTTL: c.Cache.MaxTTL, MaxNegativeTTL: c.Cache.MaxNegativeTTL,
		Stale: c.Cache.Stale, Prefetch: c.Cache.Prefetch,
	}
	if c.Others == "forward" {
		s.Relay = d.resolverExchanger(c)
	}
	backends := make(map[string]*backend, len(c.Zones))
	finder := d.finder(c)
	for _, z := range c.Zones {
		o, err := d.zoneOptions(z)
		if err != nil {
			return s, backends, fmt.Errorf("zone %s: %w", z.Name, err)
		}
		var needs string
		o.Fingerprint, needs = fingerprints(c, z)
		b := before[z.Name]
		if b == nil || b.fingerprint != needs {
			if b, err = d.newBackend(c, z, &o, finder); err != nil {
				return s, backends, err // it has its line and its zone
			}
			b.fingerprint = needs
		}
		backends[z.Name] = b
		o.List, o.File = b.list, b.data
		s.Zones = append(s.Zones, o)
	}
	return s, backends, nil
}

// fingerprints say all that a zone's cached answers depend on, and its backend.
// They may hold a key and are never shown.
func fingerprints(c *config.Config, z *config.Zone) (answers, backend string) {
	if z.Source == "file" { // nothing is asked, and nothing cached
		answers = fmt.Sprint(z.Source, datasets(z))
		return answers, answers
	}
	answers = fmt.Sprint(z.Source, z.Upstream.Reveal(), z.Via, z.Listed, z.Holds)
	if z.Via.Mode == "resolver" {
		answers += fmt.Sprint(c.Nameservers)
	}
	backend = fmt.Sprint(answers, probed(z), z.Budget, c.Resolver.Timeout, c.Resolver.Deadline)
	if z.Via.Mode == "direct" { // they know where name servers are
		backend += fmt.Sprint(c.Nameservers)
	}
	return answers, backend
}

// probed reports whether the zone's list is tested: one that is off asks nobody.
func probed(z *config.Zone) bool { return z.Probe && modes[z.Mode] != resolver.Off }

// knownList is what is known of the list that a zone asks, nil if nothing is.
func knownList(lists *rbl.Table, z *config.Zone) *rbl.List {
	if z.Source != "upstream" {
		return nil
	}
	known, _ := lists.Find(z.Upstream.Reveal())
	return known
}

// listed are the codes that are a listing.
func listed(z *config.Zone, known *rbl.List) (rbl.CodeSet, error) {
	switch {
	case len(z.Listed) > 0:
		return rbl.ParseCodeSet(z.Listed)
	case known != nil:
		return known.Listed, nil
	}
	return rbl.DefaultListed(), nil
}

// zoneOptions is all of a zone but what stands behind it.
func (d *proxy) zoneOptions(z *config.Zone) (resolver.ZoneOptions, error) {
	known := knownList(d.lists, z)
	o := resolver.ZoneOptions{
		Name: z.Name, Source: sources[z.Source], Mode: modes[z.Mode],
		Allow:             z.Kind == "allow" || z.Source == "allow",
		ServfailOnFailure: z.OnFailure == "servfail",
		Verify:            z.Verify, Upstream: z.Upstream.Reveal(), Secrets: secrets(d.lists, z),
	}
	var err error
	if o.Holds, err = rbl.ParseHolds(z.Holds); err != nil {
		return o, err
	}
	if z.Source == "rdns" {
		o.Holds &^= rbl.HoldsDomain // a domain has no reverse DNS to miss
	}
	if o.NoOverride, err = rbl.ParseCodeSet(z.NoOverride); err != nil {
		return o, err
	}
	if o.Listed, err = listed(z, known); err != nil {
		return o, err
	}
	names, err := rbl.ParseCodeNames(z.Codes)
	if err != nil {
		return o, err
	}
	o.CodeName = func(c rbl.Code) string {
		if name := names.Name(c); name != "" {
			return name
		}
		return known.CodeName(c)
	}
	if z.Source == "combined" {
		o.Members, o.Weigh, err = weigh(z)
	}
	return o, err
}

var (
	sources = map[string]resolver.Source{
		"upstream": resolver.SourceUpstream, "deny": resolver.SourceDeny, "allow": resolver.SourceAllow,
		"file": resolver.SourceFile, "rdns": resolver.SourceRDNS, "combined": resolver.SourceCombined,
	}
	modes = map[string]resolver.Mode{"enforce": resolver.Enforce, "observe": resolver.Observe, "off": resolver.Off}
)

// secrets are the parts of a zone's upstream that only the list may see: what
// came from the environment, its key by the table of lists, or the labels that
// the zone's own name lacks and that look like one. A name that is in no table
// may hold a key that looks like none.
func secrets(lists *rbl.Table, z *config.Zone) []string {
	upstream := z.Upstream.Reveal()
	out := slices.DeleteFunc(keys(z.Keys), func(key string) bool { return strings.EqualFold(key, upstream) })
	if key := lists.Key(upstream); key != "" {
		return append(out, key)
	}
	if _, public := lists.Find(upstream); public || upstream == z.Name {
		return out
	}
	for label := range strings.SplitSeq(upstream, ".") {
		if likeKey(label) && !slices.Contains(strings.Split(z.Name, "."), label) {
			out = append(out, label)
		}
	}
	return append(out, upstream)
}

// leastKey is the length from which on a text is taken for a key, in octets:
// shorter ones stand in every other word.
const leastKey = 4

// keys are those of the values of environment variables that may be keys.
func keys(values []config.Secret) (texts []string) {
	for _, v := range values {
		if len(v) >= leastKey {
			texts = append(texts, v.Reveal())
		}
	}
	return texts
}

// likeKey tells keys from the words that zones' names are made of, such as
// "dnsbl-2" and "backscatterer".
func likeKey(label string) bool {
	return len(label) >= 16 || len(label) >= 10 && strings.ContainsAny(label, "0123456789")
}

// newBackend makes what answers for a zone, and has it run until it is
// stopped.
func (d *proxy) newBackend(c *config.Config, z *config.Zone, o *resolver.ZoneOptions, finder *upstream.Finder) (*backend, error) {
	ctx, stop := context.WithCancel(d.ctx)
	b := &backend{stop: stop}
	run := func(context.Context) {}
	switch z.Source {
	case "rdns":
		b.list = newReverse(d.ctx, dnsResolver(d.dns.Load), c.Resolver.Deadline)
	case "file":
		store := dataset.NewStore(datasets(z), d.log.With(slog.String("zone", z.Name)))
		// What passes does not keep all the other zones from being served; a
		// reload that would lose good data, or a list, for it is refused.
		before := d.backends[z.Name]
		good := before != nil && (before.data == nil || before.data.Zone() != nil)
		if err := store.Open(ctx); err != nil && (good || !dataset.Passing(err)) {
			stop()
			return nil, &config.Error{Problems: []config.Problem{c.Problem(
				"zone "+z.Name+": "+err.Error(), "mend the file, or name another", "zone", z.Name, "files")}}
		}
		debug.FreeOSMemory() // reading takes several times what stays
		b.data, run = store, store.Run
	case "upstream":
		b.upstream, b.guarded = o.Upstream, d.newList(z, o, d.asker(c, z, finder))
		b.list = b.guarded
		run = b.guarded.Run
	}
	d.work.Go(func() { run(ctx) })
	return b, nil
}

// asker is the way to a zone's list.
func (d *proxy) asker(c *config.Config, z *config.Zone, finder *upstream.Finder) upstream.Asker {
	opts := exchangeOptions(c)
	switch z.Via.Mode {
	case "servers":
		return d.pool.Exchanger(z.Via.Servers, opts)
	case "direct":
		name, err := rbl.AppendName(nil, z.Upstream.Reveal())
		if err == nil {
			return finder.Direct(name)
		}
	}
	return d.pool.Exchanger(c.Nameservers, opts)
}

// finder finds lists' own name servers. The zones of one configuration share
// what it learns on the way to them.
func (d *proxy) finder(c *config.Config) *upstream.Finder {
	return d.pool.Finder(upstream.FinderOptions{
		Resolver: d.resolverExchanger(c), Exchange: exchangeOptions(c),
		Own: func(a netip.AddrPort) bool { return ownListener(c, a) },
	})
}

// ownListener reports whether a question to a would come to this proxy.
func ownListener(c *config.Config, a netip.AddrPort) bool {
	return slices.ContainsFunc(c.Listen, func(l netip.AddrPort) bool {
		return l == a || l.Port() == a.Port() && l.Addr().IsUnspecified() && a.Addr().IsLoopback()
	})
}

// datasets are the data files of a zone, as package dataset reads them.
func datasets(z *config.Zone) []dataset.Spec {
	var specs []dataset.Spec
	for _, f := range z.Files {
		specs = append(specs, dataset.Spec{Kind: dataset.Kind(f.Type), Files: f.Paths})
	}
	return specs
}

// weigh is the arithmetic of a combined zone, and its members.
func weigh(z *config.Zone) ([]string, func([]rbl.Answer) resolver.Sum, error) {
	weights := make(map[string]int, len(z.Weights))
	for _, w := range z.Weights {
		key := w.Zone
		if w.Codes != "" {
			key += "=" + w.Codes
		}
		weights[key] = w.Weight
	}
	plan, err := combine.Parse(weights, z.Threshold)
	if err != nil {
		return nil, nil, err
	}
	return plan.Members(), func(members []rbl.Answer) resolver.Sum {
		v := plan.Decide(members)
		return resolver.Sum{Known: v.Known, Listed: v.Listed, Doubtful: v.Doubtful, Text: v.Text}
	}, nil
}

func exchangeOptions(c *config.Config) upstream.ExchangeOptions {
	return upstream.ExchangeOptions{Timeout: c.Resolver.Timeout, Deadline: c.Resolver.Deadline, CaseRandom: true}
}

func (d *proxy) resolverExchanger(c *config.Config) *upstream.Exchanger {
	return d.pool.Exchanger(c.Nameservers, exchangeOptions(c))
}

// newList guards a zone's list.
func (d *proxy) newList(z *config.Zone, o *resolver.ZoneOptions, asker upstream.Asker) *upstream.List {
	known := knownList(d.lists, z)
	name, err := rbl.AppendName(nil, o.Upstream)
	if err != nil {
		name = nil // refused when the resolver is configured
	}
	log := d.log.With(slog.String("zone", z.Name))
	opts := upstream.ListOptions{
		Zone: name, Ask: asker, Holds: o.Holds,
		Listed:   o.Listed.Contains,
		Classify: classify(known, o.Listed),
		Probe:    probed(z),
		Budget:   uint64(z.Budget),
		OnState: func(from, to upstream.State) {
			d.keepQuarantine(z, from, to)
			d.stateChanged(log, z.Name, from, to)
		},
		OnFault: func(err error) { d.resolver.Fault(z.Name, err) },
		OnVoid:  func() { d.resolver.Forget(z.Name, true) },
		OnClose: func(rbl.Shape) { d.resolver.Forget(z.Name, false) },
		OnBudget: func(b upstream.Budget) {
			log.Warn("the list's budget runs out", slog.Uint64("limit", b.Limit), slog.Uint64("used", b.Used), slog.Uint64("forecast", b.Forecast))
		},
	}
	if known != nil {
		opts.Judge = known.Probe
	}
	if z.Probe { // else nothing ends the quarantine, also once a list that is off is on again
		opts.Quarantined, opts.Liar = d.quarantined(log, z)
	}
	if z.Budget > 0 {
		opts.Load, opts.Save = d.loadSpent(z), d.saveSpent(z)
	}
	return upstream.NewList(opts)
}

// classify tells which answers of a list are errors. The configuration beats
// what is known of the list, but it has to name the code: whoever writes
// "127.0.0.0/8" does not want to refuse all mail when the list blocks us.
func classify(known *rbl.List, listed rbl.CodeSet) func(rbl.Code) (name, help string, isError bool) {
	return func(code rbl.Code) (string, string, bool) {
		name, help, bad := rbl.ErrorName(known, code)
		return name, help, bad && !listed.Names(code)
	}
}

// stateChanged tells of a list's new condition, or of the new reason for it.
func (d *proxy) stateChanged(log *slog.Logger, zone string, from, to upstream.State) {
	level := slog.LevelWarn
	if to.Condition == upstream.Healthy {
		level = slog.LevelInfo
	}
	if from.Condition == to.Condition {
		log.Warn("list is in this state for another reason", slog.String("state", to.Condition.String()),
			slog.String("reason", to.Reason), slog.String("before", from.Reason))
		return
	}
	log.Log(context.Background(), level, "list changed state",
		slog.String("from", from.Condition.String()), slog.String("to", to.Condition.String()),
		slog.String("reason", to.Reason), slog.Duration("after", time.Since(from.Since).Round(time.Second)))
	if from.Condition == upstream.Quarantined {
		d.resolver.Forget(zone, true) // what others believed meanwhile
	}
	d.warnOthers(zone, to.Condition)
}
