package overrides

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"syscall"
)

// Limits of a rule file. The size is far above any list typed or exported by
// people; it keeps a device or a log named by mistake from filling memory.
const (
	maxRuleFile  = 256 << 20
	maxEntry     = 400 // bytes of a line without its comment
	maxFileFault = 20  // problems reported of one file
)

// ParseRuleFile reads a rule file: one entry a line as ParseEntry reads it,
// # comments, LF or CRLF, with or without a byte order mark. The name is used
// in messages only. All problems are reported at once, up to twenty; each is
// a *Problem with its line.
func ParseRuleFile(name string, data []byte) ([]Entry, []error) {
	entries := make([]Entry, 0, bytes.Count(data, []byte{'\n'})+1)
	problems := eachEntry(name, data, func(e Entry) { entries = append(entries, e) })
	return entries, problems
}

// eachEntry calls add for each entry, in order, and returns all problems.
func eachEntry(name string, data []byte, add func(Entry)) (problems []error) {
	data, err := unmarked(name, data)
	if err != nil {
		return []error{err}
	}
	for line, text := range entryLines(data, "#") {
		e, err := parseLine(text)
		if err == nil {
			e.Line = line
			add(e)
			continue
		}
		if len(problems) == maxFileFault {
			return append(problems, &Problem{File: name, Line: line, Msg: "more lines are wrong from here on; mend those above first"})
		}
		problems = append(problems, &Problem{File: name, Line: line, Msg: err.Error()})
	}
	return problems
}

// entryLines yields, by their numbers, the lines that say something beside a comment,
// which begins with one of these characters.
func entryLines(data []byte, comments string) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		var p pace
		for line := 1; len(data) > 0; line++ {
			p.step()
			var text []byte
			text, data, _ = bytes.Cut(data, []byte{'\n'})
			if i := bytes.IndexAny(text, comments); i >= 0 {
				text = text[:i]
			}
			if text = bytes.TrimSpace(text); len(text) > 0 && !yield(line, text) {
				return
			}
		}
	}
}

// unmarked takes off the byte order mark, by which it knows UTF-16.
func unmarked(name string, data []byte) ([]byte, error) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, &Problem{File: name, Line: 1, Msg: "the file is UTF-16; save it as UTF-8"}
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

func parseLine(text []byte) (Entry, error) {
	if len(text) > maxEntry {
		return Entry{}, fmt.Errorf("the line has %d bytes beside its comment; write one entry a line", len(text))
	}
	e, err := ParseEntry(string(text))
	if err != nil && bytes.ContainsAny(text, ",;") {
		return Entry{}, fmt.Errorf("%w (one entry a line; comments begin with #)", err)
	}
	return e, err
}

// compileRuleFile compiles what was read of the file. The error joins all problems.
func compileRuleFile(name string, data []byte) (*content, error) {
	c := &content{}
	if problems := eachEntry(name, data, c.addEntry); len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	c.seal()
	return c, nil
}

// fileFault says what keeps a file from being read, without its name, which
// the Problem carries.
func fileFault(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		err = pe.Err
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "the rule file does not exist; create it, or mend file = in the rule"
	case errors.Is(err, os.ErrPermission):
		return "the rule file cannot be read (permission denied); let the proxy's user read it"
	}
	return "the rule file cannot be read: " + err.Error()
}

// readBounded reads a regular file of up to limit bytes.
func readBounded(name string, limit int64) ([]byte, error) {
	var data []byte
	err := eachPart(name, limit, func(part []byte, size int64) {
		if data == nil {
			data = make([]byte, 0, min(size, limit)+1) // or it grows by copying
		}
		data = append(data, part...)
	})
	return data, err
}

// eachPart hands f a regular file of up to limit bytes, part by part, which are
// valid during the call, and the size of the whole. A pipe that nobody writes to
// would never be open.
func eachPart(name string, limit int64, f func(part []byte, size int64)) error {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", kindOfFile(info.Mode()))
	}
	var p pace
	buf := make([]byte, paceBytes)
	for total := int64(0); ; p.look() {
		n, err := file.Read(buf)
		if n > 0 {
			f(buf[:n], info.Size())
		}
		if total += int64(n); total > limit {
			return fmt.Errorf("it is larger than %d MiB", limit>>20)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func kindOfFile(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&os.ModeNamedPipe != 0:
		return "a pipe"
	}
	return "a device or socket"
}

// Problem is one thing wrong with a rule or a rule file, in words that say
// what to write instead.
type Problem struct {
	File string // where it stands; may be empty for a rule made by a program
	Line int    // 1-based; 0 if it is about the whole file or the line is unknown
	Key  string // "allow.efax.cidr" for a rule, empty for a line of a file
	Text string // the value within Key that is meant; may be empty
	Msg  string
}

// Error writes file:line: key: what is wrong; what to write instead.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Msg)
	return b.String()
}
