package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides"
)

// exemption is one entry in force, as "allow list" and /api/v1/exemptions
// show it. Entry is empty for a source that opens nothing.
type exemption struct {
	Rule    string   `json:"rule"`
	Entry   string   `json:"entry"`
	Source  string   `json:"source"` // "cidr", "file allow.d/efax.txt", "spf efax.com"
	Line    int      `json:"line,omitempty"`
	Zones   []string `json:"zones"` // empty: all
	Until   string   `json:"until,omitempty"`
	Comment string   `json:"comment,omitempty"`
	Live    bool     `json:"live,omitempty"` // asked about one address at a time

	// What the line of a rule file says itself, for export; Until and Comment
	// may be the rule's.
	ownUntil, ownComment string
}

func newAllowList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "print every exemption in force and where it came from",
		Long: `Prints every exemption in force, with the rule and the source that it came
from, asked of the running server. Without one it says so and loads the sources
itself.`,
		Args: noArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			c, err := a.loadAsked(ctx)
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
	entry, zones, until := cmp.Or(e.Entry, "(nothing)"), cmp.Or(strings.Join(e.Zones, ","), "all"), cmp.Or(e.Until, "-")
	if e.Live {
		entry += " (live)"
	}
	comment := strings.Join(strings.Fields(e.Comment), " ") // that of a rule may have lines
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", entry, e.Rule, e.place(), zones, until, comment)
}

// place is the source, with the line where there is one.
func (e exemption) place() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d", e.Source, e.Line)
	}
	return e.Source
}

// inFile reports whether the entry stands in a rule file.
func (e exemption) inFile() bool { return strings.HasPrefix(e.Source, "file ") }

// typed reports whether the entry stands in a file of this machine.
func (e exemption) typed() bool {
	return e.Source == "cidr" || e.Source == "domains" || e.inFile()
}

func newAllowExport(a *app) *cobra.Command {
	var name, format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "print the entries of the allow rules",
		Long: `Prints the entries in force of one allow rule, or of all, in a form that
"allow import" reads, asked of the running server. Without one it says so and
loads the sources itself. Entries of the rule's file have the comment and the last
day that their lines have, all others those of the rule.`,
		Args: noArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			if a.json {
				format = "json"
			}
			f, err := overrides.ParseFormat(format)
			if err != nil {
				return usageError{fmt.Errorf("--format: %w", err)}
			}
			c, err := a.loadAsked(ctx)
			if err != nil {
				return err
			}
			if _, err := allowRule(c, name); name != "" && err != nil {
				return err
			}
			all, err := a.exemptions(ctx, c)
			if err != nil {
				return err
			}
			items, live, err := itemsOf(all, name)
			if err != nil {
				return err
			}
			for _, rule := range live {
				fmt.Fprintf(a.err, "rule %s: its SPF terms that depend on the address (live) open no range and are left out\n", rule)
			}
			return overrides.WriteItems(a.out, f, items)
		}),
	}
	cmd.Flags().StringVar(&name, "rule", "", "only the rule of this `NAME`")
	formatFlag(cmd, &format)
	return cmd
}

// itemsOf turns the exemptions of one rule, or of all, into items to export.
// What is asked live opens nothing by itself and stays out; live are the rules
// that have some.
func itemsOf(all []exemption, rule string) (items []overrides.Item, live []string, err error) {
	for _, e := range all {
		if rule != "" && e.Rule != rule {
			continue
		}
		if e.Live && !slices.Contains(live, e.Rule) {
			live = append(live, e.Rule)
		}
		if e.Live || e.Entry == "" {
			continue
		}
		text, until, comment := e.Entry, e.Until, e.Comment
		if e.inFile() {
			until, comment = e.ownUntil, e.ownComment
		}
		if until != "" {
			text += " until " + until
		}
		entry, err := overrides.ParseEntry(text)
		if err != nil {
			return nil, nil, fmt.Errorf("the server's list of exemptions: %w", err)
		}
		items = append(items, overrides.Item{Entry: entry, Comment: comment, Rule: e.Rule, Source: e.Source})
	}
	return items, live, nil
}

// exemptions asks the running server, else finds out by itself.
func (a *app) exemptions(ctx context.Context, c *config.Config) ([]exemption, error) {
	all, err := inForce(ctx, c)
	if errors.Is(err, errNoServer) {
		fmt.Fprintf(a.err, "%v; this is what the configuration leads to now\n", err)
		all, err = a.resolveExemptions(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	annotate(c, all)
	return all, nil
}

// resolveExemptions loads every source of the rules as the server would.
func (a *app) resolveExemptions(ctx context.Context, c *config.Config) ([]exemption, error) {
	d, err := a.withSources(ctx, c)
	if err != nil {
		return nil, err
	}
	defer d.close()
	for _, s := range d.rules.Status() {
		if why := trouble(s); s.Action == overrides.Allow && why != "" {
			fmt.Fprintf(a.err, "rule %s: %s: %s\n", s.Rule, s.Source, why)
		}
	}
	return slices.AppendSeq([]exemption{}, exemptionsIn(c, d.rules)), nil
}

// exemptionsIn yields what the engine has in force of the rules of c.
func exemptionsIn(c *config.Config, engine *overrides.Engine) iter.Seq[exemption] {
	return func(yield func(exemption) bool) {
		for e := range engine.Exemptions(overrides.Allow) {
			x := exemption{
				Rule: e.Rule.Name, Entry: bare(e.Entry), Source: e.Source.String(), Line: lineOf(c, e),
				Zones: append([]string{}, e.Rule.Zones...), Until: untilText(e.Entry.Until), Comment: e.Rule.Comment, Live: e.Live,
			}
			if !yield(x) {
				return
			}
		}
	}
}

// lineOf is the line of an entry in its file. Those of the configuration itself
// have their number.
func lineOf(c *config.Config, e overrides.Exemption) int {
	if k := e.Source.Kind; k == overrides.KindCIDR || k == overrides.KindDomains {
		return c.Line("allow", e.Rule.Name, k.String(), e.Entry.Line-1)
	}
	return e.Entry.Line
}

// bare is the entry without its day.
func bare(e overrides.Entry) string {
	e.Until = time.Time{}
	return e.String()
}

func untilText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

// itemOf reads a line of a rule file. It is nil unless the line's entry is this
// one, or is that of which other lines and exceptions have left this part.
func itemOf(line, part string) *overrides.Item {
	text, comment, _ := strings.Cut(line, "#")
	l, err := overrides.ParseEntry(strings.TrimSpace(text))
	p, perr := overrides.ParseEntry(part)
	if err != nil || perr != nil || l.Domain != p.Domain ||
		l.Range.First.Compare(p.Range.First) > 0 || p.Range.Last.Compare(l.Range.Last) > 0 {
		return nil
	}
	return &overrides.Item{Entry: l, Comment: strings.TrimSpace(comment)}
}

// annotate gives entries of rule files the comments of their lines, which the
// server does not keep in memory, and a path as people here write it.
func annotate(c *config.Config, all []exemption) {
	type file struct {
		source string
		lines  []string
	}
	files := make(map[string]file) // by rule
	for _, u := range c.Allow {
		if u.File != "" {
			data, _ := config.ReadFile(u.File) // without it the last good set is in force; its comments are gone
			files[u.Name] = file{"file " + shownPath(u.File), strings.Split(string(data), "\n")}
		}
	}
	for i := range all {
		e := &all[i]
		if !e.inFile() {
			continue
		}
		e.ownUntil = e.Until
		f, ok := files[e.Rule]
		if !ok {
			continue
		}
		e.Source = f.source
		if e.Line < 1 || e.Line > len(f.lines) {
			continue
		}
		// Without it the file was edited just now and is not in force yet.
		if it := itemOf(strings.TrimPrefix(f.lines[e.Line-1], "\ufeff"), e.Entry); it != nil {
			e.ownUntil, e.ownComment = untilText(it.Entry.Until), it.Comment
			e.Comment = cmp.Or(it.Comment, e.Comment)
		}
	}
	// Each source in the order of its file, which is not that of addresses.
	for from, to := 0, 0; from < len(all); from = to {
		for to < len(all) && all[to].Rule == all[from].Rule && all[to].Source == all[from].Source {
			to++
		}
		slices.SortStableFunc(all[from:to], func(a, b exemption) int { return cmp.Compare(a.Line, b.Line) })
	}
}
