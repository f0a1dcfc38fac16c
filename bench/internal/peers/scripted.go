package peers

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Scripted is a list that does as it is told: it counts its questions, answers
// late, or not at all.
type Scripted struct {
	Addr netip.AddrPort

	asked  atomic.Int64
	silent atomic.Bool
	delay  atomic.Int64 // nanoseconds
	given  atomic.Pointer[time.Time]
	lists  func(addr uint32) bool

	conn *net.UDPConn
	wait sync.WaitGroup
}

// NewScripted starts a list that has the addresses of which lists says so.
func NewScripted(lists func(addr uint32) bool) (*Scripted, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("starting a scripted list: %w", err)
	}
	s := &Scripted{Addr: c.LocalAddr().(*net.UDPAddr).AddrPort(), lists: lists, conn: c}
	s.wait.Go(s.serve)
	return s, nil
}

// Asked is the number of questions so far.
func (s *Scripted) Asked() int { return int(s.asked.Load()) }

// Silence has the list answer nothing from now on, or again.
func (s *Scripted) Silence(yes bool) { s.silent.Store(yes) }

// Delay has each answer wait for d.
func (s *Scripted) Delay(d time.Duration) {
	s.delay.Store(int64(d))
	s.given.Store(nil)
}

// Answered is when the first answer since the last call of Delay was sent, the
// zero time before that.
func (s *Scripted) Answered() time.Time {
	if at := s.given.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Close ends it.
func (s *Scripted) Close() {
	_ = s.conn.Close()
	s.wait.Wait()
}

func (s *Scripted) serve() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		s.asked.Add(1)
		out := reply(buf[:n], s.lists)
		if out == nil || s.silent.Load() {
			continue
		}
		send := func() {
			now := time.Now()
			s.given.CompareAndSwap(nil, &now)
			_, _ = s.conn.WriteToUDPAddrPort(out, from)
		}
		if d := time.Duration(s.delay.Load()); d > 0 {
			s.wait.Add(1)
			time.AfterFunc(d, func() { defer s.wait.Done(); send() })
			continue
		}
		send()
	}
}

// soa is the RDATA behind MNAME and RNAME: serial, timers, MINIMUM 3600 s.
const soa = "\x00\x00\x00\x01\x00\x00\x0e\x10\x00\x00\x02\x58\x00\x01\x51\x80\x00\x00\x0e\x10"

// reply is the list's answer to a query about an IPv4 address; nil for what is
// no query. Of names with less than four labels in front of those of the zone
// it says that they exist and own nothing.
func reply(pkt []byte, lists func(uint32) bool) []byte {
	if len(pkt) < 17 || pkt[2]&0x80 != 0 {
		return nil
	}
	var octets [4]uint32
	digits, labels, end := 0, 0, 12
	for end < len(pkt) && pkt[end] != 0 {
		l := int(pkt[end])
		if end+1+l > len(pkt) {
			return nil
		}
		if v, ok := octet(pkt[end+1 : end+1+l]); ok && labels == digits && labels < 4 {
			octets[labels] = v
			digits++
		}
		labels++
		end += 1 + l
	}
	if end += 5; end > len(pkt) {
		return nil
	}
	typ := binary.BigEndian.Uint16(pkt[end-4:])
	addr := octets[3]<<24 | octets[2]<<16 | octets[1]<<8 | octets[0]
	out := append([]byte(nil), pkt[:end]...)
	copy(out[2:], "\x84\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	out[2] |= pkt[2] & 1
	listed := digits == 4 && lists(addr)
	switch {
	case listed && typ == 1:
		out[7] = 1
		return append(out, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\x7f\x00\x00\x02"...)
	case listed && typ == 16:
		out[7] = 1
		return append(out, "\xc0\x0c\x00\x10\x00\x01\x00\x00\x0e\x10\x00\x07\x06listed"...)
	case digits == 4 && !listed:
		out[3] = 3
	}
	out[9] = 1
	cut := 12
	for range digits {
		cut += 1 + int(pkt[cut])
	}
	out = append(out, 0xc0, byte(cut), 0, 6, 0, 1, 0, 0, 0x0e, 0x10, 0, 22)
	return append(append(out, 0, 0), soa...)
}

// octet reads a label of one to three digits.
func octet(label []byte) (uint32, bool) {
	v := uint32(0)
	for _, c := range label {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint32(c-'0')
	}
	return v, len(label) > 0 && len(label) <= 3 && v < 256
}
