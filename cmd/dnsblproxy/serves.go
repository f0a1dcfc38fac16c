package main

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
)

// serves is what a configuration amounts to, for people and for JSON. No key
// of a list and no other secret is in it.
type serves struct {
	Listen  []string    `json:"listen"`
	Clients []string    `json:"clients"`
	Others  string      `json:"others"`
	Servers []string    `json:"resolver_servers"`
	Admin   string      `json:"admin"`
	Zones   []zoneView  `json:"zones"`
	Rules   []rulesView `json:"rules"`
}

type zoneView struct {
	Zone       string   `json:"zone"`
	Source     string   `json:"source"`
	List       string   `json:"list,omitempty"` // what is asked; "" when that may hold a key
	Via        []string `json:"via,omitempty"`
	Kind       string   `json:"kind"`
	Mode       string   `json:"mode"`
	Listed     []string `json:"listed,omitempty"`
	NoOverride []string `json:"no_override,omitempty"`
	OnFailure  string   `json:"on_failure"`
}

type rulesView struct {
	Rule    string   `json:"rule"`
	Action  string   `json:"action"`
	Comment string   `json:"comment,omitempty"`
	Zones   []string `json:"zones"` // empty: all
	Sources []string `json:"sources"`
	Enabled bool     `json:"enabled"` // neither disabled nor expired
	Expires string   `json:"expires,omitempty"`
}

func servesOf(c *config.Config, lists *rbl.Table) *serves {
	s := &serves{Listen: texts(c.Listen), Clients: c.ClientTexts(), Others: c.Others, Servers: texts(c.Nameservers),
		Zones: []zoneView{}, Rules: []rulesView{}}
	if c.Systemd {
		s.Listen = append(s.Listen, "systemd")
	}
	if c.Admin.Listen.IsValid() {
		scheme := "http"
		if c.Admin.TLSCert != "" {
			scheme = "https"
		}
		s.Admin = scheme + "://" + c.Admin.Listen.String()
	}
	for _, z := range c.Zones {
		s.Zones = append(s.Zones, zoneViewOf(z, lists))
	}
	for _, r := range rules(c) {
		s.Rules = append(s.Rules, ruleViewOf(r, time.Now()))
	}
	return s
}

func texts[T fmt.Stringer](all []T) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = v.String()
	}
	return out
}

func zoneViewOf(z *config.Zone, lists *rbl.Table) zoneView {
	v := zoneView{Zone: z.Name, Source: z.Source, Kind: z.Kind, Mode: z.Mode,
		Listed: z.Listed, NoOverride: z.NoOverride, OnFailure: z.OnFailure}
	if z.Source != "upstream" {
		return v
	}
	v.List = z.Shown(syntax(lists).WellKnown)
	v.Via = []string{z.Via.Mode}
	if z.Via.Mode == "servers" {
		v.Via = texts(z.Via.Servers)
	}
	if known := knownList(lists, z); known != nil && len(v.Listed) == 0 {
		v.Listed = known.Listed.Strings()
	}
	return v
}

func ruleViewOf(r overrides.Rule, now time.Time) rulesView {
	v := rulesView{Rule: r.Name, Action: r.Action.String(), Comment: r.Comment, Zones: append([]string{}, r.Zones...), Enabled: r.Active(now.Unix()), Expires: untilText(r.Expires), Sources: []string{}}
	add := func(kind string, names ...string) {
		for _, n := range names {
			v.Sources = append(v.Sources, kind+" "+n)
		}
	}
	add("cidr", r.CIDR...)
	if r.File != "" {
		add("file", shownPath(r.File))
	}
	add("domains", r.Domains...)
	add("spf", r.SPF...)
	add("a", r.A...)
	add("mx", r.MX...)
	if r.URL != "" {
		add("url", r.ShownURL())
	}
	return v
}

// print writes it for people.
func (s *serves) print(a *app) error {
	others := "REFUSED"
	if s.Others == "forward" {
		others = "forwarded to " + strings.Join(s.Servers, ", ")
	}
	return a.table(func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "listen\t%s\n", strings.Join(s.Listen, ", "))
		fmt.Fprintf(w, "clients\t%s\n", strings.Join(s.Clients, ", "))
		fmt.Fprintf(w, "other names\t%s\n", others)
		fmt.Fprintf(w, "admin\t%s\n", cmp.Or(s.Admin, "off"))
		fmt.Fprintf(w, "\nZONE\tMODE\tKIND\tANSWERS FROM\n")
		for _, z := range s.Zones {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", z.Zone, z.Mode, z.Kind, z.from())
		}
		if len(s.Rules) == 0 {
			return
		}
		fmt.Fprintf(w, "\nRULE\tACTION\tZONES\tSOURCES\n")
		for _, r := range s.Rules {
			zones := cmp.Or(strings.Join(r.Zones, ", "), "all")
			action := r.Action
			if !r.Enabled {
				action += " (off)"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Rule, action, zones, shortened(r.Sources))
		}
	})
}

// from says in words where a zone's answers come from.
func (z zoneView) from() string {
	switch z.Source {
	case "upstream":
		list := cmp.Or(z.List, "its upstream")
		switch via := strings.Join(z.Via, ", "); via {
		case "resolver":
			return list + " through the resolver"
		case "direct":
			return list + ", its own name servers"
		default:
			return list + " at " + via
		}
	case "deny":
		return "the deny rules that name it"
	case "allow":
		return "the allow rules"
	case "file":
		return "its data files"
	case "rdns":
		return "reverse DNS"
	default:
		return "other zones, weighed"
	}
}

// shortened keeps a line readable where a rule has hundreds of ranges.
func shortened(sources []string) string {
	const most = 3
	if len(sources) <= most {
		return strings.Join(sources, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(sources[:most], ", "), len(sources)-most)
}
