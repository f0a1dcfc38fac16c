package wire

import (
	"fmt"
	"strings"
)

// Limits of names. RFC 1035, section 2.3.4.
const (
	MaxName  = 255 // octets of a name in wire form, the root's zero included
	MaxLabel = 63  // octets of one label
)

// Name is a domain name in wire form: length-prefixed labels, the root's zero
// included, never compressed, ASCII letters in lower case unless a function
// says otherwise. The root is the single octet 0. The functions below expect
// a well-formed Name; Valid tells for foreign bytes.
type Name []byte

// Question is one question of class IN.
type Question struct {
	Name Name
	Type uint16
}

// String returns presentation form without the trailing dot; the root is ".".
// Dots, backslashes, quotes and what is not printable ASCII are escaped, so
// that the text means this name and no other (RFC 1035, section 5.1).
func (n Name) String() string {
	if len(n) <= 1 {
		return "."
	}
	var b strings.Builder
	b.Grow(len(n))
	for off := 0; off < len(n) && n[off] != 0; {
		end := off + 1 + int(n[off])
		if end > len(n) {
			end = len(n)
		}
		if off > 0 {
			b.WriteByte('.')
		}
		for _, c := range n[off+1 : end] {
			switch {
			case c == '.' || c == '\\' || c == '"':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c <= ' ' || c > '~':
				fmt.Fprintf(&b, "\\%03d", c)
			default:
				b.WriteByte(c)
			}
		}
		off = end
	}
	return b.String()
}

// Valid reports whether n is one complete uncompressed name and nothing more.
func (n Name) Valid() bool { return len(n) > 0 && NameLen(n) == len(n) }

// NameLen is the length of the uncompressed name that b starts with, 0 when
// there is none.
func NameLen(b []byte) int {
	b = b[:min(len(b), MaxName)]
	for off := 0; off < len(b) && b[off] <= MaxLabel; off += 1 + int(b[off]) {
		if b[off] == 0 {
			return off + 1
		}
	}
	return 0
}

// Labels returns the number of labels, the root not counted.
func (n Name) Labels() int {
	count := 0
	for off := 0; off < len(n) && n[off] != 0; off += 1 + int(n[off]) {
		count++
	}
	return count
}

// Parent returns n without its first label, as a part of n. The parent of the
// root is the root.
func (n Name) Parent() Name {
	if len(n) <= 1 {
		return n
	}
	return n[1+int(n[0]):]
}

// Under reports whether n is zone or a name below it. Both are in lower case.
// It compares only at label borders: "badexample.com" is not under
// "example.com".
func (n Name) Under(zone Name) bool {
	_, ok := n.CutSuffix(zone)
	return ok
}

// CutSuffix returns the labels of n left of zone, length-prefixed and without
// a root, as a part of n: empty for zone itself. ok is false when n is not
// under zone. Both are in lower case.
func (n Name) CutSuffix(zone Name) (labels []byte, ok bool) {
	cut := len(n) - len(zone)
	if cut < 0 || string(n[cut:]) != string(zone) || !n.border(cut) {
		return nil, false
	}
	return n[:cut], true
}

// border reports whether a label of n, or its root, starts at that octet.
func (n Name) border(at int) bool {
	off := 0
	for off < at && off < len(n) {
		off += 1 + int(n[off])
	}
	return off == at && at < len(n)
}

// Equal reports whether n and m are the same name, ASCII case aside.
func (n Name) Equal(m Name) bool {
	if len(n) != len(m) {
		return false
	}
	if string(n) == string(m) {
		return true // nearly always
	}
	for i := range n {
		// Length octets are at most 63 and so below 'A': lower keeps them.
		if n[i] != m[i] && lower(n[i]) != lower(m[i]) {
			return false
		}
	}
	return true
}
