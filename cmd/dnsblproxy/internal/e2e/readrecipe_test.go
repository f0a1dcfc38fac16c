package e2e

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	// recipeName is the bold name at which the recipe for a program begins.
	recipeName = regexp.MustCompile(`(?m)(?:^|[ .])\*\*([^*\n]+)\*\*`)
	// codeBlock matches a fenced block and, second, an inline piece of code.
	codeBlock = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```$|`([^`\n]+)`")
)

// recipe is what README says to write into another program's configuration,
// so that the tests try what users read and nothing else.
type recipe struct {
	name   string
	pieces []string // blocks and inline code, in README's order
}

// readRecipe finds the recipe under its bold name. ZONE and README's addresses
// of the proxy become the test's.
func readRecipe(t testing.TB, name, zone string, proxy netip.AddrPort) recipe {
	t.Helper()
	text := read(t, filepath.Join(projectRoot, "README.md"))
	_, text, found := strings.Cut(text, "\n## Recipes\n")
	if !found {
		t.Fatal("README.md has no section Recipes")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	names := recipeName.FindAllStringSubmatchIndex(text, -1)
	for i, at := range names {
		if text[at[2]:at[3]] != name {
			continue
		}
		end := len(text)
		if i+1 < len(names) {
			end = names[i+1][0]
		}
		r := recipe{name: name}
		replace := strings.NewReplacer("ZONE", zone, "127.0.0.10", proxy.Addr().String(),
			"127.0.0.1", proxy.Addr().String(), "5353", strconv.Itoa(int(proxy.Port())))
		for _, piece := range codeBlock.FindAllStringSubmatch(text[at[1]:end], -1) {
			r.pieces = append(r.pieces, replace.Replace(piece[1]+piece[2]))
		}
		return r
	}
	t.Fatalf("README.md has no recipe for %s", name)
	return recipe{}
}

// with returns the one piece of code that begins with start.
func (r recipe) with(t testing.TB, start string) string {
	t.Helper()
	for _, piece := range r.pieces {
		if strings.HasPrefix(piece, start) {
			return piece
		}
	}
	t.Fatalf("README.md's recipe for %s has no code that begins with %q, but %q", r.name, start, r.pieces)
	return ""
}
