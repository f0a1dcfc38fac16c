package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and commit are set by the linker: -X main.version=v1.2.3.
var version, commit string

// build is what this binary was made from.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

// readVersion prefers what the linker was told, then what the go command
// stamped.
func readVersion() build {
	b := build{Version: version, Commit: cmp.Or(commit, "unknown"), Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			switch {
			case commit != "":
			case s.Key == "vcs.revision":
				b.Commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				b.Commit += "+changes"
			}
		}
		if b.Version == "" && info.Main.Version != "(devel)" {
			b.Version = info.Main.Version
		}
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	return b
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print version, commit and Go version",
		Args:  noArgs,
		RunE: a.does(func(context.Context, []string) error {
			b := readVersion()
			if a.json {
				return a.printJSON(b)
			}
			fmt.Fprintf(a.out, "dnsblproxy %s\ncommit %s\n%s %s/%s\n", b.Version, b.Commit, b.Go, runtime.GOOS, runtime.GOARCH)
			return nil
		}),
	}
}
