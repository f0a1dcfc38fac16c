package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"dnsblproxy/bench/internal/peers"
	"dnsblproxy/bench/internal/proc"
)

// zone is the list's. Names below internal. are nobody's.
const zone = "bl.bench.internal"

// options are the command line's.
type options struct {
	short            bool
	rounds           int
	window           time.Duration
	rate             float64
	memory           int
	proxy, out, perf string
	names            int
	outage           time.Duration

	only, ways []string // nil: all
	skip       []string
}

func main() {
	if len(os.Args) == 3 {
		roles := map[string]func(string) error{bareCommand: serveBare, awakeCommand: keepAwake}
		if role := roles[os.Args[1]]; role != nil {
			fail(role(os.Args[2]))
			return
		}
	}
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second one ends the program as it is
	fail(run(ctx, o, os.Stdout))
}

// parse reads the command line and tells w what is wrong with it.
func parse(args []string, w io.Writer) (*options, error) {
	var o options
	f := flag.NewFlagSet("go run ./bench", flag.ContinueOnError)
	f.SetOutput(w)
	f.BoolVar(&o.short, "short", false, "a minute and a half instead of eleven: fewer and shorter rounds")
	f.IntVar(&o.rounds, "rounds", 0, "rounds of windows; 0: 9, or 3 if short")
	f.DurationVar(&o.window, "window", 0, "length of one window; 0: 500ms, or 200ms if short")
	f.Float64Var(&o.rate, "rate", 20_000, "questions a second of the open loop")
	f.IntVar(&o.memory, "memory", 0, "answers cached to measure memory; 0: 1,000,000, or 200,000 if short")
	f.StringVar(&o.proxy, "proxy", "", "dnsblproxy program to measure; empty: built from this module")
	f.StringVar(&o.out, "out", filepath.Join("bench", "results"), "folder for the results; empty: none are kept")
	f.StringVar(&o.perf, "perf", "", "folder for the proxy's profile in each window of the first round, by perf(1)")
	f.DurationVar(&o.outage, "outage", 0, "how long the dead list stays silent; 0: for ten questions")
	f.IntVar(&o.names, "names", 20_000, "names in the warm set")
	choice := func(to *[]string, name, usage string, known ...string) {
		f.Func(name, usage+", comma-separated: "+strings.Join(known, ", "), func(value string) error {
			*to = strings.Split(value, ",")
			for _, n := range *to {
				if !slices.Contains(known, n) {
					return fmt.Errorf("there is no %q", n)
				}
			}
			return nil
		})
	}
	choice(&o.only, "only", "servers to measure instead of all", append(peerNames(), peers.Proxy)...)
	choice(&o.ways, "windows", "windows of the rounds instead of all", warmFew, dnsperf8, warmMany, warmOne, warmRate, missOne, missMany)
	skippable := []string{"dnsperf"}
	for _, p := range parts() {
		skippable = append(skippable, p.name)
	}
	choice(&o.skip, "skip", "parts to leave out", skippable...)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var err error
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("%q is no flag", f.Arg(0))
	case !(o.rate > 0) || o.names <= 0 || min(o.rounds, o.memory, int(o.window), int(o.outage)) < 0:
		err = errors.New("no figure may be negative, and neither -rate nor -names 0")
	}
	if err != nil {
		fmt.Fprintln(w, "bench:", err)
	}
	o.defaults()
	return &o, err
}

func (o *options) defaults() {
	pick := func(short, long int) int {
		if o.short {
			return short
		}
		return long
	}
	o.rounds = cmp.Or(o.rounds, pick(3, 9))
	o.window = cmp.Or(o.window, time.Duration(pick(200, 500))*time.Millisecond)
	o.memory = cmp.Or(o.memory, pick(200_000, 1_000_000))
}

func (o *options) skips(part string) bool { return slices.Contains(o.skip, part) }

func (o *options) wants(server string) bool { return o.only == nil || slices.Contains(o.only, server) }

// whole reports whether nothing is left out, and nobody looks on.
func (o *options) whole() bool {
	return !o.short && o.perf == "" && o.only == nil && o.ways == nil && o.skip == nil
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything and writes it down.
func run(ctx context.Context, o *options, w io.Writer) error {
	if o.proxy == "" {
		dir, err := os.MkdirTemp("", "bench-build-")
		if err != nil {
			return fmt.Errorf("making a folder: %w", err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		o.proxy = filepath.Join(dir, "dnsblproxy")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", o.proxy, "./cmd/dnsblproxy")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building the proxy: %w\n%s", err, out)
		}
	}
	path, err := filepath.Abs(o.proxy)
	if err != nil {
		return fmt.Errorf("finding the proxy: %w", err)
	}
	o.proxy = path
	machine, err := describe(o)
	if err != nil {
		return err
	}
	cpus, err := proc.Processors(0)
	if err != nil {
		return err
	}
	server, own := cpus[0], cpus[len(cpus)-1]
	if err := proc.Bind(own); err != nil {
		return err
	}
	// The generator allocates next to nothing; a collection during a window
	// would be in its latencies.
	debug.SetGCPercent(400)
	stop, err := awake(server, own)
	if err != nil {
		return err
	}
	defer stop()
	b := &bench{o: o, log: w, server: server, own: own, res: &Results{Machine: *machine}}
	err = b.all(ctx)
	b.res.finish()
	b.res.print(w)
	if err != nil || o.out == "" {
		return err
	}
	return b.res.write(o.out, o.whole())
}

// bench is the benchmark at work.
type bench struct {
	o           *options
	log         io.Writer
	server, own int // processors
	res         *Results
}

func (b *bench) note(format string, args ...any) {
	fmt.Fprintf(b.log, "# "+format+"\n", args...)
}

// missing tells of a program that the run is not whole without.
func (b *bench) missing(program string) {
	b.note("%s is not installed and left out; make packages installs it", program)
	b.o.skip = append(b.o.skip, program)
}

// kinds are the programs to compare: the proxy first.
func (b *bench) kinds() []peers.Kind {
	out := []peers.Kind{peers.ProxyKind(b.o.proxy)}
	for _, k := range peers.Kinds() {
		if b.o.wants(k.Name) && k.Find() != "" {
			out = append(out, k)
		}
	}
	return out
}

// part is one that can be left out.
type part struct {
	name string
	run  func(*bench, context.Context) error
}

// parts are all of them, in their order.
func parts() []part {
	return []part{
		{"rounds", (*bench).rounds},
		{"memory", (*bench).memory},
		{"behaviour", (*bench).behaviour},
		{"reload", (*bench).reload},
		{"cores", (*bench).cores},
		{"instructions", (*bench).instructions},
		{"trace", (*bench).trace},
	}
}

// all runs the parts in turn.
func (b *bench) all(ctx context.Context) error {
	for _, k := range peers.Kinds() {
		if b.o.wants(k.Name) && k.Find() == "" {
			b.missing(k.Name)
		}
	}
	if _, err := exec.LookPath("dnsperf"); err != nil && !b.o.skips("dnsperf") {
		b.missing("dnsperf")
	}
	for _, part := range parts() {
		if b.o.skips(part.name) {
			continue
		}
		began := time.Now()
		err := part.run(b, ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		b.note("%s took %v", part.name, time.Since(began).Round(time.Second))
	}
	return nil
}
