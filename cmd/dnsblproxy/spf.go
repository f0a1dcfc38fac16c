package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides/spf"
	"dnsblproxy/resolver/upstream"
)

const spfLong = `Reads the SPF record of a domain with everything that it includes, and prints
which addresses it authorizes, where they come from, and what can only be
asked for one address at a time ("live"). It warns of ranges that are wider
than a rule should open.

With --ip it evaluates the record for that address, as a receiver of mail does
(RFC 7208), and the first word of the answer is the result: pass, fail,
softfail, neutral, none, temperror or permerror.

It asks the servers of --resolver, else those of the configuration, else those
of /etc/resolv.conf.`

type spfFlags struct{ ip, sender, helo, resolver string }

func newSPF(a *app) *cobra.Command {
	var f spfFlags
	cmd := &cobra.Command{
		Use:   "spf DOMAIN",
		Short: "print what the SPF record of a domain authorizes",
		Long:  spfLong,
		Example: `  dnsblproxy spf efax.com
  dnsblproxy spf efax.com --ip 192.0.2.1 --sender fax@efax.com`,
		Args: oneArg("a DOMAIN"),
		RunE: a.does(func(ctx context.Context, args []string) error { return a.spf(ctx, args[0], f) }),
	}
	cmd.Flags().StringVar(&f.ip, "ip", "", "evaluate for this `ADDR` alone")
	cmd.Flags().StringVar(&f.sender, "sender", "", "MAIL FROM `ADDRESS` (default: postmaster@DOMAIN)")
	cmd.Flags().StringVar(&f.helo, "helo", "", "HELO `NAME` (default: DOMAIN)")
	cmd.Flags().StringVar(&f.resolver, "resolver", "", "ask this server, `HOST:PORT`")
	return cmd
}

func (a *app) spf(ctx context.Context, domain string, f spfFlags) error {
	var addr netip.Addr
	if f.ip != "" {
		var err error
		if addr, err = netip.ParseAddr(f.ip); err != nil {
			return usagef("--ip: %q is no address", f.ip)
		}
	} else if err := domainName(strings.ToLower(strings.TrimSuffix(domain, "."))); err != nil {
		// With --ip the RFC has a result for names that are none.
		return usageError{err}
	}
	r, done, err := a.lookups(ctx, f.resolver)
	if err != nil {
		return err
	}
	defer done()
	if addr.IsValid() {
		return a.spfOne(ctx, r, spf.Query{Addr: addr, Domain: domain, Sender: f.sender, HELO: f.helo, Explain: true})
	}
	m, err := spf.Compile(ctx, r, domain, spf.CompileOptions{Sender: f.sender, HELO: f.helo, Follow: true})
	if err != nil {
		return fmt.Errorf("compiling the SPF record of %s: %w", domain, err)
	}
	v := spfViewOf(m)
	if a.json {
		err = a.printJSON(v)
	} else {
		err = v.print(a)
	}
	if err == nil && m.Has(spf.TempError) {
		return errors.New("not all of it could be asked, so the result is not complete")
	}
	return err
}

// lookups returns a resolver that asks server or, without one, those of the
// configuration or of the system. The caller calls done.
func (a *app) lookups(ctx context.Context, server string) (r spf.Resolver, done func(), err error) {
	c := config.Defaults() // for --resolver, and where there is no configuration
	if server != "" {
		c.Nameservers, err = hostPort(ctx, server)
	} else if _, none := a.configPath(); none == nil {
		c, err = a.loadAsked(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	pool := upstream.NewPool(nil)
	e := pool.Exchanger(c.Nameservers, exchangeOptions(c))
	return dnsResolver(func() *upstream.Exchanger { return e }), pool.Close, nil
}

// spfOne prints the result for one address, its name first.
func (a *app) spfOne(ctx context.Context, r spf.Resolver, q spf.Query) error {
	o := spf.CheckHost(ctx, r, q)
	v := struct {
		Result      spf.Result `json:"result"`
		IP          netip.Addr `json:"ip"`
		Domain      string     `json:"domain"`
		Mechanism   string     `json:"mechanism"`
		Path        []spf.Step `json:"path"`
		Why         string     `json:"why,omitempty"`
		Explanation string     `json:"explanation,omitempty"`
		Lookups     int        `json:"lookups"`
		Voids       int        `json:"void_lookups"`
		TTL         int        `json:"ttl"` // seconds
	}{Result: o.Result, IP: q.Addr, Domain: q.Domain, Mechanism: o.Mechanism(), Path: append([]spf.Step{}, o.Path...),
		Explanation: o.Explanation, Lookups: o.Lookups, Voids: o.Voids, TTL: int(o.TTL.Seconds())}
	if o.Why != nil {
		v.Why = o.Why.Error()
	}
	if a.json {
		return a.printJSON(v)
	}
	fmt.Fprintf(a.out, "%s  %s for %s\n", v.Result, v.IP, v.Domain)
	for _, s := range v.Path {
		fmt.Fprintf(a.out, "  %s: %s\n", s.Domain, s.Term)
	}
	if v.Why != "" {
		fmt.Fprintf(a.out, "  because %s\n", v.Why)
	}
	if v.Explanation != "" {
		fmt.Fprintf(a.out, "  the domain explains: %q\n", v.Explanation)
	}
	fmt.Fprintf(a.out, "  %d of 10 lookups, TTL %ds\n", v.Lookups, v.TTL)
	return nil
}
