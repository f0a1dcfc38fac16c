package main

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dnsblproxy/resolver"
)

// TestFindLoops_together searches many times at once for a circle that is there:
// a list that is this proxy. Each search finds it.
func TestFindLoops_together(t *testing.T) {
	var d atomic.Pointer[proxy]
	sc := resolver.NewScratch(0)
	via := fakeList(t, func(question []byte) []byte {
		out, _ := d.Load().resolver.Respond(sc, question, netip.MustParseAddr("127.0.0.1"), false)
		return out
	})
	p, _ := adminOf(t, "[admin]\nlisten = \"\"\n[resolver]\nservers = [\"127.0.0.1:1\"]\n[zone.\"bl.example\"]\nprobe = false\nvia = [\""+via+"\"]\n")
	d.Store(p)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for began := time.Now(); p.findLoops(p.cfg.Load()) == nil; began = time.Now() {
				if time.Since(began) < loopPatience { // else the machine stood still
					t.Error("a search found no circle")
					return
				}
			}
		})
	}
	wg.Wait()
}
