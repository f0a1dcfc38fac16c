package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells the service manager, if there is one.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("the service manager was not told", slog.String("state", state), slog.Any("error", err))
	}
}

// readiness tells the service manager that we serve, and "systemctl status" what:
// "systemctl reload" is content as soon as we are ready again.
func (d *proxy) readiness() string {
	c, note := d.cfg.Load(), ""
	if d.stale.Load() {
		note = "; the changed configuration is refused, see the log"
	}
	return fmt.Sprintf("%s\nSTATUS=zones served: %d, rules: %d%s", daemon.SdNotifyReady, len(c.Zones), len(c.Allow)+len(c.Deny), note)
}

// watchdog tells the service manager that we live, at half the pace that it
// asked for, until ctx is done.
func watchdog(ctx context.Context, log *slog.Logger) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return
	}
	t := time.NewTicker(every / 2)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			notify(log, daemon.SdNotifyWatchdog)
		}
	}
}
