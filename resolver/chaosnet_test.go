package resolver

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/rbl"
)

// mood is how the chaos list behaves for a while.
type mood int

const (
	wellMood mood = iota
	silentMood
	slowMood
	servfailMood
	refusedMood
	errorCodeMood
	parkedMood
	worldMood // lists everything
	wrongIDMood
	wrongQuestionMood
	garbageMood
	truncateMood
	resetMood
	moods = iota
)

// chaosList is a list on a fake network. What it says of an address never
// changes; its mood does. Every TXT tells when it was given.
type chaosList struct {
	mu    sync.Mutex
	rnd   *rand.Rand
	mood  mood
	since time.Time
	zone  string // with the key
}

// chaosTTL is the TTL of its answers.
const chaosTTL = 120

// truth is what the list has about an address.
func truth(a netip.Addr) []rbl.Code {
	h := fnv.New32a()
	b := a.As4()
	h.Write(b[:])
	switch h.Sum32() >> 8 % 5 {
	case 0:
		return []rbl.Code{chaosFixed}
	case 1:
		return []rbl.Code{chaosRemovable}
	case 2:
		return []rbl.Code{chaosFixed, chaosRemovable}
	}
	return nil
}

const (
	chaosFixed     rbl.Code = 127<<24 | 2  // no exemption removes it
	chaosRemovable rbl.Code = 127<<24 | 10 // one does
)

func (l *chaosList) change(m mood) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mood, l.since = m, time.Now()
}

// now is the mood and for how long it has lasted.
func (l *chaosList) now() (mood, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mood, time.Since(l.since)
}

// answer is what goes back for a question, and after how long; nil: nothing.
func (l *chaosList) answer(pkt []byte, tcp bool) ([]byte, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := new(dns.Msg)
	if err := q.Unpack(pkt); err != nil {
		return nil, 0
	}
	m := new(dns.Msg).SetReply(q)
	delay := time.Millisecond
	switch l.mood {
	case silentMood:
		return nil, 0
	case slowMood:
		delay = time.Duration(300+l.rnd.IntN(1500)) * time.Millisecond
	case servfailMood:
		m.Rcode = dns.RcodeServerFailure
	case refusedMood:
		m.Rcode = dns.RcodeRefused
	case truncateMood:
		m.Truncated = !tcp
	}
	if m.Rcode == dns.RcodeSuccess && !m.Truncated {
		l.fill(m, q.Question[0])
	}
	switch l.mood {
	case wrongIDMood:
		m.Id++
	case wrongQuestionMood:
		m.Question[0].Name = "x." + m.Question[0].Name
	}
	out, err := m.Pack()
	if err != nil {
		return nil, 0
	}
	if l.mood == garbageMood {
		out = out[:l.rnd.IntN(len(out))]
	}
	return out, delay
}

// fill adds what the list says, or in its mood pretends.
func (l *chaosList) fill(m *dns.Msg, q dns.Question) {
	var found []rbl.Code
	labels, _ := strings.CutSuffix(strings.ToLower(q.Name), l.zone+".")
	sub := rbl.ParseLabels(wireLabels(labels), rbl.HoldsIP4)
	switch {
	case l.mood == errorCodeMood:
		found = []rbl.Code{127<<24 | 255<<16 | 255<<8 | 254}
	case l.mood == parkedMood:
		found = []rbl.Code{198<<24 | 51<<16 | 100<<8 | 1}
	case l.mood == worldMood:
		found = []rbl.Code{chaosFixed}
	case sub.Test == rbl.TestListed:
		found = []rbl.Code{chaosFixed}
	case sub.Test == rbl.NotTest && sub.Shape == rbl.IP4 && !testNet(sub.Addr):
		found = truth(sub.Addr)
	}
	head := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: chaosTTL}
	for _, c := range found {
		switch q.Qtype {
		case dns.TypeA:
			m.Answer = append(m.Answer, &dns.A{Hdr: head, A: c.Addr().AsSlice()})
		case dns.TypeTXT:
			m.Answer = append(m.Answer, &dns.TXT{Hdr: head, Txt: []string{time.Now().Format(time.RFC3339) + " https://" + l.zone + "/"}})
		}
	}
	if len(found) == 0 {
		m.Rcode = dns.RcodeNameError
		m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: l.zone + ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: chaosTTL},
			Ns: "ns." + l.zone + ".", Mbox: "root." + l.zone + ".", Minttl: chaosTTL}}
	}
}

func testNet(a netip.Addr) bool {
	for _, p := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	return false
}

func wireLabels(text string) []byte {
	var out []byte
	for l := range strings.SplitSeq(strings.Trim(text, "."), ".") {
		out = append(append(out, byte(len(l))), l...)
	}
	return out
}

// DialUDP implements upstream.Network.
func (l *chaosList) DialUDP(netip.AddrPort) (net.Conn, error) {
	return &datagrams{list: l, in: make(chan []byte, 4096), gone: make(chan struct{}), moved: make(chan struct{}, 1)}, nil
}

// DialTCP implements upstream.Network.
func (l *chaosList) DialTCP(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	if m, _ := l.now(); m == silentMood {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ours, theirs := net.Pipe()
	go l.stream(theirs)
	return ours, nil
}

// stream answers the questions on one TCP connection.
func (l *chaosList) stream(c net.Conn) {
	defer c.Close()
	for {
		var head [2]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		pkt := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(c, pkt); err != nil {
			return
		}
		m, _ := l.now()
		out, delay := l.answer(pkt, true)
		if m == resetMood || out == nil {
			return
		}
		time.Sleep(delay) // of the bubble's clock
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return
		}
	}
}

// datagrams is a connected UDP socket of the fake network.
type datagrams struct {
	net.Conn // nil: what is not defined here is not used
	list     *chaosList
	in       chan []byte
	gone     chan struct{}
	once     sync.Once

	mu       sync.Mutex
	deadline time.Time
	moved    chan struct{}
}

func (d *datagrams) Write(pkt []byte) (int, error) {
	if out, delay := d.list.answer(bytes.Clone(pkt), false); out != nil {
		time.AfterFunc(delay, func() {
			select {
			case d.in <- out:
			default:
			}
		})
	}
	return len(pkt), nil
}

func (d *datagrams) Read(b []byte) (int, error) {
	for {
		d.mu.Lock()
		deadline := d.deadline
		d.mu.Unlock()
		var late <-chan time.Time
		if !deadline.IsZero() {
			t := time.NewTimer(time.Until(deadline))
			defer t.Stop()
			late = t.C
		}
		select {
		case p := <-d.in:
			return copy(b, p), nil
		case <-d.gone:
			return 0, net.ErrClosed
		case <-late:
			return 0, os.ErrDeadlineExceeded
		case <-d.moved:
		}
	}
}

func (d *datagrams) SetReadDeadline(at time.Time) error {
	d.mu.Lock()
	d.deadline = at
	d.mu.Unlock()
	select {
	case d.moved <- struct{}{}:
	default:
	}
	return nil
}

func (d *datagrams) Close() error {
	d.once.Do(func() { close(d.gone) })
	return nil
}
