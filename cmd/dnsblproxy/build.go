package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
)

// load reads the configuration with the checks of the packages that own the
// syntaxes. As with config.Load, the Config beside an error is good for
// finding more problems only.
func (a *app) load() (*config.Config, error) {
	path, err := a.configPath()
	if err != nil {
		return nil, err
	}
	return config.Load(path, loadOptions(a.lists))
}

func loadOptions(lists *rbl.Table) config.Options {
	return config.Options{Syntax: syntax(lists)}
}

// syntax hands config the checks of rbl and overrides.
func syntax(lists *rbl.Table) config.Syntax {
	return config.Syntax{
		Codes:   codeSet,
		Prefix:  func(s string) error { _, err := overrides.ParseRange(s); return err },
		Watched: watchable,
		Domain:  domainName,
		JQ:      jqFilter,
		Feed: func(u *config.Rule) error {
			return overrides.CheckURL(overrides.Rule{URL: u.URL.Reveal(), Secrets: keys(u.Keys), Insecure: u.Insecure})
		},
		Shared: sharedURL,
		Weights: func(z *config.Zone) error {
			_, _, err := weigh(z)
			return err
		},
		WellKnown: func(upstream string) config.Known {
			l, ok := lists.Find(upstream)
			if !ok {
				return config.Known{}
			}
			k := config.Known{Name: l.Zone, Kind: l.Kind.String(), Holds: l.Holds.Strings()}
			if l.Dead != nil {
				k.Dead = fmt.Sprintf("%s (since %s)", l.Dead.Reason, l.Dead.Since)
			}
			return k
		},
	}
}

// codeSet checks one element of listed and the like.
func codeSet(s string) error {
	_, err := rbl.ParseCodeSet([]string{s})
	return instead(err, `write "127.0.0.2", "127.0.0.2-127.0.0.11", "127.0.1.0/24", "127.0.[2..15].[0..3]" or "127.0.0.&8"`)
}

// instead adds what to write to an error that only says what is wrong.
func instead(err error, write string) error {
	if err == nil || strings.Contains(err.Error(), "; ") {
		return err
	}
	return fmt.Errorf("%w; %s", err, write)
}

// domainName checks the name of a zone, a host or a domain.
func domainName(s string) error {
	_, err := overrides.ParseHost(s)
	return err
}

// jqFilter asks overrides about a filter alone.
func jqFilter(s string) error {
	errs := overrides.Validate(overrides.Rule{Name: "jq", URL: "https://example.com/", JQ: s})
	var p *overrides.Problem
	if errors.As(errors.Join(errs...), &p) {
		return instead(errors.New(p.Msg), "write a filter such as '.prefixes[].ip_prefix'")
	}
	return errors.Join(errs...)
}

// rules turns the tables of the configuration into those of overrides.
func rules(c *config.Config) []overrides.Rule {
	all := make([]overrides.Rule, 0, len(c.Allow)+len(c.Deny))
	for _, u := range c.Allow {
		all = append(all, rule(c, u, overrides.Allow))
	}
	for _, u := range c.Deny {
		all = append(all, rule(c, u, overrides.Deny))
	}
	return all
}

func rule(c *config.Config, u *config.Rule, action overrides.Action) overrides.Rule {
	r := overrides.Rule{
		Name: u.Name, Action: action, Comment: u.Comment,
		Zones: u.Zones, Enabled: u.Enabled, Expires: u.Expires,
		CIDR: u.CIDR, Domains: u.Domains, File: u.File, SPF: u.SPF, A: u.A, MX: u.MX,
		URL: u.URL.Reveal(), Secrets: keys(u.Keys), Insecure: u.Insecure, Except: u.Except,
		MaxV4: limit(u.MaxV4), MaxV6: limit(u.MaxV6),
		Shown: c.Shown(u.File), Text: u.Text, Pos: overrides.Position{File: c.Path, Line: u.Line},
	}
	if r.URL != "" {
		r.Refresh, r.JQ = u.Refresh, u.JQ
	}
	if action == overrides.Deny {
		r.Code, _ = netip.ParseAddr(u.Code) // config has checked it
	}
	return r
}

// limit is a prefix length as overrides counts them, where 0 is the default.
func limit(bits int) int {
	if bits == 0 {
		return overrides.NoLimit
	}
	return bits
}

// ruleProblems turns what overrides found wrong into problems with the line
// of the key. It unfolds joined errors.
func ruleProblems(c *config.Config, errs ...error) []config.Problem {
	var all []config.Problem
	for _, err := range errs {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			all = append(all, ruleProblems(c, joined.Unwrap()...)...)
			continue
		}
		all = append(all, ruleProblem(c, err))
	}
	return all
}

func ruleProblem(c *config.Config, err error) config.Problem {
	var p *overrides.Problem
	if !errors.As(err, &p) {
		what, instead, _ := strings.Cut(err.Error(), "; ")
		return c.Problem(what, instead)
	}
	what, instead, _ := strings.Cut(p.Msg, "; ")
	if p.File != c.Path { // a rule file, with its own lines
		return config.Problem{File: p.File, Line: p.Line, What: what, Instead: instead}
	}
	if p.Key != "" {
		what = p.Key + ": " + what
	}
	return c.Problem(what, instead, keyPath(c, p)...)
}

// keyPath is the way to the key, and to the element whose text is wrong.
func keyPath(c *config.Config, p *overrides.Problem) []any {
	action, rest, _ := strings.Cut(p.Key, ".")
	for _, u := range slices.Concat(c.Allow, c.Deny) {
		if u.Line != p.Line || !strings.HasPrefix(rest, u.Name) {
			continue
		}
		key, ok := strings.CutPrefix(rest, u.Name+".")
		if !ok {
			return []any{action, u.Name}
		}
		lists := map[string][]string{"cidr": u.CIDR, "domains": u.Domains, "spf": u.SPF, "a": u.A, "mx": u.MX, "except": u.Except}
		if i := slices.Index(lists[key], p.Text); i >= 0 {
			return []any{action, u.Name, key, i}
		}
		return []any{action, u.Name, key}
	}
	return nil
}
