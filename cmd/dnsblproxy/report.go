package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const reportLong = `Prints for each list: questions, listings, listings that an exemption removed,
listings no other list had, and errors. A list whose listings are removed often
is wrong often.`

func newReport(a *app) *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "print figures for each list",
		Long:  reportLong,
		Args:  noArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			d, err := span(since)
			if err != nil {
				return err
			}
			return a.figures(ctx, d)
		}),
	}
	cmd.Flags().StringVar(&since, "since", "7d", "how far back: `SPAN` in days (7d) or as a duration (12h)")
	return cmd
}

// span reads a duration that may be in days.
func span(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d <= 0 {
		return 0, usagef("--since: %q is no span; write it like 7d or 12h", s)
	}
	return d, nil
}

func (a *app) figures(context.Context, time.Duration) error {
	return errors.New("report: not part of this build")
}
