package spf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// macroString is a parsed macro-string, RFC 7208, section 7.1.
type macroString struct {
	text   string // as published
	pieces []piece
}

// piece is literal text, or a macro if letter is not 0.
type piece struct {
	text    string // literal, with %% %_ %- already put in
	expand  bool   // a macro-expand of the ABNF: a macro, %%, %_ or %-
	letter  byte   // lower case
	escape  bool   // the letter was upper case: URL escape, section 7.3
	keep    int    // right-hand parts to keep; 0: all
	reverse bool
	delims  string // empty: "."
}

const (
	macroLetters    = "slodiphv"
	macroLettersExp = "crt" // section 7.2: in explanation text only
	macroDelimiters = ".-+,/_="
	maxMacroKeep    = 128 // more parts than a name can have: section 7.1
)

// parseMacroString reads a macro-string, or explanation text, in which spaces
// and three more letters are allowed.
func parseMacroString(s string, explanation bool) (*macroString, error) {
	ms := &macroString{text: s}
	bad := func(r rune) bool { return r > '~' || r < ' ' || r == ' ' && !explanation }
	for s != "" {
		n := strings.IndexByte(s, '%')
		if n < 0 {
			n = len(s)
		}
		var err error
		p := piece{text: s[:n]}
		if n == 0 {
			p, n, err = parseMacro(s, explanation)
		} else if i := strings.IndexFunc(p.text, bad); i >= 0 {
			err = fmt.Errorf("character %q is not allowed", s[i:i+1])
		}
		if err != nil {
			return nil, err
		}
		ms.pieces, s = append(ms.pieces, p), s[n:]
	}
	return ms, nil
}

// parseMacro reads one macro-expand at the start of s, which begins with '%',
// and returns it with its length.
func parseMacro(s string, explanation bool) (piece, int, error) {
	if len(s) < 2 {
		return piece{}, 0, fmt.Errorf("%q at the end; write %q", "%", "%%")
	}
	switch s[1] {
	case '%':
		return piece{text: "%", expand: true}, 2, nil
	case '_':
		return piece{text: " ", expand: true}, 2, nil
	case '-':
		return piece{text: "%20", expand: true}, 2, nil
	case '{':
	default:
		return piece{}, 0, fmt.Errorf("%q starts no macro; write %q", s[:2], "%%")
	}
	end := strings.IndexByte(s, '}')
	if end < 3 {
		return piece{}, 0, fmt.Errorf("macro %q is not closed or empty", s)
	}
	p, err := parseMacroBody(s[2:end], explanation)
	if err != nil {
		return piece{}, 0, fmt.Errorf("macro %q: %w", s[:end+1], err)
	}
	return p, end + 1, nil
}

// parseMacroBody reads macro-letter transformers *delimiter.
func parseMacroBody(body string, explanation bool) (piece, error) {
	p := piece{expand: true, letter: body[0]}
	if 'A' <= p.letter && p.letter <= 'Z' {
		p.letter, p.escape = p.letter|0x20, true
	}
	switch {
	case strings.IndexByte(macroLetters, p.letter) >= 0:
	case strings.IndexByte(macroLettersExp, p.letter) < 0:
		return p, fmt.Errorf("unknown letter %q", body[:1])
	case !explanation:
		return p, fmt.Errorf("letter %q is for explanations only", body[:1])
	}
	rest := body[1:]
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	if digits != "" {
		// RFC 7208, section 7.1: a DIGIT transformer must not be zero.
		if strings.Trim(digits, "0") == "" {
			return p, fmt.Errorf("cannot keep %s parts", digits)
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n > maxMacroKeep {
			n = maxMacroKeep
		}
		p.keep = n
	}
	rest = rest[len(digits):]
	if rest != "" && rest[0]|0x20 == 'r' {
		p.reverse, rest = true, rest[1:]
	}
	if strings.Trim(rest, macroDelimiters) != "" {
		return p, fmt.Errorf("unknown transformer %q", rest)
	}
	p.delims = rest
	return p, nil
}

// uses reports whether one of the letters (lower case) is in the string.
func (ms *macroString) uses(letters string) bool {
	return ms != nil && slices.ContainsFunc(ms.pieces, func(p piece) bool {
		return p.letter != 0 && strings.IndexByte(letters, p.letter) >= 0
	})
}

// literal returns the whole text if no macro letter is in it.
func (ms *macroString) literal() (string, bool) {
	var b strings.Builder
	for _, p := range ms.pieces {
		if p.letter != 0 {
			return "", false
		}
		b.WriteString(p.text)
	}
	return b.String(), true
}

// maxExpansion bounds what a hostile record can make of a few macros, in bytes.
const maxExpansion = 1 << 16

// expand puts the letters' values in. Of a text longer than maxExpansion only
// the end is kept: all that matters in a name, see queryName.
func (ms *macroString) expand(value func(letter byte) (string, error)) (string, error) {
	var b strings.Builder
	for _, p := range ms.pieces {
		if p.letter == 0 {
			b.WriteString(p.text)
			continue
		}
		v, err := value(p.letter)
		if err != nil {
			return "", err
		}
		v = p.transform(v)
		if p.escape {
			v = urlEscape(v)
		}
		b.WriteString(v)
		if b.Len() > maxExpansion {
			end := b.String()[b.Len()-maxExpansion/2:]
			b.Reset()
			b.WriteString(end)
		}
	}
	return b.String(), nil
}

// transform splits, reverses, keeps the right-hand parts and joins with dots,
// RFC 7208, section 7.3.
func (p piece) transform(v string) string {
	if p.keep == 0 && !p.reverse && p.delims == "" {
		return v
	}
	delims := p.delims
	if delims == "" {
		delims = "."
	}
	var parts []string
	for {
		i := strings.IndexAny(v, delims)
		if i < 0 {
			break
		}
		parts, v = append(parts, v[:i]), v[i+1:]
	}
	parts = append(parts, v)
	if p.reverse {
		slices.Reverse(parts)
	}
	if p.keep > 0 && p.keep < len(parts) {
		parts = parts[len(parts)-p.keep:]
	}
	return strings.Join(parts, ".")
}

// urlEscape escapes everything outside the unreserved set of RFC 3986,
// section 2.3.
func urlEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isAlphanum(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isDigit(c byte) bool    { return '0' <= c && c <= '9' }
func isAlpha(c byte) bool    { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isAlphanum(c byte) bool { return isAlpha(c) || isDigit(c) }
