package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/dataset"
)

const checkLong = `Reads the configuration and every file that it names, and prints each problem
as "file:line: what is wrong; what to write instead", all at once. Without a
problem it prints what would be served, asks each list for its test entry and
loads what others publish (SPF records, hosts, feeds), and warns of what fails,
does nothing, opens too much or is unwise to trust. With --offline it asks nobody.

Warnings do not change the exit status.`

func newCheck(a *app) *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "read the configuration, print every problem and what would be served",
		Long:  checkLong,
		Args:  noArgs,
		RunE:  a.does(func(ctx context.Context, _ []string) error { return a.check(ctx, offline) }),
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "ask nobody: neither lists nor sources")
	return cmd
}

// finding is all that check says.
type finding struct {
	OK       bool             `json:"ok"`
	Problems []config.Problem `json:"problems"`
	Warnings []config.Problem `json:"warnings"`
	Serves   *serves          `json:"serves,omitempty"`
}

func (a *app) check(ctx context.Context, offline bool) error {
	c, problems, warnings, err := a.inspect(ctx)
	if err != nil {
		return err
	}
	if len(problems) == 0 && !offline {
		more, err := a.sourceWarnings(ctx, c)
		if err != nil {
			return err
		}
		lying, err := a.listWarnings(ctx, c)
		if err != nil {
			return err
		}
		warnings = config.Sorted(slices.Concat(warnings, more, lying))
	}
	// JSON has an array without any, too.
	f := finding{OK: len(problems) == 0, Problems: append([]config.Problem{}, problems...), Warnings: append([]config.Problem{}, warnings...)}
	if f.OK {
		f.Serves = servesOf(c, a.lists)
	}
	if a.json {
		if err := a.printJSON(f); err != nil || f.OK {
			return err
		}
		return errSaid{exitWrong}
	}
	for _, w := range warnings {
		fmt.Fprintf(a.err, "warning: %s\n", w)
	}
	if !f.OK {
		return config.Join(problems)
	}
	return f.Serves.print(a)
}

// inspect loads the configuration and looks into everything that it names.
// The error is for what is no problem of the configuration.
func (a *app) inspect(ctx context.Context) (c *config.Config, problems, warnings []config.Problem, err error) {
	c, err = a.load()
	var wrong *config.Error
	if errors.As(err, &wrong) {
		problems = wrong.Problems
	} else if err != nil {
		return nil, nil, nil, err
	}
	if c == nil {
		return nil, problems, nil, nil
	}
	warnings = warningsOf(c, a.lists)
	known := make(map[int]bool) // lines that config has complained of: say it once
	for _, p := range problems {
		known[p.Line] = true
	}
	for _, r := range rules(c) {
		// That a rule has a name and a source config has seen; here it lacks the
		// elements that config has refused.
		parts := slices.DeleteFunc(overrides.Validate(r), func(err error) bool {
			var p *overrides.Problem
			return errors.As(err, &p) && p.Key == r.Key()
		})
		for _, p := range ruleProblems(c, parts...) {
			if !known[p.Line] && !known[r.Pos.Line] {
				problems = append(problems, p)
			}
		}
		problems = append(problems, ruleFileProblems(c, r)...)
	}
	more, skipped := datasetProblems(ctx, c)
	problems, warnings = append(problems, more...), append(warnings, skipped...)
	problems = append(problems, pairProblems(c)...)
	return c, config.Sorted(problems), config.Sorted(warnings), nil
}

// ruleFileProblems reads the file of a rule that does anything. That it is
// unreadable config has said.
func ruleFileProblems(c *config.Config, r overrides.Rule) []config.Problem {
	if r.File == "" || !r.Active(time.Now().Unix()) {
		return nil
	}
	data, err := config.ReadFile(r.File)
	if err != nil {
		return nil
	}
	_, errs := overrides.ParseRuleFile(shownPath(r.File), data)
	return ruleProblems(c, errs...)
}

// shownPath is the path as a person in this folder would write it.
func shownPath(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// datasetProblems loads the data of the zones that are served from files: a
// bad line is a warning, as it is when serving, and data that would not be
// served a problem.
func datasetProblems(ctx context.Context, c *config.Config) (problems, warnings []config.Problem) {
	for _, z := range c.Zones {
		if len(z.Files) == 0 {
			continue
		}
		_, skipped, err := dataset.Load(ctx, datasets(z), time.Now())
		for _, s := range skipped {
			warnings = append(warnings, config.Problem{File: shownPath(s.File), Line: s.Line, What: s.Text})
		}
		if err != nil && !missing(z) {
			problems = append(problems, config.Problem{File: c.Path, Line: z.Files[0].Line,
				What:    fmt.Sprintf("zone %q: its data cannot be served: %v", z.Name, err),
				Instead: "mend the file, or take it out of files"})
		}
	}
	return problems, warnings
}

// missing says whether a file of the zone is unreadable, which config has
// said.
func missing(z *config.Zone) bool {
	return slices.ContainsFunc(z.Files, func(d config.Dataset) bool {
		return slices.ContainsFunc(d.Paths, func(p string) bool { return config.Readable(p) != nil })
	})
}

// pairProblems loads the certificate of the admin server. That it is unreadable
// config has said.
func pairProblems(c *config.Config) []config.Problem {
	cert, certErr := config.ReadFile(c.Admin.TLSCert)
	key, keyErr := config.ReadFile(c.Admin.TLSKey)
	if certErr != nil || keyErr != nil {
		return nil
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return []config.Problem{c.Problem("admin.tls_cert and tls_key are no pair: "+strings.TrimPrefix(err.Error(), "tls: "),
			"name a certificate and its key, both PEM", "admin", "tls_cert")}
	}
	return nil
}

// table prints columns that line up.
func (a *app) table(rows func(w *tabwriter.Writer)) error {
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	rows(w)
	return w.Flush()
}
