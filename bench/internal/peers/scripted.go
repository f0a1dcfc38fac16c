package peers

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
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
	lists  answers
	given  atomic.Pointer[time.Time]

	conn *net.UDPConn
	wait sync.WaitGroup
}

// answers says whether a list has an address, and for how many seconds that is
// so. zone is the label behind the address, in lower case.
type answers func(zone string, addr uint32) (listed bool, ttl uint32)

// hour is the list of lists for an hour.
func hour(lists func(addr uint32) bool) answers {
	return func(_ string, addr uint32) (bool, uint32) { return lists(addr), 3600 }
}

// NewScripted starts a list that has the addresses of which lists says so.
func NewScripted(lists func(addr uint32) bool) (*Scripted, error) { return NewLists(hour(lists)) }

// NewLists starts a server for several lists.
func NewLists(lists func(zone string, addr uint32) (listed bool, ttl uint32)) (*Scripted, error) {
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

// soa is the RDATA behind MNAME and RNAME: serial and timers, without MINIMUM.
const soa = "\x00\x00\x00\x01\x00\x00\x0e\x10\x00\x00\x02\x58\x00\x01\x51\x80"

// reply is the list's answer to a query about an IPv4 address; nil for what is
// no query. Of names with less than four labels in front of those of the zone
// it says that they exist and own nothing.
func reply(pkt []byte, lists answers) []byte {
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
	cut := 12
	for range digits {
		cut += 1 + int(pkt[cut])
	}
	// Case is the asker's play (0x20).
	zone := strings.ToLower(string(pkt[min(cut+1, end):min(cut+1+int(pkt[cut]), end)]))
	listed, ttl := lists(zone, addr)
	listed = listed && digits == 4
	life := binary.BigEndian.AppendUint32(nil, ttl)
	record := func(name, typ byte, data string) []byte {
		out = append(append(out, 0xc0, name, 0, typ, 0, 1), life...)
		return append(append(out, 0, byte(len(data))), data...)
	}
	switch {
	case listed && typ == 1:
		out[7] = 1
		return record(12, 1, "\x7f\x00\x00\x02")
	case listed && typ == 16:
		out[7] = 1
		return record(12, 16, "\x06listed")
	case digits == 4 && !listed:
		out[3] = 3
	}
	out[9] = 1
	return record(byte(cut), 6, "\x00\x00"+soa+string(life))
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
