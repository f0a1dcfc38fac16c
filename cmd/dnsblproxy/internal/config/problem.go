package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with the configuration, or with a file
// that it names.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`    // counted from 1; 0 only when File itself cannot be read
	What    string `json:"what"`    // what is wrong
	Instead string `json:"instead"` // what to write instead; may be empty
}

// String is "file:line: what is wrong; what to write instead".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": " + p.What)
	if p.Instead != "" {
		b.WriteString("; " + p.Instead)
	}
	return b.String()
}

// Error holds every problem that was found, sorted by file and line.
type Error struct{ Problems []Problem }

// Error prints one problem a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Join makes an Error of problems. It returns nil, as an error, when there are
// none.
func Join(problems []Problem) error {
	all := Sorted(problems)
	if len(all) == 0 {
		return nil
	}
	return &Error{Problems: all}
}

// Sorted sorts problems by file and line, and returns each once.
func Sorted(ps []Problem) []Problem {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.What, b.What), cmp.Compare(a.Instead, b.Instead))
	})
	return slices.Compact(ps)
}

// split parts the text of a handed-in check into what is wrong and what to
// write instead, which the house writes as "what; instead".
func split(err error) (what, instead string) {
	what, instead, _ = strings.Cut(err.Error(), "; ")
	return what, instead
}

// nearest returns the candidate that got was most likely meant to be, or "".
// Two slips are forgiven, one in short words.
func nearest(got string, candidates []string) string {
	best, bestDistance := "", 3
	if len(got) <= 4 {
		bestDistance = 2
	}
	for _, c := range candidates {
		if strings.EqualFold(got, c) || strings.ReplaceAll(strings.ToLower(got), "-", "_") == c {
			return c
		}
		if d := distance(strings.ToLower(got), c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// hint is what to write instead of got: one of the words, if that was meant.
func hint(got string, words []string, otherwise string) string {
	if n := nearest(got, words); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return otherwise
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 { // no key is as long; keeps the table small
		return max(len(a), len(b))
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
