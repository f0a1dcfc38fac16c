package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

const rootLong = `dnsblproxy is a DNS server that stands between a mail server and the DNS
blocklists it asks. It answers from its cache, exempts the addresses that you
vouch for (ranges, files, published feeds, SPF records of trusted domains), and
never passes on a list's failure as a listing.

Start with "dnsblproxy serve", see what a client would be told with
"dnsblproxy lookup ADDRESS", let a sender in with "dnsblproxy allow add".

Every command reads the configuration: --config FILE, else config.toml in the
working directory, else /etc/dnsblproxy/config.toml. Exit status is 0 when done,
1 when something failed, 2 when the command line or the configuration is wrong.`

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "dnsblproxy",
		Short:         "a DNS blocklist proxy that knows exceptions",
		Long:          rootLong,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return fullFlags(cmd)
		},
		RunE: func(*cobra.Command, []string) error {
			return usagef("name a command, such as serve, check or lookup")
		},
	}
	root.PersistentFlags().StringVar(&a.config, "config", "", "configuration `FILE` (default: config.toml here, then "+systemConfig+")")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON instead of text")
	cobra.CheckErr(root.MarkPersistentFlagFilename("config", "toml"))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		newServe(a), newCheck(a), newLookup(a), newSPF(a), newAllow(a),
		newDoctor(a), newReport(a), newVersion(a),
	)
	root.SetOut(a.out) // before completion, which keeps it
	root.SetErr(a.err)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = helpTopic
		case "completion":
			cmd.Args, cmd.RunE = aCommand, func(*cobra.Command, []string) error {
				return usagef("completion needs one of bash, zsh, fish, powershell")
			}
		}
	}
	return root
}

// fullFlags refuses a flag without a value where that would mean another file,
// rule or server than was meant, most likely by a variable that is not set.
func fullFlags(cmd *cobra.Command) error {
	for _, name := range []string{"config", "from", "against", "rule", "expires", "ip", "resolver", "root"} {
		if f := cmd.Flag(name); f != nil && f.Changed && f.Value.String() == "" {
			return usagef("--%s is empty; write its value, or leave it out", name)
		}
	}
	return nil
}

// helpTopic refuses what is no command; cobra would print the usage and call
// that done.
func helpTopic(cmd *cobra.Command, args []string) error {
	topic, rest, err := cmd.Root().Find(args)
	if err != nil {
		return usageError{err}
	}
	return aCommand(topic, rest)
}

// aCommand refuses what is no command below cmd. cobra does so at the top
// alone.
func aCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // as at the top
	near := ""
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		near = "\n\nDid you mean this?\n\t" + strings.Join(names, "\n\t") + "\n"
	}
	return usagef("unknown command %q for %q%s", args[0], cmd.CommandPath(), near)
}

// systemConfig is where packages put the configuration.
const systemConfig = "/etc/dnsblproxy/config.toml"

// configPath is the file to read.
func (a *app) configPath() (string, error) {
	if a.config != "" {
		return a.config, nil
	}
	const here = "config.toml"
	for _, path := range []string{here, systemConfig} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
	}
	return "", usagef("there is neither %s here nor %s; name the configuration with --config", here, systemConfig)
}

// noArgs, oneArg and someArgs refuse other numbers of arguments in words that
// name what is missing.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument, got %q", cmd.Name(), args[0])
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("%s takes %s, got %q as well", cmd.Name(), what, args[1])
		}
		return someArgs(what)(cmd, args)
	}
}

func someArgs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s needs %s", cmd.Name(), what)
		}
		return nil
	}
}
