package overrides

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// validators are, by their names in a state file, what a feed's server said of the
// set in force, by which it can be asked whether that still holds (RFC 9110,
// section 8.8), and the program and version that read the feed: another one may
// read the same feed differently, and so asks for it whole. All are visible ASCII,
// with spaces. Nobody writes to them once they are made.
type validators map[string]string

var validatorNames = []string{"etag", "modified", "agent"}

// maxValidator bounds what a server may have us say back, in bytes.
const maxValidator = 1024

// validatorsOf takes them from an answer. One that cannot be sent back is as
// if the server had not sent it.
func validatorsOf(h http.Header, agent string) validators {
	v := make(validators)
	for i, text := range []string{h.Get("ETag"), h.Get("Last-Modified"), agent} {
		if sendable(text) {
			v[validatorNames[i]] = text
		}
	}
	return v
}

func sendable(s string) bool {
	visible := func(r rune) bool { return r >= ' ' && r <= '~' }
	return s != "" && len(s) <= maxValidator && strings.TrimFunc(s, visible) == "" && strings.TrimSpace(s) == s
}

// ask adds the condition to a request. Without one it returns false.
func (v validators) ask(h http.Header) (conditional bool) {
	for name, field := range map[string]string{"etag": "If-None-Match", "modified": "If-Modified-Since"} {
		if v[name] != "" {
			h.Set(field, v[name])
			conditional = true
		}
	}
	return conditional
}

// read reads one as a state file has it.
func (v validators) read(name, text string) error {
	s, err := strconv.Unquote(text)
	if err != nil || !sendable(s) {
		return fmt.Errorf("%q is no %s", text, name)
	}
	v[name] = s
	return nil
}
