package dataset

import "bytes"

// variables are a dataset's $0 to $9, and $= as the eleventh. A nil one is not
// set; the first assignment in a dataset stands.
type variables [11][]byte

const baseTemplate = 10

// maxText is how much of an expanded text is kept, in bytes: rbldnsd's bound.
const maxText = 254

// expand makes the substitutions of a text template: $ is subject, $$ a dollar
// sign, $0 to $9 the variables. With a base template ($=), that one is expanded
// and $= in it is the entry's own text, or the subject for an entry without;
// a text that begins with = stands for itself. What replaces a variable is not
// looked at again.
func (vs *variables) expand(template []byte, subject string) string {
	own := template
	switch base := vs[baseTemplate]; {
	case len(template) > 0 && template[0] == '=':
		template = template[1:]
		own = template
	case len(base) > 0:
		if len(template) == 0 {
			own = []byte(subject)
		}
		template = base
	}
	out := make([]byte, 0, maxText)
	for {
		i := bytes.IndexByte(template, '$')
		if i < 0 {
			out = append(out, template...)
			break
		}
		out = append(out, template[:i]...)
		template = template[i+1:]
		var c byte // 0 at the end: a lone $ there is the subject too
		if len(template) > 0 {
			c = template[0]
		}
		switch {
		case c == '$':
			out = append(out, '$')
		case c == '=':
			out = append(out, own...)
		case c >= '0' && c <= '9' && vs[c-'0'] == nil:
			out = append(out, '$', c)
		case c >= '0' && c <= '9':
			out = append(out, vs[c-'0']...)
		default:
			out = append(out, subject...)
			continue
		}
		template = template[1:]
	}
	return string(out[:min(len(out), maxText)])
}
