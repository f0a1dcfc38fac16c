package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/net/idna"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver/rbl"
)

const lookupLong = `Prints what a mail server that asks about an address or a domain is told, zone
by zone: the verdict, the list's codes and text, the rule that exempts or denies,
and the steps that led there. The running server decides; without one this
command says so and decides by itself.

With --all it asks every well-known list as well, through the resolver, without
any rules. With --from it looks up every address of a file ("-": standard
input), or every client of a Postfix log, and with --against it prints what
another configuration would change. What differs perhaps only because a list
did not answer one of the two comes last. Each address is a question to each
list, and counts against its budget.

The exit status is 0 whatever the verdict.`

type lookupFlags struct {
	all           bool
	from, against string
}

func newLookup(a *app) *cobra.Command {
	var f lookupFlags
	cmd := &cobra.Command{
		Use:   "lookup ADDR|DOMAIN",
		Short: "print what would be answered, and why",
		Long:  lookupLong,
		Example: `  dnsblproxy lookup 192.0.2.1
  dnsblproxy lookup --from /var/log/mail.log --against new.toml`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.from == "" && f.against != "":
				return usagef("--against needs --from")
			case f.from == "":
				return oneArg("an ADDR or a DOMAIN")(cmd, args)
			case len(args) > 0:
				return usagef("--from takes the place of %q", args[0])
			case f.all:
				return usagef("--all takes one ADDR or DOMAIN, not --from: that is some seventy lists for each address")
			}
			return nil
		},
		RunE: a.does(func(ctx context.Context, args []string) error {
			if f.from != "" {
				return a.lookupFile(ctx, f)
			}
			return a.lookup(ctx, args[0], f.all)
		}),
	}
	cmd.Flags().BoolVar(&f.all, "all", false, "ask every list that is known, not only the zones served")
	cmd.Flags().StringVar(&f.from, "from", "", "look up every address in `FILE`: one a line, or a Postfix log")
	cmd.Flags().StringVar(&f.against, "against", "", "print what the configuration `CONFIG` would change")
	return cmd
}

func (a *app) lookup(ctx context.Context, what string, all bool) error {
	if _, err := typedSubject(what, nil); err != nil {
		return usageError{err}
	}
	c, err := a.loadAsked(ctx)
	if err != nil {
		return err
	}
	subject, err := typedSubject(what, c.Zones)
	if err != nil {
		return usageError{err}
	}
	decide, end, err := a.decider(ctx, c)
	if err != nil {
		return err
	}
	defer end()
	answers, err := decide(ctx, subject)
	if err != nil {
		return err
	}
	if all {
		more, err := a.everywhere(ctx, c, subject)
		if err != nil {
			return err
		}
		answers = append(answers, more...)
	}
	if a.json {
		return a.printJSON(answers)
	}
	for i := range answers {
		printAnswer(a.out, &answers[i])
	}
	return nil
}

// typedSubject reads what a person asks about: an international name is asked
// for in its form for DNS. A name with such characters is possible there, but
// here it is a prefix, a URL or a mail address. Of an IPv4-mapped address, as
// some logs have it, mail servers ask for the IPv4 one. A name in a zone is a
// question, and would be looked up as a domain that no list has.
func typedSubject(text string, zones []*config.Zone) (rbl.Subject, error) {
	if name, err := idna.Lookup.ToASCII(text); err == nil && strings.Contains(name, "xn--") {
		text = name
	}
	s, err := rbl.ParseSubject(text)
	if err == nil && s.Shape == rbl.Domain && strings.ContainsAny(text, "/:@[] ") {
		return s, fmt.Errorf("%q is neither an address nor a domain name; write one of these alone", text)
	}
	for _, z := range zones {
		if strings.HasSuffix(s.Domain, "."+z.Name) {
			return s, fmt.Errorf("%q is a name in the zone %s; write the address or domain that it asks about", text, z.Name)
		}
	}
	if s.Addr.Is4In6() && s.Test == rbl.NotTest {
		s = rbl.AddrSubject(s.Addr.Unmap())
	}
	return s, err
}

// loadAsked reads the configuration for a command that asks the server. A rule
// file that has vanished, or is not for this user to read, does not matter while
// one runs: it has the last good set, and it is the one to ask.
func (a *app) loadAsked(ctx context.Context) (*config.Config, error) {
	c, err := a.load()
	if c == nil || err == nil {
		return c, err
	}
	o := loadOptions(a.lists)
	o.Readable = func(string) error { return nil }
	served, other := config.Load(c.Path, o)
	if other != nil { // there are other problems
		return nil, err
	}
	if _, other := running(ctx, served); other != nil {
		return nil, err
	}
	fmt.Fprintf(a.err, "%v\nthe running server goes on without; this is what it says\n", err)
	return served, nil
}

type decider func(context.Context, rbl.Subject) ([]admin.Answer, error)

// decider is the running server, or without one the same code in this
// process. end is due when it is no longer needed.
func (a *app) decider(ctx context.Context, c *config.Config) (d decider, end func(), err error) {
	cl, err := running(ctx, c)
	if err == nil {
		return func(ctx context.Context, s rbl.Subject) (answers []admin.Answer, err error) {
			err = cl.get(ctx, "lookup", url.Values{"q": {s.String()}}, &answers)
			return answers, err
		}, func() {}, nil
	}
	if !errors.Is(err, errNoServer) {
		return nil, nil, err
	}
	fmt.Fprintf(a.err, "%v; this command decides by itself\n", err)
	return a.own(ctx, c)
}

// own decides with a configuration in this process, and says which sources of
// its rules have no part in that.
func (a *app) own(ctx context.Context, c *config.Config) (decider, func(), error) {
	p, err := a.temporary(ctx, unwatched(c))
	if err != nil {
		return nil, nil, err
	}
	for _, problem := range unloaded(c, p.rules) {
		fmt.Fprintln(a.err, problem)
	}
	return func(ctx context.Context, s rbl.Subject) ([]admin.Answer, error) { return p.lookup(ctx, s), nil }, p.close, nil
}

// temporary makes a proxy that ends soon, and has it load its sources. It keeps
// nothing: the state belongs to the server.
func (a *app) temporary(ctx context.Context, c *config.Config) (*proxy, error) {
	p, err := newProxy(c, a.lists, slog.New(slog.DiscardHandler), "")
	if err == nil {
		p.waitForSources(ctx, resolvePatience)
	}
	return p, err
}

// unwatched is c for a process that ends soon: it tests no list, and asks
// nothing for the sake of figures. What the server has spent of a budget it
// does not know, but it spends no more than one: a log may have many addresses.
// A large cache takes much memory before anything is in it, and a shared one
// knows what a list said before.
func unwatched(c *config.Config) *config.Config {
	short := *c
	short.Cache.Size, short.Cache.Shared = min(c.Cache.Size, config.Defaults().Cache.Size), config.Shared{}
	short.Zones = nil
	for _, z := range c.Zones {
		quiet := *z
		quiet.Probe, quiet.Verify = false, false
		short.Zones = append(short.Zones, &quiet)
	}
	return &short
}

// everywhere asks the well-known lists that c does not serve, without rules.
func (a *app) everywhere(ctx context.Context, c *config.Config, s rbl.Subject) ([]admin.Answer, error) {
	all := *c
	all.Zones, all.Allow, all.Deny, all.State = nil, nil, nil, ""
	served := map[string]bool{}
	for _, z := range c.Zones {
		if known := knownList(a.lists, z); known != nil {
			served[known.Zone] = true
		}
	}
	for _, l := range a.lists.All() {
		if l.Dead != nil || served[l.Zone] || !l.Holds.Has(s.Shape) {
			continue
		}
		all.Zones = append(all.Zones, &config.Zone{
			Name: l.Zone, Upstream: config.Secret(l.Zone), Via: config.Via{Mode: "resolver"}, Source: "upstream",
			Kind: l.Kind.String(), Holds: l.Holds.Strings(), Mode: "enforce", OnFailure: "unlisted",
		})
	}
	return a.once(ctx, &all, s)
}

// once decides about one subject with a configuration in this process.
func (a *app) once(ctx context.Context, c *config.Config, s rbl.Subject) ([]admin.Answer, error) {
	decide, end, err := a.own(ctx, c)
	if err != nil {
		return nil, err
	}
	defer end()
	return decide(ctx, s)
}

// printAnswer writes one zone's decision for people.
func printAnswer(w io.Writer, l *admin.Answer) {
	line := l.Zone + ": " + l.Verdict
	if len(l.Codes) > 0 {
		line += " " + strings.Join(l.Codes, ", ")
	}
	if l.Rule != "" {
		line += fmt.Sprintf(", rule %s (%s)", l.Rule, l.Source)
	}
	if l.Observe {
		line += ", but answered unlisted (observe)"
	}
	fmt.Fprintf(w, "%s  [%.1f ms]\n", line, l.TookMS)
	if l.Text != "" {
		fmt.Fprintf(w, "    text: %s\n", harmless(l.Text))
	}
	for _, s := range l.Steps {
		if s.Number == 0 {
			fmt.Fprintf(w, "            %s\n", s.What)
			continue
		}
		fmt.Fprintf(w, "    step %d: %s\n", s.Number, s.What)
	}
}

// harmless quotes a text of others that would do something to a terminal, such
// as begin a line of ours.
func harmless(text string) string {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.ContainsFunc(text, odd) || !utf8.ValidString(text) {
		return strconv.Quote(text)
	}
	return text
}
