package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

const lookupLong = `Prints what a mail server that asks about an address or a domain is told, zone
by zone: the verdict, the list's codes and text, the rule that exempts or denies,
and the steps that led there. The running server decides; without one this
command says so and decides by itself.

With --from it does so for every address of a file, or for every client of a
Postfix log, and with --against it prints what another configuration would
change.

The exit status is 0 whatever the verdict.`

// lookupFlags are the flags of lookup.
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
			if f.from == "" {
				if f.against != "" {
					return usagef("--against needs --from")
				}
				return oneArg("an ADDR or a DOMAIN")(cmd, args)
			}
			if len(args) > 0 {
				return usagef("--from takes the place of %q", args[0])
			}
			return nil
		},
		RunE: a.does(func(ctx context.Context, args []string) error { return a.lookup(ctx, args, f) }),
	}
	cmd.Flags().BoolVar(&f.all, "all", false, "ask every list that is known, not only the zones served")
	cmd.Flags().StringVar(&f.from, "from", "", "look up every address in `FILE`: one a line, or a Postfix log")
	cmd.Flags().StringVar(&f.against, "against", "", "print what the configuration `CONFIG` would change")
	return cmd
}

func (a *app) lookup(context.Context, []string, lookupFlags) error {
	return errors.New("lookup: not part of this build")
}
