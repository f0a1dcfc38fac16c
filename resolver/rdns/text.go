package rdns

import (
	"fmt"
	"strings"
)

// maxText is how long one string of a TXT record can be, in bytes
// (RFC 1035, section 3.3.14).
const maxText = 255

// maxName is how much of a foreign name is shown, in bytes; the address and the
// advice must stay readable beside it.
const maxName = 48

// Text tells the sender's administrator what to set up, in one string of a TXT
// record: printable ASCII, at most 255 bytes. It is empty when nothing is
// listed.
func (v Verdict) Text() string {
	record := "A"
	if v.Addr.Is6() {
		record = "AAAA"
	}
	var s string
	switch v.Code {
	case CodeNameless:
		s = fmt.Sprintf("%s has no reverse DNS. Have the network's operator add a PTR record that names your mail server, and give that name an %s record with this address", v.Addr, record)
	case CodeUnconfirmed:
		names := show(v.Names[0])
		if n := len(v.Names) - 1; n > 0 {
			names += fmt.Sprintf(" (and %d more)", n)
		}
		s = fmt.Sprintf("%s has the reverse DNS name %s, which does not lead back to it. Give the name an %s record with this address, or have the PTR record name a host that has one", v.Addr, names, record)
	}
	return s[:min(len(s), maxText)]
}

// show prints a name that anyone may have chosen.
func show(name string) string {
	if name != "." {
		name = strings.TrimSuffix(name, ".")
	}
	b := []byte(name)
	for i, c := range b {
		if c <= ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	if len(b) > maxName {
		b = append(b[:maxName-3], "..."...)
	}
	return string(b)
}
