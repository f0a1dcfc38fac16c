package shared

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
)

// Bounds of one message, far above those that we ask for.
const (
	maxMessage = 4 << 20 // octets
	maxItems   = 1 << 15 // of one array; the map of a cluster has some thousands
	maxDepth   = 8       // of arrays in arrays
)

var errProtocol = errors.New("the server does not keep to its protocol")

// protocol follows the messages that go one way on a connection. The client
// believes what the server says of their lengths, and that each is asked for;
// where that is wrong it ends the process.
type protocol struct {
	whole atomic.Int64 // messages that are complete

	size int    // octets so far of the one that is not
	line []byte // the head of its next item, as far as it is there
	skip int    // octets of a string that are yet to come
	open []int  // arrays that lack something, by how many items
}

func (p *protocol) follow(b []byte) error {
	for len(b) > 0 {
		n := min(max(p.skip, 1), len(b))
		if p.size += n; p.size > maxMessage {
			return errProtocol
		}
		if p.skip > 0 {
			if p.skip -= n; p.skip == 0 {
				p.end()
			}
		} else if p.line = append(p.line, b[0]); b[0] == '\n' {
			if !p.head() {
				return errProtocol
			}
			p.line = p.line[:0]
		}
		b = b[n:]
	}
	return nil
}

// head takes the line that an item begins with. It is false for one that the
// client could not bear.
func (p *protocol) head() bool {
	kind := p.line[0]
	text, ok := bytes.CutSuffix(p.line[1:], []byte("\r\n"))
	n, err := strconv.Atoi(string(text))
	array := strings.IndexByte("*%~", kind) >= 0
	sends := bytes.HasPrefix(text, []byte("MOVED")) || bytes.HasPrefix(text, []byte("ASK")) // "MOVED 3999 127.0.0.1:6381"
	switch {
	case kind == '-' && sends && bytes.Count(text, []byte(" ")) < 2:
		return false
	case strings.IndexByte("+-,(", kind) >= 0 || kind == '_' && len(text) == 0 || kind == '#' && len(text) == 1:
		p.end()
		return ok
	case !ok || err != nil:
		return false
	case kind == ':' || (kind == '$' || kind == '*') && n == -1 || array && n == 0:
		p.end()
	case kind == '$' && n >= 0 && n <= maxMessage:
		p.skip = n + 2
	case !array || n < 0 || n > maxItems || len(p.open) == maxDepth:
		return false
	case kind == '%':
		p.open = append(p.open, 2*n)
	default:
		p.open = append(p.open, n)
	}
	return true
}

// end notes that an item is complete, and with it perhaps those that it is in.
func (p *protocol) end() {
	for i := len(p.open) - 1; i >= 0; i-- {
		if p.open[i]--; p.open[i] > 0 {
			return
		}
		p.open = p.open[:i]
	}
	p.size = 0
	p.whole.Add(1)
}
