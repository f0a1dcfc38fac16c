package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"dnsblproxy/bench/internal/load"
	"dnsblproxy/bench/internal/peers"
)

// instructions counts what an answer takes in user space, by valgrind, to which
// a busy machine is as good as a calm one. What the kernel does is not in it.
func (b *bench) instructions(ctx context.Context) (err error) {
	for _, program := range []string{"valgrind", "callgrind_control"} {
		if _, err := exec.LookPath(program); err != nil {
			b.missing(program)
			return nil
		}
	}
	list, err := peers.StartList(zone, b.own)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, list.Stop()) }()
	b.res.Instructions = map[string]Instructions{}
	for _, k := range b.kinds() {
		c, err := b.count(ctx, k, list)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			b.note("the instructions of %s are not counted: %v", k.Name, err)
			continue
		}
		b.res.Instructions[k.Name] = c
	}
	return nil
}

// count counts k's instructions, first for names that the list is asked for and
// then for such that are cached, both with 16 questions outstanding.
func (b *bench) count(ctx context.Context, k peers.Kind, list *peers.Server) (c Instructions, err error) {
	dir, err := os.MkdirTemp("", "bench-callgrind-")
	if err != nil {
		return c, fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out := filepath.Join(dir, "out")
	s, err := k.Under("valgrind", "--tool=callgrind", "--callgrind-out-file="+out).Start(peers.Settings{
		Zone: zone, List: list.Addr, CacheMB: 64, CacheEntries: 100_000, Processors: []int{b.server},
		Env: []string{"GODEBUG=asyncpreemptoff=1"}, // valgrind loses track of Go's signals
	})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	ask := func(names *load.Row, n int) error {
		res, err := load.Closed(ctx, load.Options{
			Server: s.Addr, Zone: load.NewZone(zone), Names: names,
			Clients: 4, Outstanding: 4, Total: n, For: time.Minute,
		})
		if err == nil && res.Answered < n*99/100 {
			err = fmt.Errorf("%d of %d questions were answered", res.Answered, n)
		}
		return err
	}
	part := 0
	each := func(names *load.Row, n int) (float64, error) {
		if err := control(ctx, s, "--zero"); err != nil {
			return 0, err
		}
		if err := ask(names, n); err != nil {
			return 0, err
		}
		part++
		if err := control(ctx, s, "--dump"); err != nil {
			return 0, err
		}
		total, err := collected(fmt.Sprintf("%s.%d", out, part))
		return float64(total) / float64(n), err
	}
	const cached, counted = 3000, 10_000
	names := &load.Row{From: 1 << 20}
	if err := ask(names, cached); err != nil {
		return c, err
	}
	if k.Name == peers.Proxy { // it reads a rule file as new as this one again each second for a while
		time.Sleep(5 * time.Second)
	}
	if c.Miss, err = each(names, counted); err != nil {
		return c, err
	}
	c.Hit, err = each(&load.Row{From: 1 << 20, Len: cached}, counted)
	return c, err
}

// control has valgrind do something with the counts of s.
func control(ctx context.Context, s *peers.Server, what string) error {
	cmd := exec.CommandContext(ctx, "callgrind_control", what, strconv.Itoa(s.PID()))
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("callgrind_control %s: %w\n%s", what, err, text)
	}
	return nil
}

var totals = regexp.MustCompile(`(?m)^totals: (\d+)$`)

// collected reads the sum from what valgrind writes, once it has written it.
func collected(file string) (uint64, error) {
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, fmt.Errorf("reading the counts: %w", err)
		}
		if m := totals.FindSubmatch(text); m != nil {
			return strconv.ParseUint(string(m[1]), 10, 64)
		}
	}
	return 0, errors.New("valgrind has written no counts")
}
