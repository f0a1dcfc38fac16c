// Package config reads the configuration of dnsblproxy: one TOML file.
//
//	[zone."zen.spamhaus.org"]
//	no_override = ["127.0.0.2"]
//
//	[allow.efax]
//	spf = ["efax.com"]
//
// It decides what may be written in the file and what is used where nothing
// is: the schema (schema.go), the defaults in one literal (defaults.go) and
// the rules between keys (check.go). It reports every problem at once, each
// with its line and with what to write instead, and it is strict: an unknown
// key, a number without its unit or a scope that names no zone is refused
// rather than guessed at, because a silently ignored line of a mail server's
// configuration is found only when mail is lost.
//
// It does not know what a code, a prefix or a jq filter looks like: the
// packages that own these hand in their checks (Syntax). It opens the files
// that the configuration names only to see whether they can be read. It
// starts nothing and talks to nobody.
//
// Values of the type Secret, which may hold a key, print as "(secret)".
package config

import (
	"net/netip"
	"path/filepath"
	"time"
)

// Config is one configuration, complete with defaults. Nobody changes it
// after Load.
type Config struct {
	Path string // the file, as it was named to Load

	// Listen holds the addresses for DNS; Systemd stands for the sockets that
	// systemd hands over, beside them.
	Listen  []netip.AddrPort
	Systemd bool
	Clients []netip.Prefix // masked, never IPv4-mapped
	Others  string         // "forward" or "refuse"
	State   string         // absolute folder, or ""

	Admin    Admin
	Log      Log
	Dnstap   Dnstap
	Resolver Resolver
	Cache    Cache

	// In the order of the file.
	Zones []*Zone
	Allow []*Rule
	Deny  []*Rule
	Watch []*Watch

	// Nameservers is Resolver.Servers or, when that is empty, what resolv.conf
	// says.
	Nameservers []netip.AddrPort

	// Warnings are worth a line in the log, and no reason to refuse.
	Warnings []Problem

	root *node
}

// Admin is [admin]. An invalid Listen means off.
type Admin struct {
	Listen  netip.AddrPort
	Token   Secret
	TLSCert string // absolute path, or ""
	TLSKey  string // likewise
}

// Log says what is logged, and how. Level is debug, info, warn or error;
// Format is text or json.
type Log struct{ Level, Format string }

// Dnstap is [dnstap]: at most one of the two absolute paths is set.
type Dnstap struct{ Socket, File string }

// Resolver is [resolver]. Servers is as written, with port 53 where none is.
type Resolver struct {
	Servers  []netip.AddrPort
	Timeout  time.Duration // one attempt
	Deadline time.Duration // all attempts for one question
}

// Cache is [cache].
type Cache struct {
	Size           int64 // bytes
	MinTTL         time.Duration
	MaxTTL         time.Duration
	MaxNegativeTTL time.Duration
	Stale          time.Duration
	Prefetch       bool
	Shared         Shared
}

// Shared is [cache.shared], off when URL is empty.
type Shared struct {
	URL     Secret // may hold a password
	Timeout time.Duration
	Secret  Secret
}

// Zone is one [zone."NAME"]. Which keys count depends on Source; those that
// do not fit it are refused by Load, so they hold their defaults.
type Zone struct {
	Name string // lower case, without a trailing dot
	Line int    // of its header

	Upstream Secret   // a name like Name; may hold a key
	Keys     []Secret // what environment variables put into Upstream; to be shown to nobody
	Via      Via
	Source   string // upstream, deny, allow, file, rdns or combined
	Kind     string // block or allow

	Listed     []string // codes, in the spellings of Syntax.Codes; empty: by the table of well-known lists
	NoOverride []string
	Codes      map[string]string // names for people, by address

	Holds     []string // of ip4, ip6, domain
	Mode      string   // enforce, observe or off
	OnFailure string   // unlisted or servfail
	Verify    bool
	Probe     bool
	Budget    int // questions a day; 0: no bound

	Files     []Dataset // source = "file"
	Threshold int       // source = "combined"
	Weights   []Weight  // source = "combined", in the order of the file
}

// Via says how a list is reached: Mode is "resolver", "direct" or, with
// Servers, "servers".
type Via struct {
	Mode    string
	Servers []netip.AddrPort
}

// Dataset is one "type:path,path" of a zone's files. Paths are absolute.
type Dataset struct {
	Type  string
	Paths []string
	Line  int
}

// Weight is one entry of a combined zone. Codes is empty for the whole list.
type Weight struct {
	Zone, Codes string
	Weight      int
	Line        int
}

// Rule is one [allow.NAME] or [deny.NAME].
type Rule struct {
	Name    string
	Line    int // of its header
	Comment string

	SPF      []string
	URL      Secret   // may hold a key
	Keys     []Secret // what environment variables put into URL; to be shown to nobody
	JQ       string
	Refresh  time.Duration
	Insecure bool
	CIDR     []string // in the spellings of Syntax.Prefix
	File     string   // absolute path, or ""
	A, MX    []string
	Domains  []string
	Except   []string

	Zones   []string // lower case, without a trailing dot; empty: all
	Enabled bool
	Expires time.Time // the last day on which the rule counts, in UTC; zero: none
	MaxV4   int       // prefix length
	MaxV6   int

	Code string // [deny.NAME] only
	Text string // likewise
}

// Watch is one [watch.NAME].
type Watch struct {
	Name    string
	Line    int
	CIDR    []string
	Zones   []string // empty: all
	Every   time.Duration
	Notify  []string // argv; empty: no command
	Webhook Secret   // a URL, which may hold a key; "": none, as beside a command
}

// Secret is a text that may hold a key or a password. It prints as
// "(secret)" in every format; Reveal is the way to its text.
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the text, but not whether there is one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString hides the text from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the text from JSON and from slog's JSON handler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Shown is the upstream name as people may see it: the zone's own name when
// that is what is asked, else what the table of well-known lists calls it,
// else "" because nobody can tell a key from a label.
func (z *Zone) Shown(known func(upstream string) Known) string {
	if string(z.Upstream) == z.Name && len(z.Keys) == 0 {
		return z.Name
	}
	return known(string(z.Upstream)).Name
}

// ClientTexts are Clients as they may be written: a single address is no prefix.
func (c *Config) ClientTexts() []string {
	texts := make([]string, len(c.Clients))
	for i, p := range c.Clients {
		if texts[i] = p.String(); p.IsSingleIP() {
			texts[i] = p.Addr().String()
		}
	}
	return texts
}

// Zone finds a zone by its name; nil if there is none.
func (c *Config) Zone(name string) *Zone {
	for _, z := range c.Zones {
		if z.Name == name {
			return z
		}
	}
	return nil
}

// ZoneNames names the zones in the order of the file.
func (c *Config) ZoneNames() []string {
	names := make([]string, len(c.Zones))
	for i, z := range c.Zones {
		names[i] = z.Name
	}
	return names
}

// Line returns the line of the key or the array element that path leads to,
// of strings and ints, as in Line("allow", "efax", "cidr", 2). Where the file
// does not have it, it is the line of the nearest table around it, at least 1.
func (c *Config) Line(path ...any) int {
	n, _ := c.root.find(path)
	return n.line
}

// Defined says whether the file itself has the key, as in
// Defined("zone", "zen.spamhaus.org", "kind").
func (c *Config) Defined(path ...any) bool {
	_, exact := c.root.find(path)
	return exact
}

// Shown is a path as the file has it, or could have it.
func (c *Config) Shown(path string) string {
	if rel, err := filepath.Rel(folderOf(c.Path), path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// Problem makes a problem of something found later, at the line of path.
func (c *Config) Problem(what, instead string, path ...any) Problem {
	return Problem{File: c.Path, Line: c.Line(path...), What: what, Instead: instead}
}
