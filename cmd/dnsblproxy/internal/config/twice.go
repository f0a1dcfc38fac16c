package config

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// decode reads a document. The TOML library stops at the first key or table
// that is written twice, so that each is reported and taken out until the rest
// can be read: what is wrong with the rest is found in the same run. The text
// that was read has the lines of the document.
func decode(path, text string) (raw map[string]any, read string, twice []Problem, err error) {
	for {
		raw = nil
		_, err := toml.Decode(text, &raw)
		if err == nil {
			return raw, text, twice, nil
		}
		p, again := syntaxProblem(path, text, err)
		twice = append(twice, p)
		rest, ok := "", false
		if again {
			rest, ok = without(text, p.Line)
		}
		if !ok {
			return nil, text, nil, Join(twice)
		}
		text = rest
	}
}

// without blanks out what stands on a line: a key with its value, or a header
// with all below it. ok is false when nothing does.
func without(text string, line int) (rest string, ok bool) {
	text = strings.TrimPrefix(text, "\ufeff")
	_, items := survey(text)
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
