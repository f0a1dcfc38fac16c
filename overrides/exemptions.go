package overrides

import (
	"iter"
	"net/netip"
	"strings"
	"time"
)

// Exemption is one entry in force, and where it came from.
type Exemption struct {
	Rule   *Rule // not to be changed
	Source Source
	Entry  Entry // its Until is the earlier one of the entry's and the rule's
	Live   bool  // evaluated for one address at a time, when a list has it
}

// Exemptions yields what the rules of an action open now, in the order in
// which they match, exceptions taken out. Rules that are disabled and entries
// that have ended are left out. The ranges of one source do not overlap.
func (e *Engine) Exemptions(action Action) iter.Seq[Exemption] {
	rules, _ := e.snapshot()
	now := time.Now().Unix()
	return func(yield func(Exemption) bool) {
		for _, r := range rules {
			if r.rule.Action != action || !r.rule.Active(now) {
				continue
			}
			for _, s := range r.sources {
				if s.content != nil && !r.yield(s, now, yield) {
					return
				}
			}
		}
	}
}

// yield reports false once its receiver has had enough.
func (l loaded) yield(s loadedSource, now int64, yield func(Exemption) bool) bool {
	x := Exemption{Rule: l.rule, Source: s.source}
	var except layer
	if len(l.except.layers) > 0 {
		except = l.except.layers[0]
	}
	for _, y := range s.content.layers {
		end := earlier(y.end, l.rule.end())
		if ended(end, now) {
			continue
		}
		x.Live = y.live
		one := func(first, last netip.Addr, line uint32) bool {
			x.Entry = Entry{Range: Range{first, last}, Until: dayOf(end), Line: int(line)}
			return yield(x)
		}
		if !subtract(y.v4, except.v4, one) || !subtract(y.v6, except.v6, one) {
			return false
		}
	}
	x.Live = false
	for _, d := range s.content.domains {
		end := earlier(d.end, l.rule.end())
		if ended(end, now) {
			continue
		}
		x.Entry = Entry{Domain: d.domain(), Until: dayOf(end), Line: int(d.line)}
		if !yield(x) {
			return false
		}
	}
	return true
}

// dayOf is the inverse of endOf: the last day that counts.
func dayOf(end uint32) time.Time {
	if end == 0 {
		return time.Time{}
	}
	y, m, d := time.Unix(int64(end)-1, 0).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// domain returns d as ParseDomain read it.
func (d domainEntry) domain() Domain {
	var labels []string
	for i := 0; i < len(d.wire); i += 1 + int(d.wire[i]) {
		labels = append(labels, d.wire[i+1:i+1+int(d.wire[i])])
	}
	return Domain{strings.Join(labels, "."), d.below}
}

// subtract calls f for every part of the spans that no exception holds, in
// ascending order, until f has had enough. Both are sorted and disjoint.
func subtract[A point[A]](spans, except []span[A], f func(first, last netip.Addr, line uint32) bool) bool {
	j := 0
	for _, s := range spans {
		lo, open := s.lo, true
		for j < len(except) && except[j].hi.less(s.lo) {
			j++
		}
		for k := j; open && k < len(except) && !s.hi.less(except[k].lo); k++ {
			if lo.less(except[k].lo) && !f(lo.addr(), except[k].lo.prev().addr(), s.line) {
				return false
			}
			if open = except[k].hi.less(s.hi); open {
				lo = except[k].hi.next()
			}
		}
		if open && !f(lo.addr(), s.hi.addr(), s.line) {
			return false
		}
	}
	return true
}
