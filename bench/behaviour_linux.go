package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"dnsblproxy/bench/internal/load"
	"dnsblproxy/bench/internal/peers"
)

// behaviour looks at all servers at once, each in front of a list of its own:
// nearly all of it is waiting.
func (b *bench) behaviour(ctx context.Context) error {
	b.res.Behaviour = map[string]Behaviour{}
	var (
		mu   sync.Mutex
		errs []error
		wait sync.WaitGroup
		// What is over within milliseconds is not to meet others' answers.
		turn sync.Mutex
	)
	for _, k := range b.kinds() {
		wait.Go(func() {
			found, err := b.behave(ctx, k, &turn)
			mu.Lock()
			defer mu.Unlock()
			b.res.Behaviour[k.Name] = found
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", k.Name, err))
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// behave looks at one server.
func (b *bench) behave(ctx context.Context, k peers.Kind, turn *sync.Mutex) (out Behaviour, err error) {
	first := map[uint32]uint32{} // the hundred that bothTypes asks about, 28 of them listed
	for i := range uint32(100) {
		first[load.Addr(i)] = i
	}
	list, err := peers.NewScripted(func(a uint32) bool {
		if i, ok := first[a]; ok {
			return i < 28
		}
		return load.Listed(a)
	})
	if err != nil {
		return out, err
	}
	defer list.Close()
	s, err := k.Start(peers.Settings{Zone: zone, List: list.Addr, CacheMB: 64, CacheEntries: 10_000, Processors: []int{b.server}})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	turn.Lock()
	if err = allAtOnce(ctx, s, list, &out); err == nil {
		err = bothTypes(s, list, &out)
	}
	turn.Unlock()
	if err != nil || b.o.short && k.Name != peers.Proxy {
		return out, err
	}
	return out, b.dead(ctx, s, list, &out)
}

// allAtOnce has many clients ask for one name while the list takes its time.
func allAtOnce(ctx context.Context, s *peers.Server, list *peers.Scripted, out *Behaviour) error {
	list.Delay(100 * time.Millisecond)
	defer list.Delay(0)
	before := list.Asked()
	res, err := load.Closed(ctx, load.Options{
		Server: s.Addr, Zone: load.NewZone(zone), Names: &load.Row{From: 1000, Len: 1},
		Clients: together, Total: together, For: 3 * time.Second,
	})
	if err != nil {
		return err
	}
	out.TogetherAsked, out.TogetherAnswered = list.Asked()-before, res.Rcodes[0]+res.Rcodes[3]
	out.TogetherLast = -1
	if out.TogetherAnswered > 0 {
		out.TogetherLast = float64(res.Last.Sub(list.Answered())) / 1e6
	}
	return nil
}

// bothTypes asks for A and then for TXT.
func bothTypes(s *peers.Server, list *peers.Scripted, out *Behaviour) error {
	before := list.Asked()
	for i := range uint32(100) {
		for _, typ := range []uint16{load.TypeA, load.TypeTXT} {
			if took, _ := ask(s, load.Addr(i), typ, 2*time.Second); took < 0 {
				return fmt.Errorf("no answer to a question of type %d", typ)
			}
			// What it may still be asking the list is counted too.
			time.Sleep(time.Millisecond)
		}
	}
	out.TypesAsked = list.Asked() - before
	return nil
}

// dead has the list fall silent, and come back.
func (b *bench) dead(ctx context.Context, s *peers.Server, list *peers.Scripted, out *Behaviour) error {
	list.Silence(true)
	next := uint32(10_000)
	ms := func(d time.Duration) float64 {
		if d < 0 {
			return -1
		}
		return float64(d) / 1e6
	}
	for i := range 10 {
		patience := 6 * time.Second
		if i > 0 && i < 9 {
			patience = 300 * time.Millisecond
		}
		took, _ := ask(s, load.Addr(next), load.TypeA, patience)
		switch next++; i {
		case 0:
			out.DeadFirst = ms(took)
		case 9:
			out.DeadTenth = ms(took)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	for began := time.Now(); time.Since(began) < b.o.outage && ctx.Err() == nil; next++ {
		ask(s, load.Addr(next), load.TypeA, 300*time.Millisecond)
		time.Sleep(time.Second)
	}
	list.Silence(false)
	began := time.Now()
	for out.Return = -1; time.Since(began) < 15*time.Second && out.Return < 0 && ctx.Err() == nil; next++ {
		if !load.Listed(load.Addr(next)) {
			continue
		}
		if _, listed := ask(s, load.Addr(next), load.TypeA, 100*time.Millisecond); listed {
			out.Return = ms(time.Since(began))
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// ask asks one question; took is negative if no answer came in time.
func ask(s *peers.Server, addr uint32, typ uint16, patience time.Duration) (took time.Duration, listed bool) {
	c, err := net.Dial("udp4", s.Addr.String())
	if err != nil {
		return -1, false
	}
	defer func() { _ = c.Close() }()
	began := time.Now()
	_ = c.SetReadDeadline(began.Add(patience))
	if _, err := c.Write(load.NewZone(zone).Append(nil, 1, addr, typ)); err != nil {
		return -1, false
	}
	buf := make([]byte, 1500)
	n, err := c.Read(buf)
	if err != nil || n < 12 {
		return -1, false
	}
	return time.Since(began), buf[7] > 0
}
