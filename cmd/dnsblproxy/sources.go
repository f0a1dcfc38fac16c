package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides"
)

// resolvePatience is how long sources that ask the network may take.
const resolvePatience = 10 * time.Second

// withSources makes a proxy without zones, for what its rules load.
func (a *app) withSources(ctx context.Context, c *config.Config) (*proxy, error) {
	alone := unwatched(c)
	alone.Zones = nil
	return a.temporary(ctx, alone)
}

// feedTransport fetches feeds, and asks the [resolver] for their hosts, beside the
// machine's own table. Its resolv.conf may name ourselves, who answer nobody before
// the feeds are loaded.
func feedTransport(servers func() []netip.AddrPort) *http.Transport {
	var turn atomic.Uint32
	ask := func(ctx context.Context, network, _ string) (net.Conn, error) {
		all := servers()
		to := all[turn.Add(1)%uint32(len(all))] // another one when one is silent
		return new(net.Dialer).DialContext(ctx, network, to.String())
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	dialer := &net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: ask}}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		var failed *net.DNSError
		if errors.As(err, &failed) { // it names a server of resolv.conf, which nobody asked
			shown := *failed
			shown.Server = ""
			err = &shown
		}
		return conn, err
	}
	return t
}

// trouble says why a source opens less than it should, "" if it does not.
func trouble(s overrides.SourceStatus) string {
	if s.Enabled && !s.Tried && s.LastError == "" {
		return fmt.Sprintf("it was not loaded within %s", resolvePatience)
	}
	return s.LastError
}

// sourceWarnings says what is wrong at present with the sources that others
// publish: what fails, what opens too much, and what is unwise to trust.
func (a *app) sourceWarnings(ctx context.Context, c *config.Config) ([]config.Problem, error) {
	fetched := func(r overrides.Rule) bool { return len(r.SPF)+len(r.A)+len(r.MX) > 0 || r.URL != "" }
	if !slices.ContainsFunc(rules(c), fetched) {
		return nil, nil
	}
	d, err := a.withSources(ctx, c)
	if err != nil {
		return nil, err
	}
	defer d.close()
	warnings := append(unloaded(c, d.rules), ruleProblems(c, d.rules.InVain()...)...)
	for _, s := range d.rules.Status() {
		for _, w := range s.Warnings {
			if s.Enabled {
				warnings = append(warnings, sourceProblem(c, s, w))
			}
		}
	}
	return warnings, nil
}

// unloaded says of the sources that a rule now lacks why it does.
func unloaded(c *config.Config, engine *overrides.Engine) (problems []config.Problem) {
	for _, s := range engine.Status() {
		if why := trouble(s); s.Enabled && why != "" {
			problems = append(problems, sourceProblem(c, s, why))
		}
	}
	return problems
}

func sourceProblem(c *config.Config, s overrides.SourceStatus, what string) config.Problem {
	what = s.Action.String() + "." + s.Rule + ": " + s.Source.String() + ": " + what
	return c.Problem(what, "", s.Action.String(), s.Rule, s.Source.Kind.String())
}
