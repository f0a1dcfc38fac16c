package config

import (
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// node is the place of one key, table or array element in the source. The
// tree has the shape of the document: kids by key, elems by index.
type node struct {
	line  int // counted from 1
	kids  map[string]*node
	elems []*node
}

func (n *node) kid(key string, line int) *node {
	if k := n.kids[key]; k != nil {
		return k
	}
	if n.kids == nil {
		n.kids = make(map[string]*node)
	}
	k := &node{line: line}
	n.kids[key] = k
	return k
}

// find follows path as far as it leads. Exact says whether it led to the end.
func (n *node) find(path place) (found *node, exact bool) {
	for _, step := range path {
		var next *node
		switch s := step.(type) {
		case string:
			next = n.kids[s]
		case int:
			if s >= 0 && s < len(n.elems) {
				next = n.elems[s]
			}
		}
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}

// alias lets the last key of path be found by another name too, unless that is
// the name of something else.
func (n *node) alias(path place, name string) {
	to, exact := n.find(path)
	if table, _ := n.find(path[:len(path)-1]); exact && table.kids[name] == nil {
		table.kids[name] = to
	}
}

// scanner finds the lines of keys. It is used for documents that the TOML
// library has accepted, so it checks nothing: on a document that is not TOML
// it returns some tree and always ends. The library itself keeps lines per
// dotted key only inside, and none for array elements.
type scanner struct {
	text  string
	pos   int
	line  int
	depth int
	again bool // of the item that is read
}

// maxDepth bounds the recursion on a hostile document.
const maxDepth = 1000

// item is a header, or a key with its value: its octets and its lines.
type item struct {
	start, end  int
	first, last int
	header      bool
	again       bool // a key in it is a table already
}

// survey maps every key and element of a TOML document to its line, and lists
// its items in their order.
func survey(text string) (root *node, items []item) {
	s := &scanner{text: text, line: 1}
	root = &node{line: 1}
	table := root
	for s.blank(true); s.pos < len(s.text); s.blank(true) {
		it := item{start: s.pos, first: s.line, header: s.text[s.pos] == '['}
		if it.header {
			table = s.header(root)
		} else {
			s.pair(table)
		}
		if s.pos == it.start { // not TOML
			s.skip(1)
		}
		it.end, it.last = s.pos, s.line
		it.again, s.again = s.again, false
		items = append(items, it)
	}
	return root, items
}

// skip moves n bytes on and counts the lines.
func (s *scanner) skip(n int) {
	end := min(s.pos+n, len(s.text))
	s.line += strings.Count(s.text[s.pos:end], "\n")
	s.pos = end
}

func (s *scanner) at(prefix string) bool { return strings.HasPrefix(s.text[s.pos:], prefix) }

// blank skips spaces and tabs, and with lines also newlines and comments.
func (s *scanner) blank(lines bool) {
	skipped := " \t"
	if lines {
		skipped += "\r\n"
	}
	for {
		rest := s.text[s.pos:]
		s.skip(len(rest) - len(strings.TrimLeft(rest, skipped)))
		if !lines || !s.at("#") {
			return
		}
		s.until("\n")
	}
}

// until takes the text before the first of these characters.
func (s *scanner) until(stops string) string {
	text := s.text[s.pos:]
	if i := strings.IndexAny(text, stops); i >= 0 {
		text = text[:i]
	}
	s.skip(len(text))
	return text
}

// quoted is a string of any of the four kinds, which may lack its end. Up to two
// quotes may stand directly before the closing three (TOML 1.0, "String").
var quoted = regexp.MustCompile(`^(?:(?s:"""(?:\\.|.)*?(?:"{3,5}|\z)|'''.*?(?:'{3,5}|\z))|"(?:\\.|[^"\n])*"?|'[^'\n]*'?)`)

// str takes a string; "" where there is none.
func (s *scanner) str() string {
	text := quoted.FindString(s.text[s.pos:])
	s.skip(len(text))
	return text
}

// header reads [a.b] or [[a.b]] and returns the table that follows.
func (s *scanner) header(root *node) *node {
	line := s.line
	array := s.at("[[")
	s.skip(1)
	if array {
		s.skip(1)
	}
	n := root
	keys := s.keys()
	for i, key := range keys {
		n = n.kid(key, line)
		if last := i == len(keys)-1; !last && len(n.elems) > 0 {
			n = n.elems[len(n.elems)-1]
		}
	}
	for s.pos < len(s.text) && s.text[s.pos] == ']' {
		s.skip(1)
	}
	if array {
		n.elems = append(n.elems, &node{line: line})
		return n.elems[len(n.elems)-1]
	}
	n.line = line // a header beats the line on which a sub-table implied it
	return n
}

// keys reads a dotted key.
func (s *scanner) keys() []string {
	var keys []string
	for {
		s.blank(false)
		key, ok := s.key()
		if !ok {
			return keys
		}
		keys = append(keys, key)
		s.blank(false)
		if !s.at(".") {
			return keys
		}
		s.skip(1)
	}
}

// key reads one bare or quoted part of a dotted key.
func (s *scanner) key() (string, bool) {
	if text := s.str(); text != "" {
		return unquote(text), true
	}
	text := s.until(" \t\r\n.=[]{},#\"'")
	return text, text != ""
}

// pair reads key = value into table.
func (s *scanner) pair(table *node) {
	line := s.line
	n := table
	for _, key := range s.keys() {
		n = n.kid(key, line)
	}
	s.blank(false)
	if !s.at("=") {
		return
	}
	s.skip(1)
	s.again = s.again || n.kids != nil
	s.value(n)
}

// value reads one value, whose place is n.
func (s *scanner) value(n *node) {
	if s.depth++; s.depth > maxDepth {
		s.skip(len(s.text))
	}
	defer func() { s.depth-- }()
	s.blank(false)
	switch {
	case s.str() != "":
	case s.at("["):
		s.skip(1)
		s.list("]", func() {
			n.elems = append(n.elems, &node{line: s.line})
			s.value(n.elems[len(n.elems)-1])
		})
	case s.at("{"):
		s.skip(1)
		s.list("}", func() { s.pair(n) })
	default:
		s.until(",]}\r\n#")
	}
}

// list reads items up to the closing bracket, over lines and comments.
func (s *scanner) list(closing string, item func()) {
	for s.pos < len(s.text) {
		s.blank(true)
		switch before := s.pos; {
		case s.pos == len(s.text):
		case s.at(closing):
			s.skip(1)
			return
		case s.at(","):
			s.skip(1)
		default:
			if item(); s.pos == before { // not TOML
				s.skip(1)
			}
		}
	}
}

// unquote is the key that is written so. The library knows the escapes.
func unquote(quoted string) string {
	var table map[string]any
	if strings.Contains(quoted, `\`) && toml.Unmarshal([]byte(quoted+"=0"), &table) == nil {
		for key := range table {
			return key
		}
	}
	return strings.Trim(quoted, quoted[:1])
}
