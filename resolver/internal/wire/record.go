package wire

import (
	"encoding/binary"
	"iter"
)

// maxJumps bounds the compression pointers followed for one name.
const maxJumps = 64

// record is one resource record by its offsets in the message.
type record struct {
	owner     int // where the owner name starts
	data, end int // RDATA is pkt[data:end]
	typ       uint16
	class     uint16
	ttl       uint32 // seconds; the highest bit is no sign: RFC 8767, section 4
}

// readRecord reads the record at off; the next one starts at its end.
func readRecord(pkt []byte, off int) (r record, ok bool) {
	r.owner = off
	if off, ok = passName(pkt, off); !ok || off+10 > len(pkt) {
		return r, false
	}
	head := pkt[off : off+10]
	r.typ = binary.BigEndian.Uint16(head)
	r.class = binary.BigEndian.Uint16(head[2:])
	r.ttl = binary.BigEndian.Uint32(head[4:])
	r.data = off + 10
	r.end = r.data + int(binary.BigEndian.Uint16(head[8:]))
	return r, r.end <= len(pkt)
}

// records yields the n records from off on, as far as they are whole; survey has
// found that they all are.
func records(pkt []byte, off, n int) iter.Seq[record] {
	return func(yield func(record) bool) {
		for range n {
			r, ok := readRecord(pkt, off)
			if !ok || !yield(r) {
				return
			}
			off = r.end
		}
	}
}

// passName returns the offset behind the name at off, its pointer not
// followed.
func passName(pkt []byte, off int) (next int, ok bool) {
	for off < len(pkt) {
		switch l := int(pkt[off]); {
		case l == 0:
			return off + 1, true
		case l <= MaxLabel:
			off += 1 + l
		case l >= 0xc0:
			return off + 2, off+2 <= len(pkt)
		default:
			return 0, false
		}
	}
	return 0, false
}

// appendName appends the name at off, uncompressed and in the case of the
// message, and returns the offset behind it. Every pointer must lead to an
// earlier place than the name's part it stands in, so that none can loop: RFC
// 9267, section 2.
func appendName(dst, pkt []byte, off int) (name []byte, next int, ok bool) {
	room := MaxName
	for part, jumps := off, 0; ; jumps++ {
		// The labels up to the root or a pointer are copied as one.
		most := min(len(pkt), off+room)
		for off < most && 0 < pkt[off] && pkt[off] <= MaxLabel {
			off += 1 + int(pkt[off])
		}
		if off >= most {
			return dst, 0, false
		}
		if pkt[off] == 0 {
			if jumps == 0 {
				next = off + 1
			}
			return append(dst, pkt[part:off+1]...), next, true
		}
		if pkt[off] < 0xc0 || off+2 > len(pkt) || jumps == maxJumps {
			return dst, 0, false
		}
		to := int(binary.BigEndian.Uint16(pkt[off:]) & 0x3fff)
		if to >= part || to < HeaderLen {
			return dst, 0, false
		}
		if jumps == 0 {
			next = off + 2
		}
		dst = append(dst, pkt[part:off]...)
		room -= off - part
		off, part = to, to
	}
}
