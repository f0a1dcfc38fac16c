package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
)

// Exit status.
const (
	exitDone   = 0
	exitFailed = 1
	exitWrong  = 2 // usage or configuration
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errSaid ends a command that has printed already what is wrong.
type errSaid struct{ status int }

func (e errSaid) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// app is what the commands share.
type app struct {
	in       io.Reader
	out, err io.Writer

	lists *rbl.Table // the well-known ones

	config string // --config
	json   bool   // --json

	started bool // a command's own work has begun: errors are no usage errors
}

// run executes one command line and returns the exit status.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	to := &stdout{Writer: out}
	a := &app{in: in, out: to, err: errOut, lists: rbl.Builtin()}
	root := newRoot(a)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(context.Background())
	if to.failed != nil {
		a.started, err = true, to.failed
	}
	return a.report(cmd, err)
}

// stdout remembers that it could not be written: cobra keeps that to itself, or
// returns it like a wrong flag.
type stdout struct {
	io.Writer
	failed error
}

func (o *stdout) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.failed = err
	}
	return n, err
}

// report prints an error the way its kind wants it.
func (a *app) report(cmd *cobra.Command, err error) int {
	var said errSaid
	var wrong *config.Error
	var usage usageError
	var place *overrides.Problem
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &said):
		return said.status
	case errors.As(err, &wrong):
		fmt.Fprintln(a.err, wrong.Error()) // as "file:line: ...", which editors follow
		return exitWrong
	case errors.As(err, &usage) || !a.started:
		fmt.Fprintf(a.err, "dnsblproxy: %v\nRun '%s --help' for usage.\n", err, cmd.CommandPath())
		return exitWrong
	case errors.As(err, &place):
		fmt.Fprintln(a.err, err) // likewise "file:line: ..."
		return exitFailed
	}
	fmt.Fprintf(a.err, "dnsblproxy: %v\n", err)
	return exitFailed
}

// does wraps the work of a command, so that errors before it (flags and
// arguments, which cobra checks) are told from its own.
func (a *app) does(work func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		return work(cmd.Context(), args)
	}
}

// printJSON prints a value for machines.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printList prints values as printJSON does a slice of them, some at a time.
func printList[T any](a *app, values iter.Seq2[[]T, error]) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("  ", "  ")
	e.SetEscapeHTML(false)
	before, end := "[\n  ", "[]\n"
	for some, err := range values {
		for _, v := range some {
			b.WriteString(before)
			err = errors.Join(err, e.Encode(v))
			b.Truncate(b.Len() - 1) // the end of the line
			before, end = ",\n  ", "\n]\n"
		}
		if err != nil {
			return err
		}
		if _, err := b.WriteTo(a.out); err != nil {
			return err
		}
	}
	_, err := io.WriteString(a.out, end)
	return err
}
