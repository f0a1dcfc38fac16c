package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// rr is one record of a generic dataset.
type rr struct {
	qtype uint16
	ttl   uint32 // seconds
	code  uint32 // of an A record
	data  []byte // TXT: the text without its length; MX: RDATA
}

var (
	errTTL  = errors.New("this is no time to live")
	errType = errors.New("a generic record is \"name [ttl] A address\", \"name [ttl] TXT text\" or \"name [ttl] MX preference host\"")
)

// parseGeneric reads "name [ttl] [IN] type data". The name is relative to the
// zone; @ is the zone itself, and then name is empty.
func parseGeneric(s []byte, ttl uint32) (name []byte, r rr, err error) {
	word, s := cutWord(s)
	if string(word) != "@" || len(s) == 0 {
		if name, err = parseName(word); err != nil || len(name) == 0 {
			return nil, rr{}, errName
		}
		lowerName(name)
	}
	r.ttl = ttl
	if len(s) > 0 && isDigit(s[0]) {
		var ok bool
		if r.ttl, s, ok = parseTTL(s, ttl); !ok {
			return nil, rr{}, errTTL
		}
	}
	kind, rest := cutWord(s)
	if bytes.EqualFold(kind, []byte("in")) && len(rest) > 0 {
		kind, rest = cutWord(rest)
	}
	if len(rest) == 0 {
		return nil, rr{}, errType
	}
	switch string(bytes.ToLower(kind)) {
	case "a":
		a, n, _, ok := parseOctets(rest)
		if !ok {
			return nil, rr{}, errAddress
		}
		r.qtype, r.code = TypeA, inetAddr(a, n)
	case "txt":
		if n := len(rest); n >= 2 && rest[0] == '"' && rest[n-1] == '"' {
			rest = rest[1 : n-1]
		}
		r.qtype, r.data = TypeTXT, bytes.Clone(rest[:min(len(rest), 255)])
	case "mx":
		pref, rest, ok := parseNumber(rest)
		host, after := cutWord(rest)
		mx, nameErr := parseName(host)
		if !ok || pref > 1<<16-1 || nameErr != nil || len(host) == 0 || len(after) > 0 {
			return nil, rr{}, errType
		}
		r.qtype = TypeMX
		r.data = append(append(binary.BigEndian.AppendUint16(nil, uint16(pref)), mx...), 0)
	default:
		return nil, rr{}, errType
	}
	return name, r, nil
}
