package upstream

import (
	"encoding/binary"

	"dnsblproxy/resolver/internal/wire"
)

const (
	optLen = 11
	// payload is the size of UDP answers we ask for: what fits unfragmented
	// through IPv6's least MTU.
	payload = 1232
)

// opt is the OPT record sent: RFC 6891, section 6.1.2.
var opt = [optLen]byte{0, 0, 41, payload >> 8, payload & 0xff}

// appendQuery appends header, question and OPT. The ID is filled in per try.
func appendQuery(buf []byte, q Question, recursion bool) (query []byte, qend int) {
	var head [wire.HeaderLen]byte
	if recursion {
		head[2] = 0x01 // RD
	}
	head[5] = 1 // one question
	buf = append(buf, head[:]...)
	buf = append(buf, q.Name...)
	buf = binary.BigEndian.AppendUint16(buf, q.Type)
	buf = append(buf, 0, 1) // class IN
	qend = len(buf)
	return append(buf, opt[:]...), qend
}

// randomCase gives each letter of a name in wire form a random case; length
// octets are below the letters and stay.
func randomCase(name []byte, rnd *entropy) {
	var bits uint64
	left := 0
	for i, c := range name {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			continue
		}
		if left == 0 {
			bits, left = rnd.uint64(), 64
		}
		name[i] = c&^0x20 | byte(bits&1)<<5
		bits >>= 1
		left--
	}
}

// questionEnd returns where the only question of a packet ends, or 0.
func questionEnd(pkt []byte) int {
	if len(pkt) < wire.HeaderLen || binary.BigEndian.Uint16(pkt[4:]) != 1 {
		return 0
	}
	off := wire.HeaderLen
	for off < len(pkt) && pkt[off] != 0 {
		if pkt[off] > wire.MaxLabel {
			return 0
		}
		off += 1 + int(pkt[off])
	}
	if off += 5; off > len(pkt) || off-4-wire.HeaderLen > wire.MaxName {
		return 0
	}
	return off
}
