package main

import (
	"context"
	"errors"

	"dnsblproxy/bench/internal/load"
	"dnsblproxy/bench/internal/peers"
)

// cores compares a proxy that may use two processors with one that has one, in
// turns. The generator needs a processor, too, and where there are but two it
// takes the second server's: what is compared is processor time per answer,
// which would grow if the readers stood in each other's way.
func (b *bench) cores(ctx context.Context) (err error) {
	if b.server == b.own {
		return nil
	}
	list, err := peers.NewScripted(load.Listed)
	if err != nil {
		return err
	}
	defer list.Close()
	var up []*contender
	defer func() {
		for _, c := range up {
			err = errors.Join(err, c.Stop())
		}
	}()
	for _, processors := range [][]int{{b.server}, {b.server, b.own}} {
		set := peers.Settings{Zone: zone, List: list.Addr, CacheMB: 64, CacheEntries: 100_000, Processors: processors}
		s, err := peers.ProxyKind(b.o.proxy).Start(set)
		if err != nil {
			return err
		}
		up = append(up, &contender{Server: s, caches: true})
		if err := b.warm(ctx, up[len(up)-1]); err != nil {
			return err
		}
	}
	// Many clients, so that the kernel deals them out evenly.
	way := window{ask: load.Options{Clients: 64, Outstanding: 2}}
	var figures [2][]Figure
	var scaling []float64
	for range b.o.rounds {
		for i, c := range up {
			f, err := b.measure(ctx, c, way)
			if err != nil {
				return err
			}
			figures[i] = append(figures[i], f)
		}
		last := len(scaling)
		scaling = append(scaling, 2*figures[0][last].CPU/figures[1][last].CPU)
	}
	b.res.Cores = &Cores{One: medianFigure(figures[0]), Two: medianFigure(figures[1]), Scaling: median(scaling)}
	return nil
}
