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
		all = append(all, inVain(c, z, knownList(lists, z))...)
	}
	return all
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
