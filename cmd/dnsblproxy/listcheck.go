package main

import (
	"context"
	"slices"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver/rbl"
)

// listWarnings asks every list for its test entry (RFC 5782, section 5), the
// way the server would, and says in words what comes of it: a list that
// answers with an error code tells there what it wants.
func (a *app) listWarnings(ctx context.Context, c *config.Config) ([]config.Problem, error) {
	asked := *c
	asked.Zones, asked.Allow, asked.Deny = nil, nil, nil
	for _, z := range c.Zones {
		if z.Source == "upstream" && z.Mode != "off" && z.Probe {
			asked.Zones = append(asked.Zones, z)
		}
	}
	if len(asked.Zones) == 0 {
		return nil, nil
	}
	decide, end, err := a.own(ctx, &asked)
	if err != nil {
		return nil, err
	}
	defer end()
	var warnings []config.Problem
	seen := map[string]bool{}
	for _, test := range []struct{ held, entry string }{{"ip4", "127.0.0.2"}, {"ip6", "::ffff:127.0.0.2"}, {"domain", "test"}} {
		subject, err := rbl.ParseSubject(test.entry)
		if err != nil {
			return nil, err
		}
		answers, err := decide(ctx, subject)
		if err != nil {
			return nil, err
		}
		for i, z := range asked.Zones {
			if !slices.Contains(z.Holds, test.held) || seen[z.Name] {
				continue
			}
			seen[z.Name] = true // one of them is enough: few lists hold all
			if what := testVerdict(&answers[i], knownList(a.lists, z)); what != "" {
				warnings = append(warnings, c.Problem("zone "+z.Name+": "+what, "", "zone", z.Name))
			}
		}
	}
	return warnings, nil
}

// testVerdict is what is wrong with a list's answer to its test entry.
func testVerdict(a *admin.Answer, known *rbl.List) string {
	switch {
	case a.Verdict == "failed":
		return "the list does not serve us: " + a.Reason
	case a.Verdict == "listed", known != nil && known.Probe != rbl.ProbeRFC:
		return ""
	}
	return "the list does not list its test entry (RFC 5782, section 5): it is gone, or something on the way to it takes listings out"
}
