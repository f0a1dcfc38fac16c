package wire

import "encoding/binary"

// Lower turns the ASCII letters of n into lower case in place.
func (n Name) Lower() { lowerTo(n, n) }

// lowerTo copies src to dst, which is as long or longer or src itself, with
// the ASCII letters in lower case. The length octets of a name are below the
// letters and stay.
func lowerTo(dst, src []byte) {
	dst = dst[:len(src)]
	if len(src) < 8 {
		for i, c := range src {
			dst[i] = lower(c)
		}
		return
	}
	for i := 0; i <= len(src)-8; i += 8 {
		x := binary.LittleEndian.Uint64(src[i:])
		binary.LittleEndian.PutUint64(dst[i:], x|Letters(x))
	}
	// The last eight, some of them for the second time.
	x := binary.LittleEndian.Uint64(src[len(src)-8:])
	binary.LittleEndian.PutUint64(dst[len(dst)-8:], x|Letters(x))
}

// Letters returns 0x20, the bit that small letters have and capitals lack, in
// each of the eight octets of x that is an ASCII letter.
func Letters(x uint64) uint64 {
	const (
		ones = 0x0101010101010101
		high = 0x80 * ones
	)
	// In each octet the high bit of what is added to says: from 'A' on, and
	// beyond 'Z'. Just one of them is set for a letter, and in what is no
	// ASCII the high bit is set before.
	capital := x &^ (high | 0x20*ones)
	from, beyond := capital+(0x80-'A')*ones, capital+(0x80-'Z'-1)*ones
	return ((from ^ beyond) &^ x & high) >> 2
}

func lower(c byte) byte {
	if c-'A' < 26 {
		return c + 'a' - 'A'
	}
	return c
}
