package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// sortUses orders by place: maps have no order.
func sortUses(all []use) {
	slices.SortFunc(all, func(a, b use) int {
		// Lines of the same file by number: shorter texts are smaller numbers.
		return cmp.Or(cmp.Compare(len(a.place), len(b.place)), cmp.Compare(a.place, b.place), cmp.Compare(a.zone, b.zone))
	})
}

// zones checks that what the mail server asks is served here.
func (e *examination) zones() {
	told := map[string]bool{}
	var shipped []string
	for _, u := range e.uses {
		if e.serves(u.zone) || told[u.zone] {
			continue
		}
		told[u.zone] = true
		if u.shipped { // rspamd knows their codes, tests them, and weighs them
			shipped = append(shipped, u.zone)
			continue
		}
		name, fix := u.zone, fmt.Sprintf("%s: add [zone.%q], or take the list out of %s", e.Config, u.zone, u.place)
		if list, ok := e.key(u.zone); ok {
			name = masked(u.zone)
			verb := "add"
			if e.serves(list) {
				verb = "complete"
			}
			fix = fmt.Sprintf(`%s: %s [zone.%q] with upstream = "${KEY}.%s"; %s: ask %s`, e.Config, verb, list, strings.TrimPrefix(name, "KEY."), u.place, list)
		}
		e.bad("zones", fix, "%s asks %s (%s), which dnsblproxy does not serve: its listings are final, and its failures too", u.who, name, u.place)
	}
	if len(e.uses) == 0 {
		e.fine("zones", "no list was found in the configuration of Postfix, Exim, rspamd or SpamAssassin below /etc")
	}
	beside := ""
	if len(shipped) > 0 {
		beside = "; rspamd asks some more that it comes with, whose listings know no exemption: " + strings.Join(shipped, ", ")
	}
	e.fine("zones", "every list that the mail server asks is served here%s", beside)
}

func (e *examination) serves(name string) bool {
	return slices.ContainsFunc(e.Zones, func(z Zone) bool { return z.has(name) })
}

// has reports whether questions for a list of this name are the zone's.
func (z *Zone) has(name string) bool {
	return name == z.Name || strings.HasSuffix(name, "."+z.Name)
}

// keys checks that no key stands in a name that the mail server puts into its
// replies and bounces.
func (e *examination) keys() {
	for _, u := range e.uses {
		list, ok := e.key(u.zone)
		if !ok || u.hidden {
			continue
		}
		e.bad("keys", fmt.Sprintf(`%s: ask %s instead; %s: [zone.%q] with upstream = "${KEY}.%s" asks the list with the key, and shows it to nobody`,
			u.place, list, e.Config, list, strings.TrimPrefix(masked(u.zone), "KEY.")),
			"%s: the key of %s stands in the name that %s asks, and so in its replies, bounces and logs", u.place, list, u.who)
	}
	e.fine("keys", "no key is visible in the configuration of the mail server")
}

// keyLength is from where on a first label is a key and no word.
const keyLength = 20

// key recognizes a name with a key, and returns the list's name without it.
func (e *examination) key(name string) (list string, ok bool) {
	if list, ok = e.Keyed(name); ok {
		return list, true
	}
	first, rest, _ := strings.Cut(name, ".")
	if len(first) >= keyLength && strings.ContainsAny(first, "0123456789") {
		return rest, true
	}
	return "", false
}

// masked is a name with a key, without the key.
func masked(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return "KEY." + rest
}
