package main

import (
	"fmt"
	"log/slog"
	"slices"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
)

// warn writes down what is worth a line, and no reason to refuse.
func warn(log *slog.Logger, c *config.Config, lists *rbl.Table) {
	for _, p := range warningsOf(c, lists) {
		log.Warn("configuration", slog.String("problem", p.String()))
	}
}

// warningsOf is what the configuration alone tells, before anybody is asked.
func warningsOf(c *config.Config, lists *rbl.Table) []config.Problem {
	all := slices.Clone(c.Warnings)
	for _, r := range rules(c) {
		all = append(all, ruleProblems(c, overrides.Warnings(r)...)...)
	}
	for _, z := range c.Zones {
		if key := lists.Key(z.Name); key != "" {
			all = append(all, c.Problem("this zone is named with a key, which is in logs, metrics and bounces then",
				fmt.Sprintf(`write upstream = "${DQS_KEY}%s" below a name of your own, and have the mail server ask that`, z.Name[len(key):]), "zone", z.Name))
		}
		all = append(all, inVain(c, z, knownList(lists, z))...)
		for _, w := range z.Weights {
			all = append(all, idle(c, z, w, lists)...)
		}
	}
	return all
}

// idle warns of a weight that never counts, because its codes are no listing
// in the zone that is weighed: a list's word of praise, most often.
func idle(c *config.Config, z *config.Zone, w config.Weight, lists *rbl.Table) []config.Problem {
	member := c.Zone(w.Zone)
	if member == nil || w.Codes == "" {
		return nil
	}
	all, err := listed(member, knownList(lists, member))
	codes, wrong := rbl.ParseCodeSet([]string{w.Codes})
	if err != nil || wrong != nil || codes.Meets(all) {
		return nil
	}
	for _, u := range c.Deny { // whose code need be no listing of the list's
		if code, err := rbl.ParseCode(u.Code); err == nil && codes.Contains(code) && slices.Contains(u.Zones, w.Zone) {
			return nil
		}
	}
	return []config.Problem{{File: c.Path, Line: w.Line,
		What:    fmt.Sprintf("zone %q: the weight of %q does nothing, for these are none of the codes that are a listing there: %s", z.Name, w.Zone+"="+w.Codes, all),
		Instead: "weigh another zone with the same upstream that has them in listed, or remove it"}}
}

// inVain warns of codes in no_override that are no listing.
func inVain(c *config.Config, z *config.Zone, known *rbl.List) (warnings []config.Problem) {
	all, err := listed(z, known)
	for i, s := range z.NoOverride {
		if one, wrong := rbl.ParseCodeSet([]string{s}); err == nil && wrong == nil && !one.Meets(all) {
			warnings = append(warnings, c.Problem(
				fmt.Sprintf("zone %q: %s in no_override does nothing, for it is none of the codes that are a listing: %s", z.Name, s, all),
				"add it to listed, or remove it", "zone", z.Name, "no_override", i))
		}
	}
	return warnings
}
