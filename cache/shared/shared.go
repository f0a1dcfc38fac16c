// Package shared is a second level under the in-process cache, for sites with
// several mail servers: what one proxy has asked a list, the others need not
// ask again. It is a Redis or Valkey server, single, behind Sentinel or a
// cluster, as its URL says.
//
// It must never become a way in, nor a way to stand still:
//
//   - Every value carries a MAC, with a secret that only the proxies have, over
//     the question, the answer and the moment at which it expires. Whoever can
//     write to the server can make proxies forget, and nothing else.
//   - Keys are MACs too: neither a list's key nor who was asked about can be
//     read off the server.
//   - A question waits for Timeout at most. A server that is slow, full or
//     down is left alone for a moment, and the proxy goes on as without it.
//
// The package does not know what an answer is; whoever gets one judges it as
// if the list had sent it.
package shared

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// Options say where the server is and how long a question may wait for it.
type Options struct {
	URL     string        // redis://, rediss:// or unix://, as rueidis.ParseURL reads it
	Secret  string        // required: authenticates keys and values
	Timeout time.Duration // of one question
	Log     *slog.Logger  // nil: no log

	// Count, if not nil, is told how each request ended: hit, miss, invalid
	// (not ours, or damaged) or error.
	Count func(result string)
}

// Cache is a connection to the server, made when it can be made. Its methods
// are safe for concurrent use.
type Cache struct {
	o      Options
	client atomic.Pointer[rueidis.Client]
	places chan struct{} // one for each request under way

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	failures atomic.Int32 // in a row
	resume   atomic.Int64 // Unix nanoseconds until which nothing is asked
	down     atomic.Bool  // logged as failing
}

const (
	maxRequests = 1024             // under way at a time; more are not made
	maxFailures = 3                // in a row, before the server is left alone
	pause       = time.Second      // for so long
	redial      = 2 * time.Second  // between attempts to connect
	setTimeout  = time.Second      // of a write, which nobody waits for
	keyPrefix   = "dnsblproxy:v1:" // a new format gets a new prefix
)

// ErrSecret says that there is no secret.
var ErrSecret = errors.New("shared cache: a secret is required, or whoever reaches the server decides what is listed")

// Open starts to connect and returns at once. Its error is about the options
// only: a server that is down is tried again and again.
func Open(o Options) (*Cache, error) {
	if o.Secret == "" {
		return nil, ErrSecret
	}
	option, err := rueidis.ParseURL(o.URL)
	if err != nil {
		return nil, errors.New("shared cache: the URL is none; write it like redis://127.0.0.1:6379/0")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Count == nil {
		o.Count = func(string) {}
	}
	option.DisableCache = true // there is no client-side caching to be done
	option.DisableRetry = true // a question has no time for a second try
	option.ConnWriteTimeout = max(o.Timeout, 100*time.Millisecond)
	c := &Cache{o: o, places: make(chan struct{}, maxRequests)}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.wg.Go(func() { c.connect(option) })
	return c, nil
}

// connect makes the client, which then keeps its connections by itself.
func (c *Cache) connect(option rueidis.ClientOption) {
	for {
		client, err := rueidis.NewClient(option)
		if err == nil {
			c.client.Store(&client)
			c.report(nil)
			return
		}
		c.report(err)
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(redial):
		}
	}
}

// Close ends requests under way and the connection.
func (c *Cache) Close() {
	c.stop()
	c.wg.Wait()
	if client := c.client.Load(); client != nil {
		(*client).Close()
	}
}

// Get looks for the answer to a question and calls done once, at the latest
// after Timeout: life is how many seconds it is still good for. When there is
// no use in asking, it returns false and done is not called.
func (c *Cache) Get(question []byte, done func(data string, life uint32, ok bool)) bool {
	client, ok := c.enter()
	if !ok {
		c.o.Count("error")
		return false
	}
	question = append([]byte(nil), question...)
	c.wg.Go(func() {
		defer func() { <-c.places }()
		ctx, cancel := context.WithTimeout(c.ctx, c.o.Timeout)
		defer cancel()
		value, err := client.Do(ctx, client.B().Get().Key(c.key(question)).Build()).AsBytes()
		if rueidis.IsRedisNil(err) {
			c.report(nil)
			c.o.Count("miss")
			done("", 0, false)
			return
		}
		c.report(err)
		if err != nil {
			c.o.Count("error")
			done("", 0, false)
			return
		}
		data, life, ok := c.open(question, value, time.Now())
		if ok {
			c.o.Count("hit")
		} else {
			c.o.Count("invalid")
		}
		done(data, life, ok)
	})
	return true
}

// Set hands an answer to the others. Nobody waits for it.
func (c *Cache) Set(question []byte, data string, life uint32) {
	client, ok := c.enter()
	if !ok {
		return
	}
	question = append([]byte(nil), question...)
	c.wg.Go(func() {
		defer func() { <-c.places }()
		ctx, cancel := context.WithTimeout(c.ctx, setTimeout)
		defer cancel()
		value := c.seal(question, data, time.Now().Add(time.Duration(life)*time.Second))
		cmd := client.B().Set().Key(c.key(question)).Value(rueidis.BinaryString(value)).ExSeconds(int64(life)).Build()
		c.report(client.Do(ctx, cmd).Error())
	})
}

// enter takes a place for a request, unless the server is to be left alone.
func (c *Cache) enter() (rueidis.Client, bool) {
	client := c.client.Load()
	if client == nil || time.Now().UnixNano() < c.resume.Load() || c.ctx.Err() != nil {
		return nil, false
	}
	select {
	case c.places <- struct{}{}:
		return *client, true
	default:
		return nil, false
	}
}

// report draws the conclusions from how a request ended.
func (c *Cache) report(err error) {
	switch {
	case err == nil:
		c.failures.Store(0)
		if c.down.CompareAndSwap(true, false) {
			c.o.Log.Info("shared cache is back")
		}
	case c.ctx.Err() != nil: // we are leaving
	case c.failures.Add(1) >= maxFailures || c.client.Load() == nil:
		c.resume.Store(time.Now().Add(pause).UnixNano())
		if c.down.CompareAndSwap(false, true) {
			c.o.Log.Warn("shared cache fails; going on without it", slog.Any("error", err))
		}
	}
}

// A value is: expiry in Unix seconds (8 octets), the data, a MAC (32 octets)
// over both and the question.
const (
	expiryLen = 8
	macLen    = sha256.Size
)

func (c *Cache) seal(question []byte, data string, expires time.Time) []byte {
	v := binary.BigEndian.AppendUint64(make([]byte, 0, expiryLen+len(data)+macLen), uint64(expires.Unix()))
	v = append(v, data...)
	return append(v, c.mac("value", question, v)...)
}

// open checks a value and returns what is left of its life.
func (c *Cache) open(question, v []byte, now time.Time) (data string, life uint32, ok bool) {
	if len(v) < expiryLen+macLen {
		return "", 0, false
	}
	body, mac := v[:len(v)-macLen], v[len(v)-macLen:]
	if !hmac.Equal(mac, c.mac("value", question, body)) {
		return "", 0, false
	}
	left := int64(binary.BigEndian.Uint64(body)) - now.Unix()
	if left <= 0 || left > maxLife {
		return "", 0, false
	}
	return string(body[expiryLen:]), uint32(left), true
}

// maxLife bounds what a value may claim, in seconds; clocks of two machines
// may differ, but not by that.
const maxLife = 7 * 24 * 3600

// key is the name of a question on the server.
func (c *Cache) key(question []byte) string {
	return keyPrefix + base64.RawURLEncoding.EncodeToString(c.mac("key", question, nil)[:18])
}

// mac authenticates two texts for one purpose. Lengths keep them apart.
func (c *Cache) mac(purpose string, question, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(c.o.Secret))
	fmt.Fprintf(h, "%s %d ", purpose, len(question))
	h.Write(question)
	h.Write(body)
	return h.Sum(nil)
}
