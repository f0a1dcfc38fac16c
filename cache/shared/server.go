package shared

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/redis/rueidis"
)

// prepare turns off what a cache of small answers does not need, and has
// connections end with the Cache.
func (c *Cache) prepare(o *rueidis.ClientOption) {
	o.DisableCache = true // of the client
	o.DisableRetry = true // a question has no time for a second try
	// Otherwise one question that is given up ends the connection.
	o.AlwaysPipelining = true
	o.ConnWriteTimeout = patience
	o.Dialer.Timeout = patience
	dial := o.DialCtxFn // of a unix socket
	if dial == nil {
		dial = dialTCP
	}
	o.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
		conn, err := dial(ctx, addr, d, t)
		if err != nil {
			return nil, err
		}
		return &connection{Conn: conn, forget: context.AfterFunc(c.ctx, func() { conn.Close() })}, nil
	}
	if o.Sentinel.MasterSet != "" {
		bySentinels(o)
	}
}

func dialTCP(ctx context.Context, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
	if t == nil {
		return d.DialContext(ctx, "tcp", addr)
	}
	return (&tls.Dialer{NetDialer: d, Config: t}).DialContext(ctx, "tcp", addr)
}

// connection is closed when the Cache is, or when the server says what the
// client cannot bear.
type connection struct {
	net.Conn
	forget             func() bool
	questions, answers protocol
}

// Read implements net.Conn.
func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if bad := c.answers.follow(b[:n]); bad != nil {
		return 0, bad
	}
	if c.answers.whole.Load() > c.questions.whole.Load() {
		return 0, errProtocol
	}
	return n, err
}

// Write implements net.Conn.
func (c *connection) Write(b []byte) (int, error) {
	if err := c.questions.follow(b); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.forget()
	return c.Conn.Close()
}

// keep looks after the server: it is used while it answers, and looked at until
// it answers again. No question waits for that. One that comes and goes is back
// for the log once it has stayed for long.
func (c *Cache) keep(look func() error) {
	told, began := "", time.Time{}
	for c.ctx.Err() == nil {
		err := look()
		if err == nil {
			c.failures.Store(0)
			select {
			case <-c.fell: // of the time before
			default:
			}
			c.up.Store(true)
			gone, steady := time.Since(began), time.After(calm)
			for c.up.Load() {
				select {
				case <-steady:
					if told != "" {
						c.o.Log.Info("shared cache is back", slog.Duration("after", gone.Round(time.Second)))
					}
					told = ""
				case <-c.fell:
					c.up.Store(false)
				case <-c.ctx.Done():
					c.up.Store(false)
				}
			}
			continue
		}
		if told == "" {
			began = time.Now()
		}
		if why := reason(err); why != told && c.ctx.Err() == nil {
			told = why
			c.o.Log.Warn("shared cache fails; going on without it", slog.String("reason", why))
		}
		select {
		case <-time.After(pause):
		case <-c.ctx.Done():
		}
	}
}

// reason is an error without the ports, which differ each time.
func reason(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// look says whether the server answers questions in time.
func (c *Cache) look(option rueidis.ClientOption) error {
	if c.client.Load() == nil {
		client, err := rueidis.NewClient(option)
		if err != nil {
			return err
		}
		c.client.Store(&client)
	}
	// The first one may have to wait for a new connection.
	for _, most := range []time.Duration{patience, c.o.Timeout} {
		if err := c.try(most); err != nil {
			return err
		}
	}
	return nil
}

// try asks a question that nobody has, each time another, so that no one part
// of a cluster speaks for all. A PING would tell too little: it is answered to
// those who may not read, and by a replica without data.
func (c *Cache) try(most time.Duration) error {
	ctx, cancel := context.WithTimeout(c.ctx, most)
	defer cancel()
	client := *c.client.Load()
	return client.Do(ctx, c.reading(client, answers, []byte(rand.Text()))).Error()
}

// report counts how a request ended. Those under way while the server fell
// count for nothing afterwards.
func (c *Cache) report(err error) {
	switch {
	case err == nil:
		c.failures.Store(0)
	case c.ctx.Err() != nil: // we are leaving
	case c.failures.Add(1) >= maxFailures:
		select {
		case c.fell <- struct{}{}:
		default:
		}
	}
}

// written counts how a write ended. A server that is full, or a replica,
// refuses writes and answers questions all the same.
func (c *Cache) written(err error) {
	re, ok := rueidis.IsRedisErr(err)
	switch {
	case ok:
		c.o.Count(refused)
		c.resume.Store(int64(time.Since(c.began) + pause))
		if c.full.CompareAndSwap(false, true) {
			c.o.Log.Warn("shared cache refuses what it is given", slog.String("reply", re.Error()))
		}
	case err == nil && time.Since(c.began)-calm > time.Duration(c.resume.Load()) && c.full.CompareAndSwap(true, false):
		c.o.Log.Info("shared cache takes what it is given again")
	}
	if ok {
		err = nil
	}
	c.report(err)
}
