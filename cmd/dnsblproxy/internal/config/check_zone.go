package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// heeds lists, for each source, the keys that it heeds beside those that every
// zone does.
var heeds = map[string][]string{
	"upstream": {"upstream", "via", "listed", "no_override", "on_failure", "verify", "probe", "budget"},
	"file":     {"files", "listed", "no_override", "on_failure"},
	"rdns":     {"listed", "no_override", "on_failure"},
	"combined": {"threshold", "weights", "on_failure"},
}

// sourceOf says which source a key is for; "" when it is for all of them, or unknown.
func sourceOf(key string) string {
	for _, source := range []string{"upstream", "file", "combined"} {
		if slices.Contains(heeds[source], key) {
			return source
		}
	}
	return ""
}

func (r *reader) checkZone(z *Zone) {
	path := place{"zone", z.Name}
	switch {
	case r.reported(path): // most often a name without quotes, of which this is the first label
	case !r.checked(value{path: path}, z.Name, r.Domain):
	case !asAsked(z.Name):
		r.bad(path, fmt.Sprintf("zone %q is not spelled as it is asked in the DNS", z.Name), "write it without blanks, and in its xn-- form")
	case len(z.Name) > maxName:
		r.bad(path, fmt.Sprintf("zone %q leaves no room for an address before it", z.Name), writeShorter)
	}
	if !r.reported(path.at("source")) {
		r.checkFitting(z)
	}
	switch z.Source {
	case "upstream":
		r.checkUpstream(z)
	case "allow":
		if r.c.Defined(path.at("kind")...) && z.Kind != "allow" {
			r.bad(path.at("kind"), fmt.Sprintf(`zone %q publishes the allowlist, so its kind cannot be "block"`, z.Name), `remove kind, or write "allow"`)
		}
		z.Kind = "allow"
	case "deny", "rdns":
		if z.Kind != "block" {
			r.bad(path.at("kind"), fmt.Sprintf(`zone %q has source %q, so its kind cannot be "allow"`, z.Name, z.Source), "remove kind")
			z.Kind = "block"
		}
	case "file":
		if len(z.Files) == 0 && !r.reported(path.at("files")) {
			r.bad(path, fmt.Sprintf("zone %q has no files", z.Name), `write files = ["ip4trie:zen.ip4"]`)
		}
	case "combined":
		r.checkCombined(z)
	}
	if z.Kind == "allow" && len(z.NoOverride) > 0 {
		r.warn(path.at("no_override"), fmt.Sprintf("zone %q is of kind \"allow\", whose answers no exemption removes: no_override does nothing", z.Name), "remove it")
	}
	if len(z.Holds) == 0 && !r.reported(path.at("holds")) {
		r.bad(path.at("holds"), fmt.Sprintf("zone %q holds nothing", z.Name), `write some of "ip4", "ip6", "domain", or mode = "off" to answer unlisted to all`)
	}
}

func (r *reader) checkFitting(z *Zone) {
	table, _ := r.c.root.find(place{"zone", z.Name})
	for key := range table.kids {
		source := sourceOf(key)
		if source == "" || slices.Contains(heeds[z.Source], key) {
			continue
		}
		r.bad(place{"zone", z.Name, key}, fmt.Sprintf("zone %q has source %q, which does not heed %s", z.Name, z.Source, key),
			fmt.Sprintf("remove it, or write source = %q", source))
	}
}

// checkUpstream refuses lists that are no more, unless the zone is off, and
// takes from the table of well-known lists what the file does not say: the kind,
// and what the list holds, for some answer anything else with an error code.
func (r *reader) checkUpstream(z *Zone) {
	known := r.WellKnown(z.Upstream.Reveal())
	if known.Kind != "" && !r.c.Defined("zone", z.Name, "kind") {
		z.Kind = known.Kind
	}
	if len(known.Holds) > 0 && !r.c.Defined("zone", z.Name, "holds") {
		z.Holds = known.Holds
	}
	if known.Dead == "" || z.Mode == "off" {
		return
	}
	r.bad(place{"zone", z.Name, "upstream"}, fmt.Sprintf("zone %q: the list %s is dead: %s", z.Name, known.Name, known.Dead),
		`remove the zone here and in the mail server, or write mode = "off" to answer unlisted`)
}

// checkCombined checks what a combined zone adds up.
func (r *reader) checkCombined(z *Zone) {
	before := len(r.problems)
	path := place{"zone", z.Name}
	weights := path.at("weights")
	threshold := path.at("threshold")
	if z.Threshold == 0 && !r.reported(threshold) {
		r.bad(path, fmt.Sprintf("zone %q has no threshold", z.Name), "write threshold = 4, the sum from which on an address is listed")
	}
	if len(z.Weights) == 0 && !r.reported(weights) {
		r.bad(path, fmt.Sprintf("zone %q has no weights", z.Name), `write weights = { "zen.spamhaus.org" = 4 }`)
	}
	sum, inForce := 0, 0
	var idle []string // members that count nothing
	for _, w := range z.Weights {
		sum += max(w.Weight, 0)
		switch member := r.c.Zone(w.Zone); {
		case member == nil:
			r.problems = append(r.problems, Problem{File: r.file, Line: w.Line,
				What:    fmt.Sprintf("zone %q weighs %q, which is no zone here", z.Name, w.Zone),
				Instead: r.zoneHint(w.Zone, z.Name)})
		case member.Mode == "enforce":
			inForce += max(w.Weight, 0)
		case !slices.Contains(idle, w.Zone):
			idle = append(idle, w.Zone)
		}
	}
	if len(z.Weights) > 0 && sum < z.Threshold && !r.reported(weights) {
		r.bad(threshold, fmt.Sprintf("zone %q can never list: its positive weights add up to %d, below the threshold %d", z.Name, sum, z.Threshold),
			"lower the threshold or raise a weight")
	}
	if chain := r.cycle(z, []string{z.Name}); chain != nil {
		r.bad(weights, fmt.Sprintf("zone %q weighs itself: %s", z.Name, strings.Join(chain, " -> ")), "take one of these zones out of the weights of the other")
	}
	if len(r.problems) > before {
		return
	}
	if inForce < z.Threshold && len(idle) > 0 && z.Mode != "off" {
		r.warn(weights, fmt.Sprintf(`zone %q can list nothing while members are not in mode "enforce" (%s): the other positive weights add up to %d, below the threshold %d`,
			z.Name, strings.Join(idle, ", "), inForce, z.Threshold), `write mode = "enforce" there, or weigh other zones`)
	}
	if z.Threshold > 0 && len(z.Weights) > 0 {
		if err := r.Weights(z); err != nil {
			r.badErr(weights, err)
		}
	}
}

// cycle returns the way from a combined zone back to the first of seen, or
// nil.
func (r *reader) cycle(z *Zone, seen []string) []string {
	for _, w := range z.Weights {
		if w.Zone == seen[0] {
			return append(slices.Clip(seen), w.Zone)
		}
		next := r.c.Zone(w.Zone)
		if next == nil || next.Source != "combined" || slices.Contains(seen, w.Zone) {
			continue
		}
		if chain := r.cycle(next, append(slices.Clip(seen), w.Zone)); chain != nil {
			return chain
		}
	}
	return nil
}

// zoneHint says which zones there are but one, which cannot be meant.
func (r *reader) zoneHint(name, but string) string {
	names := slices.DeleteFunc(r.c.ZoneNames(), func(n string) bool { return n == but })
	instead := fmt.Sprintf("write a table [zone.%q]", name)
	if len(names) > 0 {
		instead += ", or name one of " + strings.Join(names, ", ")
	}
	return hint(name, names, instead)
}

func (r *reader) checkWatch(w *Watch) {
	path := place{"watch", w.Name}
	if len(w.CIDR) == 0 && !r.reported(path.at("cidr")) {
		r.bad(path, fmt.Sprintf("watch %q has no addresses", w.Name), `write cidr = ["203.0.113.25"]`)
	}
	r.checkScope(path.at("zones"), fmt.Sprintf("watch %q", w.Name), w.Zones)
	if len(w.Notify) > 0 {
		if _, err := r.LookPath(w.Notify[0]); err != nil {
			r.warn(path.at("notify"), fmt.Sprintf("watch %q: the command %q cannot be run: %v", w.Name, w.Notify[0], err), "name a program with its path; no shell is involved")
		}
	}
	notify := path.at("notify", 0)
	if len(w.Notify) > 0 && w.Notify[0] == "" {
		r.bad(notify, fmt.Sprintf("watch %q notifies by a command without a name", w.Name), `write ["/path/to/program", "argument"]`)
	}
	if w.Webhook != "" {
		r.checkWebhook(notify, fmt.Sprintf("watch %q", w.Name), w.Webhook.Reveal())
	}
}

// checkWebhook wants a URL that can be posted to. No message repeats it: its
// path too is a key with many services.
func (r *reader) checkWebhook(path place, what, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		r.bad(path, what+": the webhook in notify is no URL of https:// or http://", `write "https://host/path", or a program with its path`)
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		r.warn(path, what+": whoever sits between us and an http:// webhook reads it, its key too", "write https:// if the service has it")
	}
}

// loopbackHost says whether host is an address of the loopback interface or
// "localhost".
func loopbackHost(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}
