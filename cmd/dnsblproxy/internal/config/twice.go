package config

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// decode reads a document, and where its keys stand. The TOML library stops at
// the first key or table that is written twice, so that each is reported and
// taken out until the rest can be read: what is wrong with the rest is found in
// the same run.
func decode(path, text string) (raw map[string]any, root *node, twice []Problem, err error) {
	text = strings.TrimPrefix(text, "\ufeff")
	for {
		raw = nil
		_, err := toml.Decode(text, &raw)
		root, items := survey(text)
		if err == nil {
			for _, it := range items {
				if it.again { // of the two values the library drops one, without a word
					key, _, _ := strings.Cut(text[it.start:it.end], "=")
					twice = append(twice, Problem{File: path, Line: it.first,
						What: fmt.Sprintf("key '%s' has already been defined", strings.TrimSpace(key)), Instead: "write it once"})
				}
			}
			return raw, root, twice, nil
		}
		p, ok := syntaxProblem(path, text, err)
		twice = append(twice, p)
		if ok {
			text, ok = without(text, items, p.Line)
		}
		if !ok {
			return nil, nil, nil, Join(twice)
		}
	}
}

// without blanks out what stands on a line: a key with its value, or a header
// with all below it. ok is false when nothing does.
func without(text string, items []item, line int) (rest string, ok bool) {
	for i, it := range items {
		if line < it.first || line > it.last {
			continue
		}
		end := it.end
		for j := i + 1; it.header && j < len(items) && !items[j].header; j++ {
			end = items[j].end
		}
		blank := strings.Map(func(r rune) rune {
			if r == '\n' {
				return r
			}
			return ' '
		}, text[it.start:end])
		return text[:it.start] + blank + text[end:], true
	}
	return "", false
}
