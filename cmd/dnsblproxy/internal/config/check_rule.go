package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// checkRule checks what allow and deny rules have in common.
func (r *reader) checkRule(u *Rule, kind string) {
	path := place{kind, u.Name}
	what := fmt.Sprintf("%s rule %q", kind, u.Name)

	sources := []string{"cidr", "file", "spf", "a", "mx", "url", "domains"}
	written := slices.ContainsFunc(sources, func(key string) bool { return r.reported(path.at(key)) })
	none := len(u.CIDR)+len(u.SPF)+len(u.A)+len(u.MX)+len(u.Domains) == 0 && u.File == "" && u.URL == ""
	if none && !written && !r.reported(path) {
		r.bad(path, what+" has no sources", "write at least one of "+strings.Join(sources, ", "))
	}
	r.checkScope(path.at("zones"), what, u.Zones)
	r.checkURL(u, path, what)
	over := !u.Expires.IsZero() && r.Now().Format(time.DateOnly) > u.Expires.Format(time.DateOnly)
	if u.File != "" && u.Enabled && !over { // a rule that does nothing needs no file
		r.readable(path.at("file"), u.File)
	}
	r.checkExcept(u, path, what)
	if over {
		r.warn(path.at("expires"), what+" has expired and does nothing", "remove it, or write a later date")
	}
}

// checkURL wants what is said of a feed to have one.
func (r *reader) checkURL(u *Rule, path place, what string) {
	if u.URL == "" {
		if u.JQ != "" && !r.reported(path.at("url")) {
			r.bad(path.at("jq"), what+" has a jq filter without a url", "write url, or remove jq")
		}
		if r.c.Defined(path.at("refresh")...) && !r.reported(path.at("url")) {
			r.bad(path.at("refresh"), what+" has refresh without a url (spf, a and mx follow their TTLs)", "write url, or remove refresh")
		}
		return
	}
	if err := r.Feed(u); err != nil {
		r.badErr(path.at("url"), err)
	}
}

// checkExcept wants "spf:DOMAIN" to have something to be taken out of.
func (r *reader) checkExcept(u *Rule, path place, what string) {
	for i, e := range u.Except {
		if strings.HasPrefix(e, "spf:") && len(u.SPF) == 0 && !r.reported(path.at("spf")) {
			r.bad(path.at("except", i), fmt.Sprintf("%s excepts %q but has no spf source", what, e), "write spf, or except addresses only")
		}
	}
}

// checkScope wants every zone of a scope to exist.
func (r *reader) checkScope(path place, what string, zones []string) {
	for i, name := range zones {
		if r.c.Zone(name) == nil {
			r.bad(path.at(i), fmt.Sprintf("%s names the zone %q, which is no zone here", what, name), r.zoneHint(name, ""))
		}
	}
}

// checkAllow warns of a rule that is for allowlists only: their answers no rule
// changes.
func (r *reader) checkAllow(u *Rule) {
	heeds := func(name string) bool {
		z := r.c.Zone(name)
		return z == nil || z.Kind != "allow" || z.Source == "allow"
	}
	if len(u.Zones) > 0 && !slices.ContainsFunc(u.Zones, heeds) {
		r.warn(place{"allow", u.Name, "zones"}, fmt.Sprintf(`allow rule %q does nothing, for each of its zones is of kind "allow", whose answers no rule changes`, u.Name),
			`name zones of kind "block", or none for all of them`)
	}
}

// checkDeny checks what only deny rules have to obey.
func (r *reader) checkDeny(u *Rule) {
	path := place{"deny", u.Name}
	zones := path.at("zones")
	if len(u.Zones) == 0 && !r.reported(zones) {
		r.bad(path, fmt.Sprintf("deny rule %q names no zones, and a listing everywhere is never meant", u.Name),
			`write zones = ["local.rbl.internal"], with the zones in which it is to list`)
	}
	if n := len(u.Text); n > maxText {
		r.bad(path.at("text"), fmt.Sprintf("deny rule %q has a text of %d octets, which fits into no UDP answer", u.Name, n),
			fmt.Sprintf("write %d or fewer", maxText))
	}
	for i, name := range u.Zones {
		z := r.c.Zone(name)
		if z != nil && z.Kind == "allow" {
			r.bad(zones.at(i), fmt.Sprintf("deny rule %q names the zone %q, which is an allowlist: to be listed there is good", u.Name, name),
				`name zones of kind "block" only`)
		}
	}
}

// maxText is the longest text of a deny rule, in octets: it and the longest
// name fit into a UDP answer of 1232.
const maxText = 900

// checkDenied warns of local lists that list nobody.
func (r *reader) checkDenied() {
	for _, z := range r.c.Zones {
		if z.Source != "deny" {
			continue
		}
		if !slices.ContainsFunc(r.c.Deny, func(u *Rule) bool { return slices.Contains(u.Zones, z.Name) }) {
			r.warn(place{"zone", z.Name}, fmt.Sprintf("zone %q lists nobody, for no deny rule names it", z.Name),
				fmt.Sprintf("write a [deny.NAME] with zones = [%q]", z.Name))
		}
	}
}
