package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/cmd/dnsblproxy/internal/report"
	"dnsblproxy/cmd/dnsblproxy/internal/state"
)

const reportLong = `Prints for each list: questions, listings, listings that an exemption removed,
listings no other list had, and errors. A list whose listings are removed often
is wrong often; one that has no listings of its own is not missed.

  questions   asked in the list's zone, or in a combined one that it is a member
              of, from the cache too
  listings    addresses and domains asked about that the list has, those that
              were exempted too. The question for an entry's text does not count
  exempted    of these, what an exemption removed
  unique      addresses and domains that no other list was known to have,
              counted once a TTL. A list that the mail server does not get to
              ask, because the one before had the address, does not count
  errors      questions that the list did not answer, or not credibly

The running server is asked. Without one, what it kept in its state folder is
read. Figures are kept by the hour for two weeks and by the day for 400 days,
so that older spans begin with a whole day.`

// reportSince is how far back the report goes by itself.
const reportSince = "7d"

func newReport(a *app) *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "print figures for each list",
		Long:  reportLong,
		Args:  noArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			d, err := parseSpan(since)
			if err != nil {
				return usagef("--since: %v", err)
			}
			return a.figures(ctx, d)
		}),
	}
	cmd.Flags().StringVar(&since, "since", reportSince, "how far back: `SPAN` in days (7d) or as a duration (12h)")
	return cmd
}

// maxSpanDays is as far back as figures are kept.
const maxSpanDays = 400

// parseSpan reads a duration that may be in days.
func parseSpan(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(n, maxSpanDays)) * 24 * time.Hour
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no span; write it like 7d or 12h", s)
	}
	return d, nil
}

func (a *app) figures(ctx context.Context, since time.Duration) error {
	c, err := a.loadAsked(ctx)
	if err != nil {
		return err
	}
	var all []report.Figures
	err = askRunning(ctx, c, "report", url.Values{"since": {since.String()}}, &all)
	if errors.Is(err, errNoServer) {
		all, err = a.keptFigures(c, since, err)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(all)
	}
	return a.table(func(w *tabwriter.Writer) { printFigures(w, all) })
}

// keptFigures reads what the server kept when it last ran.
func (a *app) keptFigures(c *config.Config, since time.Duration, why error) ([]report.Figures, error) {
	dir := stateDir(keptRoot(c), listState)
	if dir == "" {
		return nil, fmt.Errorf("%w, and no state folder is configured that could hold figures", why)
	}
	h, found, err := report.Load(state.Dir(dir).Load)
	switch {
	case !found && err != nil:
		return nil, err
	case !found:
		return nil, fmt.Errorf("%w, and %s holds no figures", why, dir)
	case err != nil:
		fmt.Fprintln(a.err, err) // the rest could be read
	}
	fmt.Fprintf(a.err, "%v; these are the figures that it kept in %s\n", why, dir)
	return h.Figures(time.Now(), since, c.ZoneNames()), nil
}

// systemState is the folder that systemd gives the server of [systemConfig].
const systemState = "/var/lib/dnsblproxy"

// keptRoot is stateRoot for a command, which is not told by systemd.
func keptRoot(c *config.Config) string {
	root := stateRoot(c)
	if path, err := filepath.Abs(c.Path); root == "" && err == nil && path == systemConfig {
		return systemState
	}
	return root
}

func printFigures(w io.Writer, all []report.Figures) {
	fmt.Fprintln(w, "ZONE\tQUESTIONS\tLISTINGS\tEXEMPTED\tUNIQUE\tERRORS")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%s\n", f.Zone, f.Questions,
			share(f.Listings, f.Questions), share(f.Exempted, f.Listings), f.Unique, share(f.Errors, f.Questions))
	}
}

// share is n, and what part of all it is.
func share(n, all uint64) string {
	if n == 0 || all == 0 {
		return strconv.FormatUint(n, 10)
	}
	return fmt.Sprintf("%d (%.1f%%)", n, 100*float64(n)/float64(all))
}
