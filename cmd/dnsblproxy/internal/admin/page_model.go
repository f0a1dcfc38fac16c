package admin

import "time"

// Overview is what the page shows of the running server, beside its figures.
// It holds no key of a list: zones are named as clients ask them.
type Overview struct {
	Version  string
	Started  time.Time
	Reloaded bool // false: the configuration file was changed and refused
	Lists    []List
	Rules    []Rule
}

// List is one zone and the list behind it.
type List struct {
	Zone   string
	Name   string // of a well-known list, for people; else ""
	Source string // upstream, deny, allow, file, rdns or combined
	Mode   string // enforce, observe or off
	Kind   string // block or allow
	Docs   string // the list's own documentation, https; or ""

	State  string    // healthy, suspect, quarantined, unreachable; "" for zones that ask nobody and read no file
	Reason string    // of a state other than healthy
	Since  time.Time // when it came to be in this state; zero: since the start

	Budget *Budget // nil: none
}

// Budget is how many questions a list was asked today, of how many.
type Budget struct {
	Limit, Used, Forecast uint64
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
	Sources []Source
}

// Source is where some of a rule's addresses come from.
type Source struct {
	What        string // "spf efax.com"
	V4, V6      float64
	Domains     int
	Live        bool      // opens more, asked about one address at a time
	LastSuccess time.Time // zero: never
	Next        time.Time // zero: when its file changes, or never
	Error       string    // of the latest attempt
	Failures    uint64
	Warnings    []string
}

// Answer is what one zone says of a subject that was looked up.
type Answer struct {
	Zone    string
	Verdict string
	Observe bool // decided so, answered unlisted
	Codes   []string
	Text    string
	Rule    string
	Source  string
	Reason  string
	Took    time.Duration
	Steps   []Step
}

// Step is one thing that was looked at; Number is that of the order of
// decisions, 0 for what stands outside of it.
type Step struct {
	Number int
	What   string
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

// Worth is what a list was good for in the last seven days.
type Worth struct {
	Zone      string
	Questions uint64
	Listings  uint64 // those that an exemption removed too
	Exempted  uint64 // of these, what an exemption removed
	Unique    uint64 // that no other list had
	Errors    uint64
}
