package admin

import "time"

// Overview is what the page shows of the running server, beside its figures,
// and /api/v1/zones of what can fail. It holds no key of a list: zones are named
// as clients ask them.
type Overview struct {
	Version  string    `json:"-"`
	Started  time.Time `json:"-"`
	Reloaded bool      `json:"-"` // false: the configuration file was changed and refused
	Lists    []List    `json:"zones"`
	Sources  []Source  `json:"sources"`
	Rules    []Rule    `json:"-"`
}

// List is one zone and the list behind it.
type List struct {
	Zone   string    `json:"zone"`
	Source string    `json:"source"`           // upstream, deny, allow, file, rdns or combined
	Mode   string    `json:"mode"`             // enforce, observe or off
	State  string    `json:"state,omitempty"`  // healthy, suspect, quarantined, unreachable; "" for zones that ask nobody and read no file
	Reason string    `json:"reason,omitempty"` // of a state other than healthy
	Since  time.Time `json:"since,omitzero"`   // when it came to be in this state; zero: since the start
	Budget *Budget   `json:"budget,omitempty"` // nil: none

	Kind string `json:"-"` // block or allow
	Name string `json:"-"` // of a well-known list, for people; else ""
	Docs string `json:"-"` // the list's own documentation, https; or ""
}

// Budget is how many questions a list was asked today, of how many.
type Budget struct {
	Limit    uint64 `json:"limit"`
	Used     uint64 `json:"used"`
	Forecast uint64 `json:"forecast"`
}

// Rule is one allow or deny rule.
type Rule struct {
	Name    string
	Action  string // allow or deny
	Comment string
	Zones   []string // in which it counts; empty: in all
	Enabled bool     // neither switched off nor expired
	Expires string   // its last day; "": none
	V4, V6  float64  // distinct addresses
}

// Source is where some of a rule's addresses come from.
type Source struct {
	Rule        string    `json:"rule"`
	Action      string    `json:"action"` // allow or deny
	What        string    `json:"source"` // "spf efax.com"
	Enabled     bool      `json:"enabled"`
	V4          float64   `json:"ipv4_addresses"`
	V6          float64   `json:"ipv6_addresses"`
	Domains     int       `json:"domains"`
	InForce     bool      `json:"in_force"`              // any of it, terms that are asked about one address at a time too
	LastSuccess time.Time `json:"last_success,omitzero"` // zero: never
	Error       string    `json:"last_error,omitempty"`  // of the latest attempt
	Failures    uint64    `json:"failures"`
	Next        time.Time `json:"next,omitzero"` // zero: when its file changes, or never
	Warnings    []string  `json:"warnings,omitempty"`
}

// Answer is what one zone says of a subject that was looked up: on the page,
// in /api/v1/lookup and in "lookup --json".
type Answer struct {
	Zone    string   `json:"zone"`
	Verdict string   `json:"verdict"`
	Codes   []string `json:"codes"`
	Text    string   `json:"text"`
	Rule    string   `json:"rule"`
	Source  string   `json:"source"`
	Reason  string   `json:"reason"`
	TookMS  float64  `json:"took_ms"`
	Observe bool     `json:"observe,omitempty"` // decided so, answered unlisted
	Steps   []Step   `json:"steps"`
}

// Step is one thing that was looked at; Number is that of the order of
// decisions, 0 for what stands outside of it.
type Step struct {
	Number int    `json:"step"`
	What   string `json:"what"`
}

// Entry is one address, range or domain that a rule exempts.
type Entry struct {
	Entry  string
	Source string
	Line   int // of its file; 0: none
	Live   bool
}

// Decision is one decision worth a line: a listing, an exemption or a failure.
type Decision struct {
	Time    time.Time
	Zone    string
	Subject string
	Client  string
	Verdict string
	Observe bool
	Codes   []string
	Rule    string
	Source  string
	Reason  string
}
