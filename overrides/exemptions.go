package overrides

import "time"

// Exemption is one entry of an allow rule in force, for people.
type Exemption struct {
	Rule   *Rule  // not to be changed
	Source Source // where in the rule it comes from
	Line   int    // see Hit
	Entry  string // address, CIDR, range or domain; empty for a source that opens nothing yet
	Until  time.Time
	Live   bool // evaluated for one address at a time
}

// Exemptions returns every entry of the allow rules that count now, in
// configuration order. Ranges of one source that touch are one entry where
// they have no lines of their own.
func (e *Engine) Exemptions() []Exemption {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Exemption
	now := time.Now()
	for _, s := range e.sources {
		if s.key.action != Allow || !s.active(now) {
			continue
		}
		if s.content.empty() {
			out = append(out, Exemption{Rule: s.rule, Source: s.source, Until: s.rule.Expires})
			continue
		}
		out = s.content.appendExemptions(out, s)
	}
	return out
}

func (c *content) appendExemptions(out []Exemption, s *source) []Exemption {
	add := func(entry string, line, end uint32, live bool) {
		until := s.rule.Expires
		if day := lastDay(end); end != 0 && (until.IsZero() || day.Before(until)) {
			until = day
		}
		out = append(out, Exemption{s.rule, s.source, int(line), entry, until, live})
	}
	for _, l := range c.layers {
		for _, r := range l.v4 {
			add(Range{r.lo.addr(), r.hi.addr()}.String(), r.line, l.end, l.live)
		}
		for _, r := range l.v6 {
			add(Range{r.lo.addr(), r.hi.addr()}.String(), r.line, l.end, l.live)
		}
	}
	for _, d := range c.domains {
		add(d.String(), d.line, d.end, false)
	}
	return out
}

// lastDay is the inverse of endOf.
func lastDay(end uint32) time.Time { return time.Unix(int64(end)-1, 0) }
