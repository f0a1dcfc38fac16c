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
func (a *app) listWarnings(ctx context.Context, c *config.Config) (warnings []config.Problem, err error) {
	for _, entry := range []string{entryIP4, entryIP6, entryDomain} {
		asked := *c
		asked.Zones, asked.Allow, asked.Deny = nil, nil, nil
		for _, z := range c.Zones {
			if z.Source == "upstream" && probed(z) && testEntry(z) == entry {
				asked.Zones = append(asked.Zones, z)
			}
		}
		if len(asked.Zones) == 0 {
			continue
		}
		subject, err := rbl.ParseSubject(entry)
		if err != nil {
			return nil, err
		}
		answers, err := a.once(ctx, &asked, subject)
		if err != nil {
			return nil, err
		}
		for i, z := range asked.Zones {
			if what := testVerdict(&answers[i], knownList(a.lists, z)); what != "" {
				warnings = append(warnings, c.Problem("zone "+z.Name+": "+what, "", "zone", z.Name))
			}
		}
	}
	return warnings, nil
}

const entryIP4, entryIP6, entryDomain = "127.0.0.2", "::ffff:127.0.0.2", "test"

// testEntry is the one that a list is asked for. One is enough.
func testEntry(z *config.Zone) string {
	switch {
	case slices.Contains(z.Holds, "ip4"):
		return entryIP4
	case slices.Contains(z.Holds, "ip6"):
		return entryIP6
	}
	return entryDomain
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
