package overrides

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Action is what a rule does to what it matches.
type Action uint8

// The two kinds of rule.
const (
	Allow Action = iota // exempt: unlisted, whatever the list says
	Deny                // listed by ourselves
)

// String returns "allow" or "deny", the tables' names in the configuration.
func (a Action) String() string {
	if a == Deny {
		return "deny"
	}
	return "allow"
}

// Kind is where a source's addresses come from.
type Kind uint8

// The kinds of source, in the order in which the sources of one rule match.
const (
	KindCIDR Kind = iota
	KindFile
	KindDomains
	KindSPF
	KindA
	KindMX
	KindURL
)

// String returns the key that names the kind in the configuration.
func (k Kind) String() string {
	names := [...]string{"cidr", "file", "domains", "spf", "a", "mx", "url"}
	return names[k]
}

// NoLimit as MaxV4 or MaxV6 lifts the guard.
const NoLimit = -1

// Defaults of a rule.
const (
	defaultMaxV4   = 12
	defaultMaxV6   = 28
	defaultRefresh = time.Hour
	maxRefresh     = 24 * time.Hour
)

// Rule is one named table of the configuration. An Engine keeps its own copy,
// which nobody changes.
type Rule struct {
	Name    string // unique among the rules of its action
	Action  Action
	Comment string
	Zones   []string // only in these; empty: in all. Lower case, no trailing dot
	Enabled bool
	Expires time.Time // the last day on which it counts; zero: none

	CIDR     []string      // in any spelling of ParseRange
	Domains  []string      // in any spelling of ParseDomain
	File     string        // path of a rule file; empty: none
	Shown    string        // how Source names File; empty: as it is
	SPF      []string      // domains
	A        []string      // hosts
	MX       []string      // domains
	URL      string        // of a feed; empty: none
	Secrets  []string      // parts of URL that nobody gets to see
	JQ       string        // program over a JSON feed
	Refresh  time.Duration // of the feed; 0: one hour
	Insecure bool          // http:// is permitted beyond loopback

	// Except is taken out again: spellings of ParseRange, or "spf:DOMAIN",
	// which evaluates the rule's SPF records as if an include of DOMAIN
	// never matched.
	Except []string

	// MaxV4 and MaxV6 are prefix lengths. A source that opens more addresses
	// in all than one prefix of this length is refused whole. 0 stands for
	// 12 and 28, NoLimit for no guard.
	MaxV4, MaxV6 int

	Code netip.Addr // of a deny rule: the answer; invalid: 127.0.0.2
	Text string     // of a deny rule: the TXT answer; empty: names the rule

	Pos Position // of the rule's table, for messages
}

// Position is a place in a configuration file.
type Position struct {
	File string
	Line int // 1-based
}

// Key returns "allow.efax", by which messages name the rule.
func (r *Rule) Key() string { return r.Action.String() + "." + r.Name }

// end returns when the rule stops counting, as endOf does.
func (r *Rule) end() uint32 { return endOf(r.Expires) }

// Active reports whether the rule does anything at now, in seconds since 1970.
func (r *Rule) Active(now int64) bool { return r.Enabled && !ended(r.end(), now) }

func (r *Rule) limits() (bits4, bits6 int) {
	bits4, bits6 = 32-cmp.Or(r.MaxV4, defaultMaxV4), 128-cmp.Or(r.MaxV6, defaultMaxV6)
	return min(bits4, 32), min(bits6, 128) // NoLimit is below 0
}

// Validate returns everything that is wrong with a rule by itself, each as a
// *Problem. It reads no file and asks nobody; whether the zones exist is the
// caller's to check.
func Validate(r Rule) []error {
	v := validator{rule: &r}
	if r.Name == "" {
		v.fault("", "", "the rule has no name; write [%s.NAME]", r.Action)
	}
	if !r.hasSource() {
		v.fault("", "", "the rule has no source; give it one of cidr, file, domains, spf, a, mx, url")
	}
	for _, s := range r.CIDR {
		_, err := ParseRange(s)
		v.check("cidr", s, err)
	}
	for _, s := range r.Domains {
		_, err := ParseDomain(s)
		v.check("domains", s, err)
	}
	v.hosts("spf", r.SPF)
	v.hosts("a", r.A)
	v.hosts("mx", r.MX)
	for _, s := range r.Except {
		v.except(s)
	}
	v.feed()
	v.limit("max_v4", r.MaxV4, 32)
	v.limit("max_v6", r.MaxV6, 128)
	v.deny()
	return v.problems
}

func (r *Rule) hasSource() bool {
	return len(r.CIDR) > 0 || r.File != "" || len(r.Domains) > 0 || len(r.SPF) > 0 ||
		len(r.A) > 0 || len(r.MX) > 0 || r.URL != ""
}

type validator struct {
	rule     *Rule
	problems []error
}

func (v *validator) fault(key, text, format string, args ...any) {
	v.problems = append(v.problems, v.rule.problem(key, text, fmt.Sprintf(format, args...)))
}

func (r *Rule) problem(key, text, msg string) *Problem {
	k := r.Key()
	if key != "" {
		k += "." + key
	}
	return &Problem{File: r.Pos.File, Line: r.Pos.Line, Key: k, Text: text, Msg: msg}
}

func (v *validator) check(key, text string, err error) {
	if err != nil {
		v.fault(key, text, "%v", err)
	}
}

func (v *validator) hosts(key string, names []string) {
	seen := make(map[string]bool)
	for _, s := range names {
		name, err := ParseHost(s)
		v.check(key, s, err)
		if err == nil && seen[name] {
			v.fault(key, s, "%q stands there twice; write it once", s)
		}
		seen[name] = true
	}
}

func (v *validator) except(s string) {
	domain, ok := strings.CutPrefix(s, "spf:")
	if !ok {
		_, err := ParseRange(s)
		v.check("except", s, err)
		return
	}
	name, err := ParseHost(domain)
	if err != nil {
		v.check("except", s, err)
		return
	}
	if len(v.rule.SPF) == 0 {
		v.fault("except", s, "%q leaves an include out, but the rule has no spf source; remove it", s)
	}
	for _, d := range v.rule.SPF {
		if n, err := ParseHost(d); err == nil && n == name {
			v.fault("except", s, "%q would leave out the whole of spf %s; remove one of the two", s, name)
		}
	}
}

func (v *validator) feed() {
	r := v.rule
	if r.URL == "" {
		if r.JQ != "" {
			v.fault("jq", r.JQ, "there is no url that jq could read; add url or remove jq")
		}
		if r.Refresh != 0 {
			v.fault("refresh", "", "there is no url to refresh (spf, a and mx follow their TTLs); add url or remove refresh")
		}
		return
	}
	v.check("url", r.ShownURL(), CheckURL(*r))
	if r.JQ != "" {
		_, err := compileJQ(r.JQ)
		v.check("jq", r.JQ, err)
	}
	if r.Refresh != 0 && (r.Refresh < time.Second || r.Refresh > maxRefresh) {
		v.fault("refresh", "", "%s is out of bounds; write 1s to 24h", r.Refresh)
	}
}

// CheckURL refuses a rule's URL from which a feed may not be fetched. Whoever
// answers in its place decides what is exempt, hence https. The URL may hold a
// key, so that the error shows what others may see of it.
func CheckURL(r Rule) error {
	u, err := url.Parse(r.URL)
	if err != nil {
		return errors.New("it is no URL; write it like https://example.com/ranges.json")
	}
	shown := r.ShownURL()
	switch u.Scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" || u.Path == "" {
			return fmt.Errorf("%q names no local file; write it like file:///var/lib/ranges.json", shown)
		}
		return nil
	case "https", "http":
		if u.Hostname() == "" {
			return fmt.Errorf("%q names no host; write it like https://example.com/ranges.json", shown)
		}
		if u.Scheme == "http" && !r.Insecure && !loopbackHost(u.Hostname()) {
			return fmt.Errorf("%q is not encrypted, so anyone on the way could exempt addresses; write https://, or set insecure = true", shown)
		}
		return nil
	}
	return fmt.Errorf("%q is neither https nor file; write it like https://example.com/ranges.json", shown)
}

func loopbackHost(h string) bool {
	a, err := netip.ParseAddr(h)
	return h == "localhost" || err == nil && a.Unmap().IsLoopback()
}

func (v *validator) limit(key string, n, width int) {
	if n > width || n < NoLimit {
		v.fault(key, "", "/%d is no prefix length of this family; write /1 to /%d", n, width)
	}
}

func (v *validator) deny() {
	r := v.rule
	if r.Action == Allow {
		if r.Code.IsValid() {
			v.fault("code", r.Code.String(), "an allow rule answers with no code; remove it")
		}
		if r.Text != "" {
			v.fault("text", r.Text, "an allow rule answers with no text; remove it, or write comment")
		}
		return
	}
	if len(r.Zones) == 0 {
		v.fault("zones", "", "a deny rule has to name its zones; write zones = [\"local.rbl.internal\"]")
	}
	if c := r.Code; c.IsValid() && (!c.Is4() || !c.IsLoopback()) {
		v.fault("code", c.String(), "%s lies outside 127.0.0.0/8, so no mail server takes it for a listing; write 127.0.0.2", c)
	}
}

// neverHolds reports whether r, all of which is typed in the rule itself, has
// no address of x. What others publish and a file may have one tomorrow.
func (r *Rule) neverHolds(x Range) bool {
	if r.File != "" || r.URL != "" || len(r.SPF)+len(r.A)+len(r.MX) > 0 {
		return false
	}
	return !slices.ContainsFunc(r.CIDR, func(s string) bool {
		rg, err := ParseRange(s)
		return err != nil || rg.meets(x)
	})
}

// Warnings returns what is permitted but seldom meant, each as a *Problem.
func Warnings(r Rule) []error {
	var out []error
	for _, s := range r.CIDR {
		if rg, err := ParseRange(s); err == nil && rg.Whole() {
			out = append(out, r.problem("cidr", s, fmt.Sprintf("%s covers every address of its family; this is to %s the world", s, r.Action)))
		}
	}
	for _, s := range r.Except {
		if x, err := ParseRange(s); err == nil && r.neverHolds(x) {
			out = append(out, r.problem("except", s, fmt.Sprintf("%s is in no range of the rule, so that nothing is taken out; mend it, or remove it", s)))
		}
	}
	if r.Action == Deny && len(r.SPF) > 0 {
		out = append(out, r.problem("spf", "", "terms of SPF that can only be evaluated for one address at a time never deny; the rule denies what can be written as ranges"))
	}
	return out
}
