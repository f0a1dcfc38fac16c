package overrides

import (
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
)

// validators are what a feed's server said of the set in force, by which it
// can be asked whether that still holds (RFC 9110, section 8.8). All are
// visible ASCII, with spaces.
type validators struct {
	etag, modified string

	// agent is the program and version that read the feed. Another one may
	// read the same feed differently, and so asks for it whole.
	agent string
}

// maxValidator bounds what a server may have us say back, in bytes.
const maxValidator = 1024

// validatorsOf takes them from an answer. One that cannot be sent back is as
// if the server had not sent it.
func validatorsOf(h http.Header, agent string) validators {
	v := validators{h.Get("ETag"), h.Get("Last-Modified"), agent}
	for _, field := range v.fields() {
		if !sendable(*field) {
			*field = ""
		}
	}
	return v
}

func sendable(s string) bool {
	visible := func(r rune) bool { return r >= ' ' && r <= '~' }
	return len(s) <= maxValidator && strings.TrimFunc(s, visible) == "" && strings.TrimSpace(s) == s
}

// ask adds the condition to a request. Without one it returns false.
func (v *validators) ask(h http.Header) bool {
	if v.etag != "" {
		h.Set("If-None-Match", v.etag)
	}
	if v.modified != "" {
		h.Set("If-Modified-Since", v.modified)
	}
	return v.etag != "" || v.modified != ""
}

// fields yields each with its name in a state file.
func (v *validators) fields() iter.Seq2[string, *string] {
	return func(yield func(string, *string) bool) {
		_ = yield("etag", &v.etag) && yield("modified", &v.modified) && yield("agent", &v.agent)
	}
}

// read reads a line of a state file; ok is false if it is about another thing.
func (v *validators) read(line string) (ok bool, err error) {
	word, text, _ := strings.Cut(line, " ")
	for name, field := range v.fields() {
		if word != name {
			continue
		}
		s, err := strconv.Unquote(text)
		if err != nil || !sendable(s) {
			return true, fmt.Errorf("%q is no %s", text, name)
		}
		*field = s
		return true, nil
	}
	return false, nil
}
