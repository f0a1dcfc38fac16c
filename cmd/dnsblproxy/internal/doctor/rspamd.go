package doctor

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// rspamdShipped is what rspamd comes with. An update overwrites it.
const rspamdShipped = "/etc/rspamd/modules.d/rbl.conf"

// rspamd finds the lists of rspamd's module rbl, each in a block with a name.
// The files come in the order in which they are read: a block goes on where
// another file left it, but rbls in an override stands for all of it.
func (e *examination) rspamd() []use {
	type block struct {
		use
		off bool
	}
	blocks := map[string]block{}
	off := false
	for _, file := range []string{
		rspamdShipped, "/etc/rspamd/rspamd.conf.local", "/etc/rspamd/local.d/rbl.conf",
		"/etc/rspamd/override.d/rbl.conf", "/etc/rspamd/rspamd.conf.override",
	} {
		replaces := strings.Contains(file, "override")
		e.settings(file, func(within []string, key, value, place string) {
			if replaces && slices.Contains(within, "rbls") {
				clear(blocks)
				replaces = false
			}
			name := ""
			if len(within) > 0 {
				name = within[len(within)-1]
			}
			b := blocks[name]
			switch key {
			case "rbl":
				zone, ok := zoneName(value)
				if !ok {
					return
				}
				b.use = use{zone: zone, who: "rspamd", place: place, shipped: file == rspamdShipped}
			case "enabled":
				b.off = value == "false" || value == "no" || value == "off"
				if name == "" || name == "rbl" { // of the module
					off = b.off
					return
				}
			default:
				return
			}
			blocks[name] = b
		})
	}
	var all []use
	for b := range maps.Values(blocks) {
		if !off && !b.off && b.zone != "" {
			all = append(all, b.use)
		}
	}
	sortUses(all)
	return all
}

// uclToken is a comment, a text, a word or a sign of rspamd's configuration.
var uclToken = regexp.MustCompile(`(?s)#[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'[^']*'|[{}\[\];,=:\n]|[^\s{}\[\];,=:"'#]+`)

// settings calls found for each key of a file with a value of one word, and for
// each value of an array, within blocks of these names.
func (e *examination) settings(file string, found func(within []string, key, value, place string)) {
	var within, words []string
	end := func(place string) {
		last := len(within) - 1
		switch {
		case len(words) == 2:
			found(within, words[0], words[1], place)
		case len(words) == 1 && last >= 0: // an array's
			found(within[:last], within[last], words[0], place)
		}
		words = nil
	}
	text, at, line := e.read(file), 0, 1
	for _, t := range uclToken.FindAllStringIndex(text, -1) {
		line += strings.Count(text[at:t[0]], "\n")
		at = t[0]
		place := placeOf(file, line)
		switch token := text[t[0]:t[1]]; token[0] {
		case '=', ':', '#', '/':
		case '{', '[':
			name := ""
			if len(words) > 0 {
				name = words[len(words)-1]
			}
			within, words = append(within, name), nil
		case '}', ']':
			end(place)
			within = within[:max(0, len(within)-1)]
		case ';', ',':
			end(place)
		case '\n':
			if len(words) > 1 { // else the value or the block is still to come
				end(place)
			}
		default:
			words = append(words, strings.Trim(token, `"'`))
		}
	}
	end(placeOf(file, line))
}
