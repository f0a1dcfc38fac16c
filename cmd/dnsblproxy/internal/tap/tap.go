// Package tap writes a query log for analysts: dnstap messages of the types
// CLIENT_QUERY and CLIENT_RESPONSE in Frame Streams, to a unix socket or to a
// file, as other name servers do and dnstap's tools read.
//
// It decides what becomes of messages that cannot be written as fast as they
// come: the queue is bounded, what does not fit is dropped and counted
// (dnsblproxy_dnstap_dropped_total), and nobody ever waits for the log. A
// reader that goes away is looked for again, with growing pauses. A log that
// cannot be written is a line in the ordinary log and no reason not to answer.
//
// A file that is there already is moved aside under the time of its last
// change, for a Frame Streams file cannot be continued; one that is renamed or
// removed while it is written (logrotate) is begun anew within seconds.
//
// Messages are those of the clients. What lists are asked is not in them, and
// so no key.
package tap

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options say where to write. One of Socket and File is set.
type Options struct {
	Socket, File string

	Identity, Version string // of this server, in every message

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Bounds.
const (
	queueSize = 8192 // messages, mostly of 100 to 300 octets

	// writeTime is how long the reader of a socket may keep us waiting before
	// it is taken for dead.
	writeTime = 5 * time.Second

	pauseFirst = time.Second
	pauseMost  = 30 * time.Second
)

// message is one DNS message on its way to the log.
type message struct {
	answer, tcp    bool
	client, server netip.AddrPort
	at             time.Time
	wire           []byte
}

// Writer takes messages. Query and Answer may be called by many goroutines.
type Writer struct {
	o       Options
	queue   chan *message
	free    sync.Pool // of *message
	dropped prometheus.Counter
	lost    atomic.Uint64 // dropped since the last line about it
}

// New returns a Writer that writes once Run is called.
func New(o Options) *Writer {
	w := &Writer{
		o: o, queue: make(chan *message, queueSize),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dnsblproxy_dnstap_dropped_total",
			Help: "Messages that the query log has lost, because it could not be written as fast as they came.",
		}),
	}
	w.free.New = func() any { return new(message) }
	o.Registerer.MustRegister(w.dropped)
	return w
}

// Query logs what a client asks.
func (w *Writer) Query(wire []byte, client, server netip.AddrPort, tcp bool) {
	w.put(wire, client, server, tcp, false)
}

// Answer logs what a client is answered.
func (w *Writer) Answer(wire []byte, client, server netip.AddrPort, tcp bool) {
	w.put(wire, client, server, tcp, true)
}

func (w *Writer) put(wire []byte, client, server netip.AddrPort, tcp, answer bool) {
	m := w.free.Get().(*message)
	m.answer, m.tcp, m.client, m.server, m.at = answer, tcp, client, server, time.Now()
	m.wire = append(m.wire[:0], wire...)
	select {
	case w.queue <- m:
	default:
		w.free.Put(m)
		w.drop(1)
	}
}

func (w *Writer) drop(n uint64) {
	w.dropped.Add(float64(n))
	w.lost.Add(n)
}

// Run writes until ctx is done, and then what is queued still. A log that
// cannot be opened is tried again for as long, and told of once.
func (w *Writer) Run(ctx context.Context) {
	pause, told := pauseFirst, ""
	to := slog.String("to", cmp.Or(w.o.Socket, w.o.File))
	for tried := false; !tried || ctx.Err() == nil; tried = true {
		out, err := w.open(ctx)
		if err == nil {
			told = ""
			w.o.Log.Info("query log opened", to)
			opened := time.Now()
			if err = w.pump(ctx, out); time.Since(opened) > pauseMost {
				pause = pauseFirst // else its reader comes and goes
			}
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if why := err.Error(); why != told {
			told = why
			w.o.Log.Warn("query log not written; it is tried again", to, slog.Any("error", err),
				slog.Uint64("dropped", w.lost.Swap(0)))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, pauseMost)
	}
}

// pump writes messages to out until ctx is done, out fails, or, with a nil
// error, out is to be opened anew.
func (w *Writer) pump(ctx context.Context, out *output) error {
	defer out.close()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case m := <-w.queue:
			if err := w.write(out, m); err != nil {
				return err
			}
		case <-tick.C:
			if n := w.lost.Swap(0); n > 0 {
				w.o.Log.Warn("query log incomplete", slog.Uint64("dropped", n))
			}
			if out.moved() {
				return nil
			}
		case <-ctx.Done():
			return w.drain(out)
		}
	}
}

// write writes one message, and what is buffered when no more are waiting.
func (w *Writer) write(out *output, m *message) error {
	err := out.write(m, &w.o)
	w.free.Put(m)
	out.unsure++
	if err == nil && len(w.queue) == 0 {
		if err = out.stream.Flush(); err == nil {
			out.unsure = 0
		}
	}
	if err != nil {
		w.drop(out.unsure)
	}
	return err
}

// drain writes what is queued at the end.
func (w *Writer) drain(out *output) error {
	for {
		select {
		case m := <-w.queue:
			if err := w.write(out, m); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}
