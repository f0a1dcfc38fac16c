package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Key is one key of the schema, for documents and for tests.
type Key struct {
	Path    []string // NAME stands for a name that the user chooses
	Want    string   // what to write
	Default string   // as a TOML value; empty without one
}

// Schema lists every key, tables left out, in the order of the reference.
func Schema() []Key {
	d := newDefaults()
	return keysOf(nil, schema(&d))
}

func keysOf(path []string, fields []field) []Key {
	var keys []Key
	for _, f := range fields {
		p := append(slices.Clip(path), f.key)
		if f.sub == nil {
			keys = append(keys, Key{Path: p, Want: f.want, Default: f.def})
			continue
		}
		if f.named {
			p = append(p, "NAME")
		}
		keys = append(keys, keysOf(p, f.sub)...)
	}
	return keys
}

// schema is the whole file. Reading stores into d.Config.
func schema(d *defaults) []field {
	c := &d.Config
	zone, rule, watch := d.Zone, d.Rule, d.Watch // examples, for the sub-fields
	return []field{
		listenField(c),
		clientsField(c),
		oneOf("others", &c.Others, "forward", "refuse"),
		path("state", &c.State),
		table("admin",
			adminListenField(c),
			secret("token", &c.Admin.Token, nil),
			path("tls_cert", &c.Admin.TLSCert),
			path("tls_key", &c.Admin.TLSKey)),
		table("log",
			oneOf("level", &c.Log.Level, "debug", "info", "warn", "error"),
			oneOf("format", &c.Log.Format, "text", "json")),
		table("dnstap",
			path("socket", &c.Dnstap.Socket),
			path("file", &c.Dnstap.File)),
		table("resolver",
			serversField("servers", &c.Resolver.Servers),
			duration("timeout", &c.Resolver.Timeout, 10*time.Millisecond),
			duration("deadline", &c.Resolver.Deadline, 10*time.Millisecond)),
		table("cache", cacheFields(&c.Cache)...),
		named("zone", `"zen.spamhaus.org"`, zoneFields(&zone), d.addZone),
		named("allow", "efax", ruleFields(&rule, false), d.addRule(&c.Allow, false)),
		named("deny", "local", ruleFields(&rule, true), d.addRule(&c.Deny, true)),
		named("watch", "outbound", watchFields(&watch), d.addWatch),
	}
}

func cacheFields(c *Cache) []field {
	return []field{
		size("size", &c.Size, 1<<20, 1<<40),
		ttl("min_ttl", &c.MinTTL),
		ttl("max_ttl", &c.MaxTTL),
		ttl("max_negative_ttl", &c.MaxNegativeTTL),
		ttl("stale", &c.Stale),
		boolean("prefetch", &c.Prefetch),
		table("shared",
			secret("url", &c.Shared.URL, nil),
			duration("timeout", &c.Shared.Timeout, time.Millisecond),
			secret("secret", &c.Shared.Secret, nil)),
	}
}

func (d *defaults) addZone(r *reader, path place, name string) []field {
	z := d.Zone
	z.Name, z.Line = canonical(name), r.c.Line(path...)
	r.c.root.alias(path, z.Name)
	z.Holds = slices.Clone(z.Holds)
	z.Upstream = Secret(z.Name)
	for _, other := range r.c.Zones {
		if other.Name == z.Name {
			r.bad(path, fmt.Sprintf("zone %q is the zone of line %d again", name, other.Line),
				"put both into one table (case and a trailing dot make no difference)")
		}
	}
	r.c.Zones = append(r.c.Zones, &z)
	return zoneFields(&z)
}

func zoneFields(z *Zone) []field {
	return []field{
		upstreamField(z),
		viaField(&z.Via),
		oneOf("source", &z.Source, "upstream", "deny", "allow", "file", "rdns", "combined"),
		oneOf("kind", &z.Kind, "block", "allow"),
		texts("listed", &z.Listed, codes),
		texts("no_override", &z.NoOverride, codes),
		codesField(&z.Codes),
		texts("holds", &z.Holds, func(r *reader, v value, s string) (string, bool) {
			return s, r.word(v, s, "ip4", "ip6", "domain")
		}),
		oneOf("mode", &z.Mode, "enforce", "observe", "off"),
		oneOf("on_failure", &z.OnFailure, "unlisted", "servfail"),
		boolean("verify", &z.Verify),
		boolean("probe", &z.Probe),
		count("budget", &z.Budget, 0),
		filesField(&z.Files),
		required(count("threshold", &z.Threshold, 1)),
		weightsField(&z.Weights),
	}
}

func (d *defaults) addRule(to *[]*Rule, deny bool) func(*reader, place, string) []field {
	return func(r *reader, path place, name string) []field {
		rule := d.Rule
		rule.Name, rule.Line = name, r.c.Line(path...)
		if !deny {
			rule.Code = ""
		}
		r.name(path, "rule", name)
		*to = append(*to, &rule)
		return ruleFields(&rule, deny)
	}
}

func ruleFields(u *Rule, deny bool) []field {
	fields := []field{
		text("comment", &u.Comment),
		texts("spf", &u.SPF, domain),
		secret("url", &u.URL, &u.Keys),
		jqField(&u.JQ),
		durationUpTo("refresh", &u.Refresh, time.Second, 24*time.Hour),
		boolean("insecure", &u.Insecure),
		texts("cidr", &u.CIDR, prefix),
		path("file", &u.File),
		texts("a", &u.A, domain),
		texts("mx", &u.MX, domain),
		texts("domains", &u.Domains, dottedDomain),
		texts("except", &u.Except, exception),
		texts("zones", &u.Zones, zoneName),
		boolean("enabled", &u.Enabled),
		lastDay("expires", &u.Expires),
		prefixLength("max_v4", &u.MaxV4, 32),
		prefixLength("max_v6", &u.MaxV6, 128),
	}
	if deny {
		fields = append(fields, codeField(&u.Code), text("text", &u.Text))
	}
	return fields
}

func (d *defaults) addWatch(r *reader, path place, name string) []field {
	w := d.Watch
	w.Name, w.Line = name, r.c.Line(path...)
	r.name(path, "watch", name)
	r.c.Watch = append(r.c.Watch, &w)
	return watchFields(&w)
}

func watchFields(w *Watch) []field {
	return []field{
		texts("cidr", &w.CIDR, watched),
		texts("zones", &w.Zones, zoneName),
		duration("every", &w.Every, time.Minute),
		notifyField(w),
	}
}

// name checks the name of a rule or a watch: it goes into answers, labels and
// logs.
func (r *reader) name(path place, what, name string) {
	odd := func(c rune) bool { return !unicode.IsPrint(c) || c == '"' || c == unicode.ReplacementChar }
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, odd) {
		r.bad(path, fmt.Sprintf("%q cannot be a name", name), "write one to 64 printable characters without quotes")
	}
	folded := fmt.Sprint(path[0], " ", strings.ToLower(name))
	if first, again := r.names[folded]; again {
		r.bad(path, fmt.Sprintf("%s %q differs from %q of line %d in case only", what, name, first, r.c.Line(path[0], first)),
			"give it another name, or put both into one table")
		return
	}
	r.names[folded] = name
}

// canonical is the form in which names of zones are compared.
func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// asAsked says whether a domain name that was accepted is spelled as questions
// have it: zones and lists are compared with these byte for byte.
func asAsked(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' })
}

// maxName is the longest name of a zone or a list, in octets: "255.255.255.255."
// fits before it (RFC 1035, section 2.3.4).
const (
	maxName      = 253 - 16
	writeShorter = "write a name of 237 octets or fewer"
)

func zoneName(_ *reader, _ value, s string) (string, bool) { return canonical(s), true }

// word refuses everything but a few words.
func (r *reader) word(v value, s string, words ...string) bool {
	ok := slices.Contains(words, s)
	if !ok {
		r.bad(v.path, fmt.Sprintf("%s cannot hold %q", dotted(v.path), s), `write some of "`+strings.Join(words, `", "`)+`"`)
	}
	return ok
}

// checked passes s to a check.
func (r *reader) checked(v value, s string, check func(string) error) bool {
	err := check(s)
	if err != nil {
		r.badErr(v.path, err)
	}
	return err == nil
}

func codes(r *reader, v value, s string) (string, bool)  { return s, r.checked(v, s, r.Codes) }
func prefix(r *reader, v value, s string) (string, bool) { return s, r.checked(v, s, r.Prefix) }

// watched is a prefix that is asked address by address.
func watched(r *reader, v value, s string) (string, bool) { return s, r.checked(v, s, r.Watched) }

func domain(r *reader, v value, s string) (string, bool) {
	return canonical(s), r.checked(v, canonical(s), r.Domain)
}

// dottedDomain is "example.com", or ".example.com" with all below it.
func dottedDomain(r *reader, v value, s string) (string, bool) {
	if r.Domain(strings.TrimPrefix(canonical(s), ".")) != nil {
		r.bad(v.path, fmt.Sprintf("%s: %q is no domain name", dotted(v.path), s), `write "example.com", or ".example.com" for it and all below it`)
		return "", false
	}
	return canonical(s), true
}

// exception is a prefix, or "spf:DOMAIN".
func exception(r *reader, v value, s string) (string, bool) {
	if d, ok := strings.CutPrefix(s, "spf:"); ok {
		return "spf:" + canonical(d), r.checked(v, canonical(d), r.Domain)
	}
	return prefix(r, v, s)
}

// array is how TOML has it.
func array[T any](all []T) string {
	quoted := make([]string, len(all))
	for i, v := range all {
		quoted[i] = strconv.Quote(fmt.Sprint(v))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
