package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"dnsblproxy/bench/internal/load"
	"dnsblproxy/bench/internal/peers"
	"dnsblproxy/bench/internal/proc"
)

// memory fills caches and looks at the resident memory.
func (b *bench) memory(ctx context.Context) error {
	list, err := peers.NewScripted(load.Listed)
	if err != nil {
		return err
	}
	defer list.Close()
	b.res.Memory = map[string]Memory{}
	for _, k := range b.kinds() {
		n := b.o.memory
		if k.Name != peers.Proxy {
			if b.o.short {
				continue
			}
			n = min(n, 200_000) // they need up to a minute for a million
		}
		m, err := b.fill(ctx, k, list, n)
		if err != nil {
			return fmt.Errorf("%s: %w", k.Name, err)
		}
		b.res.Memory[k.Name] = m
	}
	return nil
}

// fill caches n answers.
func (b *bench) fill(ctx context.Context, k peers.Kind, list *peers.Scripted, n int) (m Memory, err error) {
	set := peers.Settings{Zone: zone, List: list.Addr, CacheMB: 1, CacheEntries: 1000, Processors: []int{b.server}}
	small, err := k.Start(set)
	if err != nil {
		return m, err
	}
	m.Answers = n
	m.Empty, err = proc.RSS(small.PID())
	if err := errors.Join(err, small.Stop()); err != nil {
		return m, err
	}
	set.CacheMB, set.CacheEntries = max(n/4000, 64), n+n/4 // room for 262 bytes each
	s, err := k.Start(set)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	res, err := load.Closed(ctx, load.Options{
		Server: s.Addr, Zone: load.NewZone(zone), Names: &load.Row{Len: uint32(n)},
		Clients: 8, Outstanding: 8, Total: n, For: 5 * time.Minute,
	})
	if err != nil {
		return m, err
	}
	if res.Lost > n/100 {
		return m, fmt.Errorf("%d of %d answers are lost", res.Lost, n)
	}
	time.Sleep(2 * time.Second) // what it writes in the background
	if m.Full, err = proc.RSS(s.PID()); err != nil {
		return m, err
	}
	m.Each = float64(m.Full-m.Empty) / float64(n)
	m.Kept, err = kept(ctx, s, list, n)
	return m, err
}

// kept asks for a sample again and sees how much of it the list is asked for.
func kept(ctx context.Context, s *peers.Server, list *peers.Scripted, n int) (float64, error) {
	sample := min(2000, n)
	before := list.Asked()
	_, err := load.Closed(ctx, load.Options{
		Server: s.Addr, Zone: load.NewZone(zone), Names: &load.Row{From: uint32((n - sample) / 2), Len: uint32(sample)},
		Total: sample, For: time.Minute,
	})
	return 1 - float64(list.Asked()-before)/float64(sample), err
}

// reloadPrefixes is how many the rule has while it is re-read.
const reloadPrefixes = 1_000_000

// reload has the proxy read its configuration and a million prefixes again
// while it answers at half the usual rate.
func (b *bench) reload(ctx context.Context) (err error) {
	list, err := peers.StartList(zone, b.own)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, list.Stop()) }()
	s, err := peers.ProxyKind(b.o.proxy).Start(peers.Settings{Zone: zone, List: list.Addr, CacheMB: 64, CacheEntries: 1, Processors: []int{b.server}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	c := &contender{Server: s, caches: true}
	if err := b.warm(ctx, c); err != nil {
		return err
	}
	file := filepath.Join(s.Dir, "partners.txt")
	out := Reload{Prefixes: reloadPrefixes, Reloads: 2}
	rate := func(long time.Duration) (Figure, error) {
		return b.measure(ctx, c, window{ask: load.Options{Clients: 8, Rate: b.o.rate / 2, Spin: true, For: long}})
	}
	// They are written before: the generator needs its processor for itself.
	var next []string
	for i := range out.Reloads {
		next = append(next, fmt.Sprint(file, ".", i))
		if err := os.WriteFile(next[i], peers.Partners(reloadPrefixes-i), 0o644); err != nil {
			return fmt.Errorf("writing prefixes: %w", err)
		}
	}
	if out.Before, err = rate(2 * time.Second); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- reloads(s, file, next) }()
	if out.During, err = rate(6 * time.Second); err != nil {
		return err
	}
	b.res.Reload = &out
	return <-done
}

// reloads exchanges the file and sends SIGHUP, once for each next file.
func reloads(s *peers.Server, file string, next []string) error {
	for _, name := range next {
		if err := os.Rename(name, file); err != nil {
			return fmt.Errorf("exchanging prefixes: %w", err)
		}
		if err := s.Signal(syscall.SIGHUP); err != nil {
			return fmt.Errorf("reloading: %w", err)
		}
		time.Sleep(2 * time.Second)
	}
	return nil
}

// collection reads the garbage collector's share of the processor time, in
// percent, and its longest pause, in ms, from what GODEBUG=gctrace=1 had the
// program write; 0 without a collection.
func collection(output []byte) (share, pause float64) {
	for line := range strings.Lines(string(output)) {
		var n int
		var at, percent, before, marking, after float64
		if _, err := fmt.Sscanf(line, "gc %d @%fs %f%%: %f+%f+%f ms clock", &n, &at, &percent, &before, &marking, &after); err == nil {
			share, pause = percent, max(pause, before, after)
		}
	}
	return share, pause
}
