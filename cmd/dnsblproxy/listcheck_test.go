package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"dnsblproxy/resolver/rbl"
)

// TestListWarnings asks a list that holds all shapes, and one of domains, each
// for one test entry.
func TestListWarnings(t *testing.T) {
	asked := make(chan string, 100)
	via := fakeList(t, func(question []byte) []byte {
		asked <- rbl.DomainText(bytes.ToLower(question[12 : 12+bytes.IndexByte(question[12:], 0)]))
		return unlisted(question)
	})
	c, err := parsed(t, fmt.Sprintf(`[resolver]
servers = ["127.0.0.1:1"]
[zone."all.example"]
via = [%q]
[zone."off.example"]
via = [%q]
mode = "off"
[zone."names.example"]
via = [%q]
holds = ["domain"]
`, via, via, via))
	if err != nil {
		t.Fatal(err)
	}
	a := &app{lists: rbl.Builtin(), err: io.Discard}
	warnings, err := a.listWarnings(t.Context(), c)
	if err != nil || len(warnings) != 2 || warnings[0].Line != 3 || warnings[1].Line != 8 || !strings.Contains(fmt.Sprint(warnings), "does not list its test entry") {
		t.Errorf("warnings %v, %v", warnings, err)
	}
	var names []string
	for len(asked) > 0 {
		names = append(names, <-asked)
	}
	if got := strings.Join(names, " "); got != "2.0.0.127.all.example test.names.example" {
		t.Errorf("the lists are asked for %s", got)
	}
}
