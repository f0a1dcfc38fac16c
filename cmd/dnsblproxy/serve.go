package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/cmd/dnsblproxy/internal/state"
	"dnsblproxy/resolver"
)

const serveLong = `serve answers DNS questions until SIGINT or SIGTERM, then answers what is in
flight and leaves.

SIGHUP reloads the configuration and every rule file. It is in force within
three seconds, nothing that was loaded is lost, and a broken file changes
nothing but a line in the log and a metric. Listeners, the admin address and
some other settings wait for a restart, and the log names those that do.`

func newServe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "run the proxy",
		Long:  serveLong,
		Args:  noArgs,
		RunE:  a.does(func(ctx context.Context, _ []string) error { return a.serve(ctx) }),
	}
}

func (a *app) serve(ctx context.Context) error {
	// From now on, for its default ends the process, and large files take a while.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	// A journal that is started anew closes the log. That would end the process
	// too, and systemd takes this signal for a clean end; so writing fails.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	own, err := inherited()
	if err != nil {
		return err
	}
	path, err := a.configPath()
	if err != nil {
		return err
	}
	o := loadOptions(a.lists)
	o.Inherited = own.addrs()
	c, err := config.Load(path, o)
	if err != nil {
		return err
	}
	// SIGINT and SIGTERM end the context; a second one ends the process. The
	// other commands have nothing to wind up: they die of the first.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	log, endLog := startLog(c, a.err)
	defer endLog()
	warn(log, c, a.lists)
	root := stateRoot(c)
	release, err := state.Dir(root).Claim()
	defer func() { _ = release() }() // as the end of the process would
	switch {
	case errors.Is(err, state.ErrTaken): // perhaps by the one whose place we take; no reason to answer nobody
		log.Warn("what one server keeps the other overwrites", slog.Any("error", err))
	case err != nil:
		log.Warn("nothing outlives a restart", slog.Any("error", err))
	}
	d, err := wire(c, a.lists, log, root)
	if err != nil {
		return err
	}
	defer d.close()
	adm := d.adminOptions()
	srv, err := d.listen(own)
	if err != nil {
		return err // before any feed was asked: systemd tries again every two seconds
	}
	d.start()
	defer d.startAside()()
	reach := slices.Concat(own.addrs(), c.Listen)
	return d.run(ctx, srv, adm, hup, reach)
}

// run serves until ctx is done or something breaks. hup asks for a reload; own
// are the addresses at which we are reached until the end.
func (d *proxy) run(ctx context.Context, srv *resolver.Server, adm *admin.Options, hup <-chan os.Signal, own []netip.AddrPort) error {
	var side sync.WaitGroup
	defer side.Wait()
	// What ends first ends the others.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	side.Go(func() { paceCollector(ctx) })
	if adm != nil {
		side.Go(func() { keepServing(ctx, d.log, func() error { return serveAdmin(ctx, *adm) }) })
	}
	d.waitForSources(ctx, firstLoad)
	d.ready.Store(true)
	side.Go(func() { d.reloads(ctx, hup, own) })
	side.Go(func() {
		if err := d.findLoops(d.cfg.Load()); err != nil {
			cancel(err)
			return
		}
		notify(d.log, d.readiness())
		watchdog(ctx, d.log)
	})
	c := d.cfg.Load()
	d.log.Info("serving", slog.Any("listen", srv.Addrs()), slog.Int("zones", len(c.Zones)),
		slog.Int("rules", len(c.Allow)+len(c.Deny)))
	err := srv.Serve(ctx, grace)
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	notify(d.log, daemon.SdNotifyStopping)
	return err
}

// keepServing calls serve until it ends well. An admin address that is taken, or
// not there yet, is tried again: it keeps no mail server from its lists, or from
// its only DNS.
func keepServing(ctx context.Context, log *slog.Logger, serve func() error) {
	for err := serve(); err != nil; err = serve() {
		log.Error("nobody answers at the admin address; it will be tried again", slog.Any("error", err), slog.Duration("after", adminPause))
		select {
		case <-ctx.Done():
			return
		case <-time.After(adminPause):
		}
	}
}

// adminPause is between two attempts: as long as the log may tell of them for ever.
const adminPause = time.Minute

func serveAdmin(ctx context.Context, o admin.Options) error {
	s, err := admin.Open(o)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// grace is how long questions in flight may take when the server stops: as
// long as the default deadline, and a moment.
const grace = 5 * time.Second

// waitForSources waits until every source was tried, but not longer than most
// after the start, or a moment.
func (d *proxy) waitForSources(ctx context.Context, most time.Duration) {
	const moment = 100 * time.Millisecond
	select {
	case <-d.rules.Ready():
	case <-time.After(max(moment, time.Until(d.started.Add(most)))):
		d.log.Warn("some sources are not loaded yet; going on without them")
	case <-ctx.Done():
	}
}

// reloads reads the configuration again for each signal, and follows resolv.conf,
// until ctx is done.
func (d *proxy) reloads(ctx context.Context, hup <-chan os.Signal, own []netip.AddrPort) {
	o := loadOptions(d.lists)
	o.Inherited = own
	var f follower
	look := time.NewTicker(followEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			d.follow(&f, o)
		case <-hup:
			notify(d.log, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec()) // the time is for Type=notify-reload: sd_notify(3)
			if err := d.reload(own); err != nil {
				d.log.Error("configuration not reloaded; the one before stays in force", slog.Any("error", err))
			} else {
				d.log.Info("configuration reloaded")
			}
			notify(d.log, d.readiness())
		}
	}
}
