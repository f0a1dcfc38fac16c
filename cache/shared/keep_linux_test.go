package shared

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestCache_keep has a server that comes and goes: the log tells of it once, and
// that it is back once it has stayed.
func TestCache_keep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		c := &Cache{o: Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, fell: make(chan struct{}, 1)}
		c.ctx, c.stop = context.WithCancel(t.Context())
		defer synctest.Wait()
		defer c.stop()
		var down atomic.Bool
		go c.keep(func() error {
			if down.Load() {
				return errors.New("slow")
			}
			return nil
		})
		synctest.Wait()
		for range 100 { // it fails for some looks, and serves a while
			down.Store(true)
			for range maxFailures {
				c.report(errors.New("late"))
			}
			time.Sleep(5 * pause / 2)
			synctest.Wait()
			if c.up.Load() {
				t.Fatal("a server that fails is used")
			}
			down.Store(false)
			time.Sleep(7 * pause / 2)
			synctest.Wait()
			if !c.up.Load() {
				t.Fatal("a server that is back is not used")
			}
		}
		time.Sleep(2 * calm)
		synctest.Wait()
		fails, back := strings.Count(log.String(), "going on without it"), strings.Count(log.String(), "is back")
		if want := fmt.Sprintf("after=%s", (99*6+3)*pause); fails != 1 || back != 1 || !strings.Contains(log.String(), want) {
			t.Errorf("it says %d times that the server fails, and %d times that it is back; want one each, and %s:\n%s", fails, back, want, log.String())
		}
	})
}
