// Package shared is a second level under the in-process cache, for sites with
// several mail servers: what one proxy has asked a list, the others need not
// ask again. It is a Redis or Valkey server, single, behind Sentinel or a
// cluster, as its URL says.
//
//	c, err := shared.Open(shared.Options{URL: "redis://127.0.0.1:6379/0", Secret: secret})
//	c.Set(question, answer, 300)
//	asked := c.Get(question, func(answer string, life uint32, ok bool) { ... })
//
// It must never become a way in, nor a way to stand still:
//
//   - Every value carries a MAC, with a secret that only the proxies have, over
//     the question, the answer and the moment at which it expires. Whoever can
//     write to the server can make proxies forget, and nothing else.
//   - Keys are MACs too: neither a list's key nor who was asked about can be
//     read off the server. What an answer says can.
//   - A question waits for Timeout at most. A server that is slow or down is
//     left alone, and the proxy goes on as without it, until the server has
//     answered a question that nobody waits for. One that is full still answers.
//
// The package does not know what an answer is; whoever gets one judges it as
// if the list had sent it. Beside answers it carries warnings: one proxy says
// that a list lies, and the others look for themselves.
package shared

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// Options say where the server is and how long a question may wait for it.
// URL and Secret are required.
type Options struct {
	// URL is redis://, or rediss:// for TLS, with USER:PASSWORD@ where the
	// server wants it and /DB at the end; or unix://PATH?db=DB. A cluster is
	// found by one of its nodes; more are named as ?addr=HOST:PORT&addr=...
	// With ?master_set=NAME the hosts are Sentinels, which are asked without
	// a password; the one in the URL is the server's.
	URL    string
	Secret string // authenticates keys and values

	Timeout time.Duration // of one question; default 20 ms
	Log     *slog.Logger  // nil: no log

	// Count, if not nil, is told how each question ended: hit, miss, invalid
	// (not ours, or damaged) or error; and of writes only that they were
	// refused, by a full server.
	Count func(result string)
}

// Cache is a connection to the server, made when it can be made. Its methods
// are safe for concurrent use.
type Cache struct {
	o      Options
	id     string   // of this process, in its warnings
	untold sync.Map // of name: the last warning, if the server has not taken it
	began  time.Time
	client atomic.Pointer[rueidis.Client]
	places chan struct{} // one for each request under way

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup
	mu   sync.RWMutex // nothing enters once ctx has ended

	up       atomic.Bool   // requests are made
	failures atomic.Int32  // in a row
	fell     chan struct{} // there were too many
	full     atomic.Bool   // logged as refusing writes
	resume   atomic.Int64  // nanoseconds since it began, until which nothing is written
}

const (
	maxRequests = 512         // under way at a time; more are not made
	maxFailures = 3           // in a row, before the server is left alone
	pause       = time.Second // between looks at a server that fails, and between writes that are refused
	patience    = time.Second // of what nobody waits for: connecting, a write, a look
	calm        = time.Minute // without a failure or a refused write, until the log says so: a full server takes some as keys expire
)

// How a request ended.
const (
	hit     = "hit"
	miss    = "miss"
	invalid = "invalid"
	failed  = "error"
	refused = "refused"
)

// ErrSecret says that there is no secret.
var ErrSecret = errors.New("shared cache: a secret is required, or whoever reaches the server decides what is listed")

// Open starts to connect and returns at once. Its error is about the options
// only: a server that is down is tried again and again.
func Open(o Options) (*Cache, error) {
	if o.Secret == "" {
		return nil, ErrSecret
	}
	option, err := parseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("shared cache: %w", err)
	}
	if o.Timeout <= 0 {
		o.Timeout = 20 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Count == nil {
		o.Count = func(string) {}
	}
	c := &Cache{o: o, id: rand.Text(), began: time.Now(), places: make(chan struct{}, maxRequests), fell: make(chan struct{}, 1)}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.prepare(&option)
	c.wg.Go(func() { c.keep(func() error { return c.look(option) }) })
	return c, nil
}

// CheckURL says what is wrong with a URL, without connecting.
func CheckURL(text string) error {
	_, err := parseURL(text)
	return err
}

// parseURL repeats nothing of a URL that may hold a password.
func parseURL(text string) (rueidis.ClientOption, error) {
	option, err := rueidis.ParseURL(text)
	var whole *url.Error
	switch {
	case errors.As(err, &whole):
		err = errors.New("the URL cannot be read")
	case err != nil:
		what, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "redis: "), ":") // what follows may be of the password
		err = errors.New(what)
	case len(option.InitAddress) == 0 || option.InitAddress[0] == "":
		err = errors.New("the URL names no server")
	}
	return option, err
}

// Close ends requests under way and the connection.
func (c *Cache) Close() {
	c.mu.Lock()
	c.stop()
	c.mu.Unlock()
	c.wg.Wait()
	if client := c.client.Load(); client != nil {
		(*client).Close()
	}
}

// Get looks for the answer to a question and calls done once, from another
// goroutine, at the latest after Timeout: life is how many seconds the answer
// is still good for. When there is no use in asking, Get returns false and
// done is not called.
func (c *Cache) Get(question []byte, done func(data string, life uint32, ok bool)) bool {
	client, ok := c.enter()
	if !ok {
		c.o.Count(failed)
		return false
	}
	var once sync.Once
	end := func(result, data string, life uint32) {
		once.Do(func() {
			c.o.Count(result)
			done(data, life, result == hit)
		})
	}
	// The client bounds a request by its context, but not the wait for a
	// connection that another request is making.
	late := time.AfterFunc(c.o.Timeout, func() { end(failed, "", 0) })
	question = append([]byte(nil), question...)
	go func() {
		defer c.leave()
		data, life, result := c.fetch(client, question)
		late.Stop()
		end(result, data, life)
	}()
	return true
}

// fetch asks the server.
func (c *Cache) fetch(client rueidis.Client, question []byte) (data string, life uint32, result string) {
	ctx, cancel := context.WithTimeout(c.ctx, c.o.Timeout)
	defer cancel()
	value, result := c.read(client.Do(ctx, c.reading(client, answers, question)))
	if result != hit {
		return "", 0, result
	}
	return c.open(answers, question, value, time.Now())
}

// reading is the command for a value. It fetches no more than a value can
// have, whatever somebody has put there.
func (c *Cache) reading(client rueidis.Client, p purpose, question []byte) rueidis.Completed {
	return client.B().Getrange().Key(c.key(p, question)).Start(0).End(maxValue).Build()
}

// read judges the reply to reading.
func (c *Cache) read(r rueidis.RedisResult) (value []byte, result string) {
	value, err := r.AsBytes()
	if re, ok := rueidis.IsRedisErr(err); ok && re.IsNil() {
		err = nil
	} else if ok && strings.HasPrefix(re.Error(), "WRONGTYPE") { // somebody has made a list or a hash of it
		c.report(nil)
		return nil, invalid
	}
	c.report(err)
	switch {
	case err != nil:
		return nil, failed
	case len(value) == 0:
		return nil, miss
	}
	return value, hit
}

// Set hands an answer to the others, for life seconds. Nobody waits for it.
func (c *Cache) Set(question []byte, data string, life uint32) {
	c.write(answers, question, data, life, func() {})
}

// write calls taken once the server has the value; it may never do so.
func (c *Cache) write(p purpose, question []byte, data string, life uint32, taken func()) {
	if life == 0 || life > maxLife || len(data) > maxData || int64(time.Since(c.began)) < c.resume.Load() {
		return
	}
	client, ok := c.enter()
	if !ok {
		return
	}
	question = append([]byte(nil), question...)
	go func() {
		defer c.leave()
		ctx, cancel := context.WithTimeout(c.ctx, patience)
		defer cancel()
		value := c.seal(p, question, data, time.Now().Add(time.Duration(life)*time.Second))
		cmd := client.B().Set().Key(c.key(p, question)).Value(rueidis.BinaryString(value)).ExSeconds(int64(life)).Build()
		err := client.Do(ctx, cmd).Error()
		c.written(err)
		if err == nil {
			taken()
		}
	}()
}

// enter takes a place for a request, unless the server is to be left alone.
// Close waits until it is given back.
func (c *Cache) enter() (rueidis.Client, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.up.Load() || c.ctx.Err() != nil {
		return nil, false
	}
	select {
	case c.places <- struct{}{}:
		c.wg.Add(1)
		return *c.client.Load(), true
	default:
		return nil, false
	}
}

// leave gives the place of enter back.
func (c *Cache) leave() {
	<-c.places
	c.wg.Done()
}
