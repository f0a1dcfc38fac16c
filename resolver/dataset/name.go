package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Names are in wire form without the root: each label after its length.

// maxName is the longest name without its root label, in bytes
// (RFC 1035, section 2.3.4, counts 255 with it).
const maxName = 254

var errName = errors.New("this is no domain name")

// parseName reads a domain name. Empty labels, and so a trailing dot, are
// passed over; \DDD and \X escape a byte.
func parseName(s []byte) ([]byte, error) {
	name := make([]byte, 1, len(s)+2)
	label := 0 // where the length of the current label stands
	finish := func() error {
		n := len(name) - label - 1
		if n > 63 {
			return errName
		}
		if name[label] = byte(n); n > 0 {
			label = len(name)
			name = append(name, 0)
		}
		return nil
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '.' {
			if err := finish(); err != nil {
				return nil, err
			}
			continue
		}
		if c == '\\' {
			if i++; i == len(s) {
				break
			}
			if c = s[i]; isDigit(c) {
				n, used := int(c-'0'), 1
				for ; used < 3 && i+1 < len(s) && isDigit(s[i+1]); used++ {
					i++
					n = n*10 + int(s[i]-'0')
				}
				if n > 255 {
					return nil, errName
				}
				c = byte(n)
			}
		}
		name = append(name, c)
	}
	if err := finish(); err != nil {
		return nil, err
	}
	if name = name[:label]; len(name) > maxName {
		return nil, errName
	}
	return name, nil
}

// lowerName folds a name in place. The lengths are below the letters and stay.
func lowerName(name []byte) {
	for i, c := range name {
		name[i] = lower(c)
	}
}

// countLabels returns the number of labels, or false for bytes that are no
// name.
func countLabels(name []byte) (int, bool) {
	n := 0
	for len(name) > 0 {
		l := int(name[0])
		if l == 0 || l > 63 || l >= len(name) {
			return 0, false
		}
		name = name[l+1:]
		n++
	}
	return n, true
}

// nameText prints a name as rbldnsd puts it into a text: without the final
// dot, and with what is special in a zone file escaped.
func nameText(name []byte) string {
	out := make([]byte, 0, len(name)+8)
	for len(name) > 0 {
		l := int(name[0])
		if len(out) > 0 {
			out = append(out, '.')
		}
		for _, c := range name[1 : l+1] {
			switch {
			case c == '"', c == '.', c == ';', c == '\\', c == '@', c == '$':
				out = append(out, '\\', c)
			case c <= ' ' || c >= 0x7f:
				out = append(out, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			default:
				out = append(out, c)
			}
		}
		name = name[l+1:]
	}
	return string(out)
}

// embedded4 returns the IPv4 address in an IPv4-mapped address or in one of
// 6to4 (RFC 3056), where rbldnsd looks for IPv4 entries too.
func (a addr6) embedded4() (a4 uint32, mapped, ok bool) {
	switch {
	case a.hi>>48 == 0x2002:
		return uint32(a.hi >> 16), false, true
	case a.hi == 0 && a.lo>>32 == 0xffff:
		return uint32(a.lo), true, true
	}
	return 0, false, false
}

func text4(a uint32) string {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}).String()
}

// text6 is the canonical form, in hexadecimal groups for mapped addresses too.
func text6(a addr6) string {
	if _, mapped, _ := a.embedded4(); mapped {
		return fmt.Sprintf("::ffff:%x:%x", uint16(a.lo>>16), uint16(a.lo))
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
	return netip.AddrFrom16(b).String()
}
