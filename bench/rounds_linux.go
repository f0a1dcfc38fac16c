package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"dnsblproxy/bench/internal/load"
	"dnsblproxy/bench/internal/peers"
	"dnsblproxy/bench/internal/proc"
)

// window is one way of asking.
type window struct {
	name string
	miss bool         // every question is a new one
	ask  load.Options // an open loop if it has a Rate

	// dnsperf asks, and not our own generator: a check of that.
	dnsperf bool
}

func (b *bench) windows() []window {
	all := []window{
		{name: warmFew, ask: load.Options{Clients: 8}},
		{name: dnsperf8, dnsperf: true},
		{name: warmMany, ask: load.Options{Clients: 8, Outstanding: 16}},
		{name: warmOne, ask: load.Options{Spin: true}},
		{name: warmRate, ask: load.Options{Clients: 8, Rate: b.o.rate, Spin: true}},
		{name: missOne, miss: true},
		{name: missMany, miss: true, ask: load.Options{Clients: 4, Outstanding: 4}},
	}
	return slices.DeleteFunc(all, func(w window) bool {
		return w.dnsperf && b.o.skips("dnsperf") || b.o.ways != nil && !slices.Contains(b.o.ways, w.name)
	})
}

// contender is a server in the rounds.
type contender struct {
	*peers.Server
	caches bool
	fresh  load.Row // names nobody asked for yet
}

// rounds measures all servers in turn.
func (b *bench) rounds(ctx context.Context) (err error) {
	list, err := peers.StartList(zone, b.own)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, list.Stop()) }()
	var up []*contender
	defer func() {
		for _, c := range up {
			err = errors.Join(err, c.Stop())
			if c.Name == peers.Proxy {
				b.res.Collection, b.res.Pause = collection(c.Output())
			}
		}
	}()
	if up, err = b.contenders(list); err != nil {
		return err
	}
	for _, c := range up {
		if err := b.warm(ctx, c); err != nil {
			return err
		}
	}
	for i := range b.o.rounds {
		round := Round{}
		for _, w := range b.windows() {
			round[w.name] = map[string]Figure{}
			// Each round begins with another one, so that none is always the
			// one after a costly neighbour.
			for j := range up {
				c := up[(i+j)%len(up)]
				if w.miss && c.Name == peers.Bare {
					continue
				}
				measure := b.measure
				if w.dnsperf {
					measure = b.dnsperf
				} else if b.o.perf != "" && i == 0 && c.Name == peers.Proxy {
					measure = b.profile
				}
				if round[w.name][c.Name], err = measure(ctx, c, w); err != nil {
					return fmt.Errorf("%s, %s: %w", c.Name, w.name, err)
				}
			}
		}
		b.res.Rounds = append(b.res.Rounds, round)
	}
	return nil
}

// contenders starts all servers in front of one list.
func (b *bench) contenders(list *peers.Server) ([]*contender, error) {
	set := peers.Settings{Zone: zone, List: list.Addr, CacheMB: 256, CacheEntries: 1_000_000, Processors: []int{b.server}}
	bare, err := peers.StartSelf(peers.Bare, set, bareCommand)
	if err != nil {
		return nil, err
	}
	up := []*contender{{Server: bare}}
	direct, err := peers.StartList(zone, b.server)
	if err != nil {
		return up, err
	}
	up = append(up, &contender{Server: direct})
	for _, k := range b.kinds() {
		if set.Env = nil; k.Name == peers.Proxy {
			set.Env = []string{"GODEBUG=gctrace=1"}
		}
		s, err := k.Start(set)
		if err != nil {
			return up, err
		}
		up = append(up, &contender{Server: s, caches: true})
		if k.Name != peers.Proxy {
			b.res.Machine.Versions = append(b.res.Machine.Versions, k.Version())
		}
	}
	for _, c := range up {
		c.fresh = load.Row{From: 10_000_000}
		b.res.Servers = append(b.res.Servers, c.Name)
	}
	return up, nil
}

// warm asks for each name of the warm set, until none is lost.
func (b *bench) warm(ctx context.Context, c *contender) error {
	if !c.caches {
		return nil
	}
	for range 3 {
		res, err := load.Closed(ctx, load.Options{
			Server: c.Addr, Zone: load.NewZone(zone), Names: b.warmSet(),
			Clients: 4, Outstanding: 8, Total: b.o.names, For: time.Minute,
		})
		if err != nil || res.Lost == 0 {
			return err
		}
	}
	return fmt.Errorf("warming %s: answers are lost", c.Name)
}

func (b *bench) warmSet() *load.Row { return &load.Row{Len: uint32(b.o.names)} }

// measure runs one window.
func (b *bench) measure(ctx context.Context, c *contender, w window) (Figure, error) {
	o := w.ask
	o.Server, o.Zone, o.Names, o.For = c.Addr, load.NewZone(zone), b.warmSet(), cmp.Or(o.For, b.o.window)
	if w.miss {
		o.Names = &c.fresh
	}
	ask := load.Closed
	if o.Rate > 0 {
		ask = load.Open
	}
	var res *load.Result
	cpu, err := proc.Spent(c.PID(), func() (err error) {
		res, err = ask(ctx, o)
		return err
	})
	if err != nil {
		return Figure{}, err
	}
	return figure(res, cpu), nil
}

func figure(res *load.Result, cpu time.Duration) Figure {
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	n := float64(max(res.Answered, 1))
	return Figure{
		Answers: res.Answered, Lost: res.Lost, Failed: res.Answered - res.Rcodes[0] - res.Rcodes[3],
		CPU: us(cpu) / n, PerSecond: n / res.Took.Seconds(),
		P50: us(res.Latency.Quantile(0.5)), P99: us(res.Latency.Quantile(0.99)), P999: us(res.Latency.Quantile(0.999)),
	}
}

// dnsperf runs a window of a second by dnsperf with 8 clients, all else as it
// is by default: up to 100 questions outstanding.
func (b *bench) dnsperf(ctx context.Context, c *contender, _ window) (Figure, error) {
	var warm, out bytes.Buffer
	row := b.warmSet()
	for range b.o.names {
		fmt.Fprintf(&warm, "%s A\n", load.Question(row.Next(), zone))
	}
	file := filepath.Join(c.Dir, "queries")
	if err := os.WriteFile(file, warm.Bytes(), 0o644); err != nil {
		return Figure{}, fmt.Errorf("writing questions for dnsperf: %w", err)
	}
	cmd := exec.CommandContext(ctx, "dnsperf", "-s", c.Addr.Addr().String(), "-p", strconv.Itoa(int(c.Addr.Port())),
		"-d", file, "-c", "8", "-l", "1")
	cmd.Stdout, cmd.Stderr = &out, &out
	cpu, err := proc.Spent(c.PID(), func() error {
		if err := proc.Start(cmd, b.own); err != nil {
			return err
		}
		return cmd.Wait()
	})
	if err != nil {
		return Figure{}, fmt.Errorf("%w\n%s", err, out.Bytes())
	}
	f := Figure{}
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSpace(line)
		_, _ = fmt.Sscanf(line, "Queries completed: %d", &f.Answers) // most lines are others
		_, _ = fmt.Sscanf(line, "Queries per second: %f", &f.PerSecond)
	}
	if f.Answers == 0 || f.PerSecond == 0 {
		return f, fmt.Errorf("dnsperf says nothing of its answers:\n%s", out.Bytes())
	}
	f.CPU = float64(cpu) / 1e3 / float64(f.Answers)
	return f, nil
}
