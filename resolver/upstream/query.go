package upstream

import (
	"encoding/binary"
	"math/bits"

	"dnsblproxy/resolver/internal/wire"
)

// appendQuery appends header, question and OPT. The ID is filled in per try.
func appendQuery(buf []byte, q Question, recursion bool) (query []byte, qend int) {
	var rd byte
	if recursion {
		rd = 0x01
	}
	buf = append(buf, 0, 0, rd, 0, 0, 1, 0, 0, 0, 0, 0, 0) // one question
	buf = append(buf, q.Name...)
	buf = append(buf, byte(q.Type>>8), byte(q.Type), 0, wire.ClassIN)
	qend = len(buf)
	// RFC 6891, section 6.1.2.
	return append(buf, 0, 0, wire.TypeOPT, wire.MaxUDP>>8, wire.MaxUDP&0xff, 0, 0, 0, 0, 0, 0), qend
}

// randomCase gives each letter of a name in wire form a random case, eight
// octets at a time; length octets are below the letters and stay.
func randomCase(name []byte, rnd *entropy) {
	if len(name) < 8 {
		var eight [8]byte
		copy(eight[:], name)
		randomCase(eight[:], rnd)
		copy(name, eight[:])
		return
	}
	var random uint64
	last := len(name) - 8
	for i := 0; ; i += 8 {
		if i%64 == 0 {
			random = rnd.uint64()
		}
		// The last eight overlap those before and get their case anew.
		eight := name[min(i, last):]
		x := binary.LittleEndian.Uint64(eight)
		letters := wire.Letters(x)
		binary.LittleEndian.PutUint64(eight, x&^letters|random&letters)
		if i >= last {
			return
		}
		random = bits.RotateLeft64(random, 1) // none of its bits is used twice
	}
}

// questionEnd returns where the only question of a packet ends, or 0.
func questionEnd(pkt []byte) int {
	if len(pkt) < wire.HeaderLen || binary.BigEndian.Uint16(pkt[4:]) != 1 {
		return 0
	}
	name := wire.NameLen(pkt[wire.HeaderLen:])
	end := wire.HeaderLen + name + 4
	if name == 0 || end > len(pkt) {
		return 0
	}
	return end
}
