package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
)

// exemption is one entry in force, as "allow list" and /api/v1/exemptions
// show it. Entry is empty for a source that only the server resolves.
type exemption struct {
	Rule    string   `json:"rule"`
	Entry   string   `json:"entry"`
	Source  string   `json:"source"` // "cidr", "file allow.d/efax.txt", "spf efax.com"
	Line    int      `json:"line,omitempty"`
	Zones   []string `json:"zones"` // empty: all
	Until   string   `json:"until,omitempty"`
	Comment string   `json:"comment,omitempty"`
	Live    bool     `json:"live,omitempty"` // asked about one address at a time
}

func newAllowList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "print every exemption in force and where it came from",
		Long: `Prints every exemption in force, with the rule and the source that it came
from, asked of the running server. Without one it says so and prints what the
configuration and its files hold.`,
		Args: noArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			c, err := a.ready()
			if err != nil {
				return err
			}
			all, err := a.exemptions(ctx, c)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(all)
			}
			return a.table(func(w *tabwriter.Writer) {
				fmt.Fprintf(w, "ENTRY\tRULE\tSOURCE\tZONES\tUNTIL\tCOMMENT\n")
				for _, e := range all {
					e.print(w)
				}
			})
		}),
	}
}

func (e exemption) print(w *tabwriter.Writer) {
	entry, zones, until, source := e.Entry, strings.Join(e.Zones, ","), e.Until, e.Source
	if entry == "" {
		entry = "(not resolved)"
	}
	if e.Live {
		entry += " (live)"
	}
	if zones == "" {
		zones = "all"
	}
	if until == "" {
		until = "-"
	}
	if e.Line > 0 {
		source += fmt.Sprintf(":%d", e.Line)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", entry, e.Rule, source, zones, until, e.Comment)
}

func newAllowExport(a *app) *cobra.Command {
	var name, format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "print the entries of the allow rules",
		Long: `Prints the entries in force of one allow rule, or of all, in a form that
"allow import" reads, asked of the running server. Without one it prints what
the configuration and its files hold.`,
		Args: noArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			if a.json {
				format = "json"
			}
			if err := knownFormat(format); err != nil {
				return err
			}
			c, err := a.ready()
			if err != nil {
				return err
			}
			if name != "" && ruleNamed(c, name) == nil {
				return usagef("there is no allow rule %q", name)
			}
			all, err := a.exemptions(ctx, c)
			if err != nil {
				return err
			}
			var out []jsonEntry
			for _, e := range all {
				if e.Entry == "" || e.Live || name != "" && e.Rule != name {
					continue
				}
				out = append(out, jsonEntry{Rule: e.Rule, Entry: e.Entry, Until: e.Until, Comment: e.Comment})
			}
			return a.writeEntries(format, out)
		}),
	}
	cmd.Flags().StringVar(&name, "rule", "", "only the rule of this `NAME`")
	formatFlag(cmd, &format)
	return cmd
}

func knownFormat(format string) error {
	switch format {
	case "text", "csv", "json":
		return nil
	}
	return usagef("--format: %q is none of text, csv, json", format)
}

func ruleNamed(c *config.Config, name string) *config.Rule {
	for _, u := range c.Allow {
		if u.Name == name {
			return u
		}
	}
	return nil
}

// ready is the configuration for a command that needs all of it.
func (a *app) ready() (*config.Config, error) {
	lists, err := rbl.Builtin()
	if err != nil {
		return nil, err
	}
	return a.load(lists)
}

// exemptions asks the running server, else reads them off the configuration.
func (a *app) exemptions(ctx context.Context, c *config.Config) ([]exemption, error) {
	cl, err := newClient(c)
	if err == nil {
		var all []exemption
		if err = cl.get(ctx, "exemptions", nil, &all); err == nil {
			return all, nil
		}
	}
	if !errors.Is(err, errNoServer) {
		return nil, err
	}
	fmt.Fprintf(a.err, "%v; this is what the configuration and its files hold\n", err)
	return writtenExemptions(c)
}

// writtenExemptions lists what is typed, and names what has to be resolved.
func writtenExemptions(c *config.Config) ([]exemption, error) {
	all := []exemption{}
	for _, u := range c.Allow {
		if !u.Enabled {
			continue
		}
		base := exemption{Rule: u.Name, Zones: u.Zones, Until: untilText(u.Expires), Comment: u.Comment}
		if base.Zones == nil {
			base.Zones = []string{}
		}
		typed := func(source, key string, entries []string) {
			for i, s := range entries {
				e := base
				e.Entry, e.Source, e.Line = s, source, c.Line("allow", u.Name, key, i)
				if r, err := overrides.ParseRange(s); err == nil {
					e.Entry = r.String()
				}
				all = append(all, e)
			}
		}
		typed("cidr", "cidr", u.CIDR)
		typed("domains", "domains", u.Domains)
		if u.File != "" {
			more, err := fileExemptions(u.File, base)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
		resolved := func(source string) {
			e := base
			e.Source = source
			all = append(all, e)
		}
		for _, k := range []struct {
			kind  string
			names []string
		}{{"spf", u.SPF}, {"a", u.A}, {"mx", u.MX}} {
			for _, n := range k.names {
				resolved(k.kind + " " + n)
			}
		}
		if u.URL != "" {
			resolved("url " + urlWithoutSecrets(u.URL.Reveal()))
		}
	}
	return all, nil
}

func fileExemptions(path string, base exemption) ([]exemption, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	entries, problems := overrides.ParseRuleFile(shownPath(path), data)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	lines := strings.Split(string(data), "\n")
	all := make([]exemption, len(entries))
	for i, entry := range entries {
		e := base
		e.Source, e.Line = "file "+shownPath(path), entry.Line
		if until := untilText(entry.Until); until != "" {
			e.Until = until
		}
		if comment := commentOf(lines[entry.Line-1]); comment != "" {
			e.Comment = comment
		}
		e.Entry = bare(entry).String()
		all[i] = e
	}
	return all, nil
}
