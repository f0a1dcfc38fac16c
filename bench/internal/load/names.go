package load

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// Types that questions have.
const (
	TypeA   = 1
	TypeTXT = 16
)

// Zone is a list's zone in wire form, with its root.
type Zone []byte

// NewZone returns the zone of that name, which must be proper.
func NewZone(name string) Zone {
	var z Zone
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		z = append(append(z, byte(len(label))), label...)
	}
	return append(z, 0)
}

// Append appends the query for an address in z, with RD set and without EDNS,
// as mail servers' stub resolvers ask.
func (z Zone) Append(buf []byte, id uint16, addr uint32, typ uint16) []byte {
	buf = append(buf, byte(id>>8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	for shift := 0; shift < 32; shift += 8 {
		switch b := byte(addr >> shift); {
		case b >= 100:
			buf = append(buf, 3, '0'+b/100, '0'+b/10%10, '0'+b%10)
		case b >= 10:
			buf = append(buf, 2, '0'+b/10, '0'+b%10)
		default:
			buf = append(buf, 1, '0'+b)
		}
	}
	buf = append(buf, z...)
	return append(buf, byte(typ>>8), byte(typ), 0, 1)
}

// Listed reports whether the list of the benchmark has an address: 30 % of
// all, by the first octet.
func Listed(addr uint32) bool { return addr>>24%10 < 3 }

// firsts is how many first octets occur: 1 to 223 less 127.
const firsts = 222

// Addr is the i-th address of a shuffled row of 3.7 thousand million different
// ones, none of them below 1.0.0.0, in 127.0.0.0/8, or from 224.0.0.0 on.
func Addr(i uint32) uint32 {
	first := 1 + i%firsts
	if first >= 127 {
		first++
	}
	// Multiplication by an odd number and shifted xor are bijections.
	low := i / firsts * 0x9e3779b1 & 0xffffff
	low ^= low >> 11
	low = low * 0x2c1b3c6d & 0xffffff
	return first<<24 | low ^ low>>13
}

// Question is the name asked about an address, in text.
func Question(addr uint32, zone string) string {
	b := binary.BigEndian.AppendUint32(nil, addr)
	return fmt.Sprintf("%d.%d.%d.%d.%s", b[3], b[2], b[1], b[0], zone)
}

// IP is addr as others know it.
func IP(addr uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, addr)))
}

// Row yields the addresses that a run asks about.
type Row struct {
	From, Len uint32 // of the endless row; Len 0: never the same twice
	at        uint32
}

// Next is the next address; with a length the row starts over at its end.
func (r *Row) Next() uint32 {
	i := r.at
	r.at++
	if r.Len > 0 {
		i %= r.Len
	}
	return Addr(r.From + i)
}
