package overrides

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// sourceKey says which source of an old configuration a source of a new one
// is, so that what it loaded is carried over. What else changes (limits,
// exceptions, refresh), or to be another rule's, makes it load anew at once, the
// old set serving.
type sourceKey struct {
	action Action
	rule   string
	kind   Kind
	spec   string // what is asked; of a feed a hash, for its URL may hold a key
}

// asked is what is asked, whatever rule it is a source of.
func (k sourceKey) asked() string { return k.kind.String() + "\x00" + k.spec }

// String is the key as the state files are named after.
func (k sourceKey) String() string {
	return strings.Join([]string{k.action.String(), k.rule, k.asked()}, "\x00")
}

// source is one source of one rule. What is known of it is guarded by the
// Engine's mutex.
type source struct {
	key    sourceKey
	rule   *Rule
	source Source
	fetch  fetcher            // from outside; nil for cidr, domains and file
	file   *watched           // nil but for file
	stop   context.CancelFunc // of its goroutine; nil without one

	known
}

// known is what a source has loaded and how that went: a reload carries it
// over.
type known struct {
	content  *content
	valid    validators // of a feed: of content
	shrunk   *content   // of a feed: a set without more than half of content, seen once by the latest attempt
	success  time.Time  // when it was last confirmed
	kept     time.Time  // the success that StateDir knows of; zero: none
	unkept   bool       // content has changed since it was written there
	lost     bool       // it could not be written there, which is in the log
	tried    bool       // loaded or failed at least once by this process
	err      error      // of the latest attempt
	errAt    time.Time
	failing  time.Time // since when attempts fail; zero: the latest did not
	doubt    time.Time // since when content may hold what they do not confirm; zero: it does not
	sure     *content  // what they have confirmed since doubt
	retries  int       // failed attempts in a row
	failures uint64
	logged   *content  // of a file: whose ended lines are in the log
	nextEnd  time.Time // of a file: when the next line ends
	busy     int       // of a file: looks in a row that found it being written
	next     time.Time // of the next attempt; zero: none planned
	warnings []string
	unmet    []string // of an SPF record: what it was to leave out and does not have
}

// attr names the source in the log.
func (s *source) attr() slog.Attr {
	return slog.Group("", slog.String("rule", s.rule.Name), slog.String("source", s.source.String()))
}

// isStatic reports whether the source was typed into the configuration.
func (s *source) isStatic() bool {
	return s.key.kind == KindCIDR || s.key.kind == KindDomains
}

// isFetched reports whether the source is loaded from outside.
func (s *source) isFetched() bool { return !s.isStatic() && s.key.kind != KindFile }

// fetcher loads a source. It blocks until it is done or ctx ends. have is what is
// known now; its content is nil for nothing.
type fetcher func(ctx context.Context, have known) result

// result is what one attempt to load a source came to.
type result struct {
	content  *content // what to open from now on; nil: what was before
	valid    validators
	shrunk   *content // as in known
	drop     bool     // with err: open nothing from now on
	sure     *content // with err: what of content is not from before
	over     bool     // prev was what is sure, for the rest was in doubt for too long
	err      error    // what went wrong, also beside a content that is partly old
	lasting  bool     // with err: not worth an early retry; ttl says when to look again
	ttl      time.Duration
	age      time.Duration // of the ttl that is over already
	warnings []string
	unmet    []string // as in known
}

// sourcesOf returns the rule's sources in the order in which they match.
func sourcesOf(r *Rule) []*source {
	var out []*source
	add := func(kind Kind, spec, name string) *source {
		s := &source{
			key:    sourceKey{r.Action, r.Name, kind, spec},
			rule:   r,
			source: sourceOf(kind, name),
		}
		out = append(out, s)
		return s
	}
	if len(r.CIDR) > 0 {
		add(KindCIDR, "", "").content = staticCIDR(r.CIDR)
	}
	if r.File != "" {
		add(KindFile, r.File, cmp.Or(r.Shown, r.File)).file = &watched{path: r.File}
	}
	if len(r.Domains) > 0 {
		add(KindDomains, "", "").content = staticDomains(r.Domains)
	}
	for i, names := range [][]string{r.SPF, r.A, r.MX} { // as the kinds follow one another
		for _, d := range names {
			n, _ := ParseHost(d)
			add(KindSPF+Kind(i), n, n)
		}
	}
	if r.URL != "" {
		sum := sha256.Sum256([]byte(r.hide(r.URL) + "\x00" + r.JQ)) // the same with another key
		add(KindURL, hex.EncodeToString(sum[:]), r.ShownURL())
	}
	return out
}

// staticCIDR compiles a validated list; the line is the place in the list.
func staticCIDR(list []string) *content {
	entries := make([]Entry, 0, len(list))
	for i, s := range list {
		if r, err := ParseRange(s); err == nil {
			entries = append(entries, Entry{Range: r, Line: i + 1})
		}
	}
	return contentOf(entries)
}

func staticDomains(list []string) *content {
	entries := make([]Entry, 0, len(list))
	for i, s := range list {
		if d, err := ParseDomain(s); err == nil {
			entries = append(entries, Entry{Domain: d, Line: i + 1})
		}
	}
	return contentOf(entries)
}

// exceptOf compiles the address part of a validated Except.
func exceptOf(r *Rule) *content {
	var ranges []Range
	for _, s := range r.Except {
		if rg, err := ParseRange(s); err == nil {
			ranges = append(ranges, rg)
		}
	}
	return contentOfRanges(ranges, nil)
}

// exceptSPF returns the domains whose include is left out.
func exceptSPF(r *Rule) []string {
	var out []string
	for _, s := range r.Except {
		if d, ok := strings.CutPrefix(s, "spf:"); ok {
			if n, err := ParseHost(d); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// ShownURL is URL as answers, logs and metrics show it: without Secrets, and
// without user, password and query, which often hold a key.
func (r *Rule) ShownURL() string { return r.publicURL(r.URL) }

// hide takes Secrets out of s.
func (r *Rule) hide(s string) string {
	for _, secret := range r.Secrets {
		s = strings.ReplaceAll(s, secret, "(key)")
	}
	return s
}

func (r *Rule) publicURL(s string) string {
	u, err := url.Parse(r.hide(s))
	if err != nil {
		return "unreadable"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
