package main

import (
	"context"
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
	short  bool
	rounds int
	window time.Duration
	rate   float64
	memory int
	proxy  string
	out    string
	only   string
	names  int
	skip   string
	ways   string
	perf   string
	outage time.Duration
}

func main() {
	if len(os.Args) == 3 {
		roles := map[string]func(string) error{bareCommand: serveBare, awakeCommand: keepAwake}
		if role := roles[os.Args[1]]; role != nil {
			fail(role(os.Args[2]))
			return
		}
	}
	var o options
	flag.BoolVar(&o.short, "short", false, "a minute and a half instead of eleven: fewer and shorter rounds")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds of windows; 0: 9, or 3 if short")
	flag.DurationVar(&o.window, "window", 0, "length of one window; 0: 500ms, or 200ms if short")
	flag.Float64Var(&o.rate, "rate", 20_000, "questions a second of the open loop")
	flag.IntVar(&o.memory, "memory", 0, "answers cached to measure memory; 0: 1,000,000, or 200,000 if short")
	flag.StringVar(&o.proxy, "proxy", "", "dnsblproxy program to measure; empty: built from this module")
	flag.StringVar(&o.out, "out", filepath.Join("bench", "results"), "folder for the results; empty: none are kept")
	flag.StringVar(&o.only, "only", "", "comma-separated names of the servers to measure; empty: all")
	flag.StringVar(&o.skip, "skip", "", "comma-separated parts to leave out: rounds, memory, behaviour, reload, cores, instructions, trace, dnsperf")
	flag.StringVar(&o.ways, "windows", "", "comma-separated windows of the rounds: warm_8, dnsperf_8, warm_128, warm_1, warm_rate, miss_1, miss_16; empty: all")
	flag.StringVar(&o.perf, "perf", "", "folder for the proxy's profile in each window of the first round, by perf(1)")
	flag.DurationVar(&o.outage, "outage", 0, "how long the dead list stays silent; 0: for ten questions")
	flag.IntVar(&o.names, "names", 20_000, "names in the warm set")
	flag.Parse()
	o.defaults()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	fail(run(ctx, &o, os.Stdout))
}

func (o *options) defaults() {
	pick := func(short, long int) int {
		if o.short {
			return short
		}
		return long
	}
	if o.rounds == 0 {
		o.rounds = pick(3, 9)
	}
	if o.window == 0 {
		o.window = time.Duration(pick(200, 500)) * time.Millisecond
	}
	if o.memory == 0 {
		o.memory = pick(200_000, 1_000_000)
	}
}

func (o *options) skips(part string) bool { return slices.Contains(strings.Split(o.skip, ","), part) }

func (o *options) wants(server string) bool {
	return o.only == "" || slices.Contains(strings.Split(o.only, ","), server)
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
	cpus, err := proc.Processors()
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
	if err := b.all(ctx); err != nil {
		return err
	}
	b.res.finish()
	b.res.print(w)
	if o.out == "" {
		return nil
	}
	return b.res.write(o.out)
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

// all runs the parts in turn.
func (b *bench) all(ctx context.Context) error {
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"rounds", b.rounds},
		{"memory", b.memory},
		{"behaviour", b.behaviour},
		{"reload", b.reload},
		{"cores", b.cores},
		{"instructions", b.instructions},
		{"trace", b.trace},
	} {
		if b.o.skips(part.name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		began := time.Now()
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		b.note("%s took %v", part.name, time.Since(began).Round(time.Second))
	}
	return nil
}
