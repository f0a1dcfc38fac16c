package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/cmd/dnsblproxy/internal/doctor"
	"dnsblproxy/overrides/spf"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

const doctorLong = `Looks at this machine's way from the mail server to dnsblproxy and from there to
the lists, and says what is wrong and which line to change. The exit status is 1
if anything is.

It reads resolv.conf and Postfix's copy of it, and the configuration of Postfix,
Exim, rspamd and SpamAssassin as far as it concerns lists; it asks the running
server for its state, and asks a few DNS questions, among them a test entry
that every list has. It changes nothing.`

func newDoctor(a *app) *cobra.Command {
	root := "/"
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "look for what is wrong on this machine",
		Long:  doctorLong,
		Args:  noArgs,
		RunE:  a.does(func(ctx context.Context, _ []string) error { return a.doctor(ctx, root) }),
	}
	cmd.Flags().StringVar(&root, "root", root, "look at the system's files below `DIR`")
	return cmd
}

func (a *app) doctor(ctx context.Context, root string) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	pool := upstream.NewPool(nil)
	defer pool.Close()
	in := patient(c, a.lists)
	in.Files = os.DirFS(root)
	in.Ask = func(ctx context.Context, server netip.AddrPort, name string) doctor.Reply {
		return askServer(ctx, pool, server, name)
	}
	if c.Admin.Listen.IsValid() {
		in.Status = func(ctx context.Context) (s doctor.Status, err error) {
			err = askRunning(ctx, c, "zones", nil, &s)
			return s, err
		}
	}
	in.Clock, in.Now, in.Nonce = kernelClock, time.Now, uint16(rand.Uint32())
	found := doctor.Examine(ctx, in)
	if a.json {
		err = a.printJSON(found)
	} else {
		a.printFindings(found)
	}
	for _, f := range found {
		if !f.OK && err == nil {
			return errSaid{exitFailed}
		}
	}
	return err
}

func (a *app) printFindings(found []doctor.Finding) {
	for _, f := range found {
		word := "ok   "
		if !f.OK {
			word = "WRONG"
		}
		fmt.Fprintf(a.out, "%s  %-15s  %s\n", word, f.Check, f.Finding)
		if f.Fix != "" {
			fmt.Fprintf(a.out, "       %-15s  fix: %s\n", "", f.Fix)
		}
	}
}

// patient is what the configuration says of the machine.
func patient(c *config.Config, lists *rbl.Table) doctor.Input {
	place := func(path ...any) string { return fmt.Sprintf("%s:%d", shownPath(c.Path), c.Line(path...)) }
	in := doctor.Input{Config: shownPath(c.Path), Listen: c.Listen}
	for i, s := range c.Resolver.Servers {
		in.Resolvers = append(in.Resolvers, doctor.Server{Addr: s, Place: place("resolver", "servers", i)})
	}
	for i, p := range c.Clients {
		in.Clients = append(in.Clients, doctor.Client{Prefix: p, Place: place("clients", i)})
	}
	for _, z := range c.Zones {
		out := doctor.Zone{
			Name: z.Name, Place: fmt.Sprintf("%s:%d", shownPath(c.Path), z.Line), Holds: z.Holds,
			Public: z.Source != "upstream" || z.Mode == "off" || z.Via.Mode == "direct" || lists.Key(z.Upstream.Reveal()) != "",
		}
		if z.Source == "file" {
			out.Data = place("zone", z.Name, "files")
		}
		for _, s := range z.Via.Servers {
			out.Servers = append(out.Servers, doctor.Server{Addr: s, Place: place("zone", z.Name, "via")})
		}
		in.Zones = append(in.Zones, out)
	}
	in.Place = func(action, rule string) string { return place(action, rule) }
	in.Keyed = func(name string) (string, bool) {
		known, ok := lists.Find(name)
		if !ok || lists.Key(name) == "" {
			return "", false
		}
		return known.Zone, true
	}
	return in
}

// ownSOA is how the SOA of answers begins that no list gave: MNAME localhost.,
// RNAME hostmaster below the zone.
const ownSOA = "\x09localhost\x00\x0ahostmaster"

// askPatience is longer than our own server may take for a list that is slow.
const askPatience = 6 * time.Second

// askServer asks one server for the A records of a name.
func askServer(ctx context.Context, pool *upstream.Pool, server netip.AddrPort, name string) doctor.Reply {
	wire, err := rbl.AppendName(nil, name)
	if err != nil {
		return doctor.Reply{Err: fmt.Errorf("%q is no domain name: %w", name, err)}
	}
	e := pool.Exchanger([]netip.AddrPort{server}, upstream.ExchangeOptions{Timeout: askPatience, Deadline: askPatience})
	o := e.Exchange(ctx, upstream.Question{Name: wire, Type: uint16(spf.TypeA)})
	r := doctor.Reply{Err: o.Err, Ours: strings.HasPrefix(string(o.Response.SOA), ownSOA)}
	switch {
	case errors.Is(o.Err, upstream.ErrServfail):
		r.Err = doctor.ErrServfail
	case errors.Is(o.Err, upstream.ErrTimeout), errors.Is(o.Err, upstream.ErrUnreachable):
		r.Err = doctor.ErrSilent
	}
	for _, data := range o.Response.Records {
		if addr, ok := netip.AddrFromSlice(data); ok {
			r.Addrs = append(r.Addrs, addr)
		}
	}
	return r
}
