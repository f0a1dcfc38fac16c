package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"
)

// soa is a zone's start of authority.
type soa struct {
	ttl  uint32 // seconds
	data []byte // RDATA: two names and five numbers (RFC 1035, section 3.3.13)
}

// serial and minimum are the first and the last of the numbers.
func (s *soa) serial() []byte  { return s.data[len(s.data)-20:][:4] }
func (s *soa) minimum() uint32 { return binary.BigEndian.Uint32(s.data[len(s.data)-4:]) }

var (
	errSpecial = errors.New("this is no special entry; known are $SOA, $NS, $TTL, $TIMESTAMP, $MAXRANGE4, $= and $0 to $9")
	errSOA     = errors.New("write \"$SOA ttl origin person serial refresh retry expire minttl\"")
	errNS      = errors.New("write \"$NS ttl server server ...\"")
	errStamp   = errors.New("write \"$TIMESTAMP yyyy:mm:dd[:hh[:mi[:ss]]] [expires]\"")
	errMax     = errors.New("write \"$MAXRANGE4 /24\" or \"$MAXRANGE4 256\"")
	errMaxUp   = errors.New("$MAXRANGE4 cannot be increased")
	errVar     = errors.New("a variable needs a text")
	// errFuture makes the whole dataset unusable: the data is not meant yet.
	errFuture = errors.New("the data's timestamp is in the future")
)

// parseNumber reads a 32-bit number and the spaces after it.
func parseNumber(s []byte) (n uint32, rest []byte, ok bool) {
	n, rest, ok = parseDigits(s)
	if !ok || len(rest) > 0 && !isSpace(rest[0]) {
		return 0, s, false
	}
	return n, skipSpace(rest), true
}

func parseDigits(s []byte) (n uint32, rest []byte, ok bool) {
	v := uint64(0)
	for len(s) > 0 && isDigit(s[0]) {
		if v = v*10 + uint64(s[0]-'0'); v > math.MaxUint32 {
			return 0, s, false
		}
		s, ok = s[1:], true
	}
	return uint32(v), s, ok
}

// parseTime reads a time in seconds, or with a suffix s, m, h, d or w.
func parseTime(s []byte) (n uint32, rest []byte, ok bool) {
	if n, s, ok = parseDigits(s); !ok {
		return 0, s, false
	}
	if len(s) > 0 {
		units := map[byte]uint32{'s': 1, 'm': 60, 'h': 3600, 'd': 24 * 3600, 'w': 7 * 24 * 3600}
		if unit := units[lower(s[0])]; unit > 0 {
			s = s[1:]
			if n > math.MaxUint32/unit {
				return 0, s, false
			}
			n *= unit
		}
	}
	if len(s) > 0 && s[0] != ':' && !isSpace(s[0]) {
		return 0, s, false
	}
	return n, skipSpace(s), true
}

// parseTTL reads a time; zero stands for def.
func parseTTL(s []byte, def uint32) (ttl uint32, rest []byte, ok bool) {
	if ttl, rest, ok = parseTime(s); ttl == 0 {
		ttl = def
	}
	return ttl, rest, ok
}

// special reads the line after its dollar sign.
func (b *builder) special(s []byte) error {
	if len(s) > 1 && (isDigit(s[0]) || s[0] == '=') && isSpace(s[1]) {
		return b.variable(s)
	}
	word, rest := cutWord(s)
	if len(word) == len(s) {
		return errSpecial // every keyword needs something after it
	}
	switch string(bytes.ToLower(word)) {
	case "soa":
		return b.soaLine(rest)
	case "ns", "nameserver":
		return b.nsLine(rest)
	case "ttl":
		ttl, rest, ok := parseTTL(rest, defaultTTL)
		if !ok || len(rest) > 0 {
			return errTTL
		}
		b.ttl = ttl
		return nil
	case "maxrange4":
		return b.maxRangeLine(rest)
	case "timestamp":
		return b.timestampLine(rest)
	}
	return errSpecial
}

func (b *builder) variable(s []byte) error {
	i := baseTemplate
	if s[0] != '=' {
		i = int(s[0] - '0')
	}
	text := skipSpace(s[1:])
	switch {
	case b.vars[i] != nil: // the first one stands
	case len(text) == 0:
		return errVar
	default:
		b.vars[i] = bytes.Clone(text)
	}
	return nil
}

func (b *builder) soaLine(s []byte) error {
	if b.soa != nil { // the first one stands
		return nil
	}
	ttl, s, ok := parseTTL(s, b.ttl)
	if !ok {
		return errSOA
	}
	var data []byte
	for range 2 {
		word, rest := cutWord(s)
		name, err := parseName(word)
		if err != nil || len(word) == 0 {
			return errSOA
		}
		data, s = append(append(data, name...), 0), rest
	}
	serial, s, ok := parseNumber(s)
	if !ok {
		return errSOA
	}
	data = binary.BigEndian.AppendUint32(data, serial)
	for range 4 {
		var n uint32
		if n, s, ok = parseTime(s); !ok {
			return errSOA
		}
		data = binary.BigEndian.AppendUint32(data, n)
	}
	if len(s) > 0 {
		return errSOA
	}
	b.soa = &soa{ttl, data}
	return nil
}

// maxNS is how many name servers a zone may have.
const maxNS = 32

func (b *builder) nsLine(s []byte) error {
	if b.ns != nil { // the first one stands
		return nil
	}
	ttl, s, ok := parseTTL(s, b.ttl)
	if !ok || len(s) == 0 {
		return errNS
	}
	var names [][]byte
	for len(s) > 0 {
		var word []byte
		if word, s = cutWord(s); word[0] == '-' { // commented out
			continue
		}
		name, err := parseName(word)
		if err != nil {
			return errNS
		}
		name = append(name, 0)
		same := func(other []byte) bool { return bytes.EqualFold(name, other) }
		if len(names) < maxNS && !slices.ContainsFunc(names, same) {
			names = append(names, name)
		}
	}
	b.ns, b.nsTTL = names, ttl
	return nil
}

func (b *builder) maxRangeLine(s []byte) error {
	prefix := len(s) > 0 && s[0] == '/'
	if prefix {
		s = s[1:]
	}
	n, rest, ok := parseNumber(s)
	if !ok || len(rest) > 0 || n == 0 || prefix && n > 32 {
		return errMax
	}
	size := uint64(n)
	if prefix {
		size = 1 << (32 - n)
	}
	if b.maxRange != 0 && size > b.maxRange {
		return errMaxUp
	}
	b.maxRange = size
	return nil
}

func (b *builder) timestampLine(s []byte) error {
	stamp, s, ok := parseStamp(s)
	if !ok {
		return errStamp
	}
	var expires time.Time
	switch {
	case len(s) == 0:
	case s[0] == '+':
		n, rest, ok := parseTime(s[1:])
		if !ok || len(rest) > 0 || n == 0 || stamp.IsZero() {
			return errStamp
		}
		expires = stamp.Add(time.Duration(n) * time.Second)
	default:
		if expires, s, ok = parseStamp(s); !ok || len(s) > 0 {
			return errStamp
		}
	}
	if stamp.After(b.now) {
		return errFuture
	}
	if !expires.IsZero() && (b.expires.IsZero() || expires.Before(b.expires)) {
		b.expires = expires
	}
	return nil
}

// parseStamp reads yyyy:mm:dd[:hh[:mi[:ss]]], in UTC, delimiters optional and
// a dash as good as a colon. A lone 0, dash or colon is no time.
func parseStamp(s []byte) (at time.Time, rest []byte, ok bool) {
	if len(s) > 0 && (s[0] == '0' || s[0] == '-' || s[0] == ':') && (len(s) == 1 || isSpace(s[1])) {
		return time.Time{}, skipSpace(s[1:]), true
	}
	f := [6]int{}
	bounds := [6]struct{ width, least, most int }{{4, 1970, 2038}, {2, 1, 12}, {2, 1, 31}, {2, 0, 23}, {2, 0, 59}, {2, 0, 59}}
	for i, b := range bounds {
		if i > 2 && (len(s) == 0 || isSpace(s[0])) {
			break
		}
		n := 0
		for n < b.width && n < len(s) && isDigit(s[n]) {
			f[i] = f[i]*10 + int(s[n]-'0')
			n++
		}
		if n == 0 || f[i] < b.least || f[i] > b.most {
			return time.Time{}, s, false
		}
		if s = s[n:]; len(s) > 0 && (s[0] == ':' || s[0] == '-') {
			s = s[1:]
		}
	}
	at = time.Date(f[0], time.Month(f[1]), f[2], f[3], f[4], f[5], 0, time.UTC)
	if at.Day() != f[2] || len(s) > 0 && !isSpace(s[0]) {
		return time.Time{}, s, false
	}
	return at, skipSpace(s), true
}
