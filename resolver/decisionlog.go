package resolver

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"dnsblproxy/resolver/rbl"
)

// Decision is one decision worth a line: a listing, an exemption or a failure.
type Decision struct {
	Time    time.Time
	Zone    string
	Subject string // address or domain
	Client  netip.Addr
	Verdict Verdict
	Observe bool     // decided so, and answered unlisted
	Codes   []string // of the list, with their names
	Rule    string   // that exempted or denied; empty
	Source  string   // of the rule, likewise
	Reason  string   // why a list could not be asked, or an answer is stale
}

// decisionLog tells of decisions that matter: once a subject, zone and TTL,
// and no more than logPerSecond a second, the rest counted.
type decisionLog struct {
	log   *slog.Logger
	tell  func(Decision)
	lists func(zone, subject string) // see Options.OnListing
	lost  atomic.Uint64

	// second is the one, in Unix seconds, in which so many lines were written.
	second, lines atomic.Int64

	// told remembers what was said in the last minute: a hash and the time
	// share a word. Two subjects in one slot push each other out, so that a
	// line may be repeated; none is ever lost for it.
	seed maphash.Seed
	told [1 << 14]atomic.Uint64
}

const (
	logPerSecond = 100
	maxCodes     = 32     // named in one line: an answer has room for thousands
	toldFor      = ownTTL // seconds
)

// note writes d down if it matters and was not said a moment ago. fetched
// says that the decision took more than the cache; hits are not repeated. The
// test entries that MTAs and filters ask for are left out.
func (l *decisionLog) note(q *question, d *decision, client netip.Addr, fetched bool, now int64) {
	if d.verdict == Listed && !fetched || q.subject.Test != rbl.NotTest {
		return
	}
	if !l.first(q, d.verdict, now) {
		return
	}
	if !l.allow(now) {
		l.lost.Add(1)
		return
	}
	out := describe(q, d)
	out.Time, out.Client = time.Unix(now, 0), client
	if l.tell != nil {
		l.tell(out)
	}
	l.write(&out)
}

// listing tells that a zone has the subject, likewise.
func (l *decisionLog) listing(q *question, fetched bool, now int64) {
	const listing = Verdict(verdicts) // told apart from the lines
	if l.lists != nil && fetched && q.subject.Test == rbl.NotTest && l.first(q, listing, now) {
		l.lists(q.zone.Name, q.text())
	}
}

// first reports whether that verdict of a subject was not told lately.
func (l *decisionLog) first(q *question, v Verdict, now int64) bool {
	sum := maphash.Bytes(l.seed, q.labels) + q.zone.salt + uint64(v)*(1<<48+1) // in slots of their own
	slot := &l.told[sum%uint64(len(l.told))]
	const timeBits = 32
	hash := sum >> timeBits << timeBits
	old := slot.Load()
	if old>>timeBits<<timeBits == hash && uint32(now)-uint32(old) < toldFor {
		return false
	}
	slot.Store(hash | uint64(uint32(now)))
	return true
}

// allow reports whether this second has room for another line. Two seconds that
// meet may have a line more.
func (l *decisionLog) allow(now int64) bool {
	if l.second.Swap(now) != now {
		l.lines.Store(0)
	}
	return l.lines.Add(1) <= logPerSecond
}

// describe puts a decision into words.
func describe(q *question, d *decision) Decision {
	out := Decision{
		Zone: q.zone.Name, Subject: q.text(), Verdict: d.verdict, Observe: d.kept,
		Reason: d.reason,
	}
	if d.hit.Rule != nil {
		out.Rule, out.Source = d.hit.Rule.Name, d.hit.Source.String()
	}
	if d.code != 0 {
		out.Codes = []string{q.zone.codeName(d.code)}
	}
	for rec := range cmp.Or(d.codes, d.data).records {
		if code, ok := rec.code(); ok && q.zone.Listed.Contains(code) && len(out.Codes) < maxCodes {
			out.Codes = append(out.Codes, q.zone.codeName(code))
		}
	}
	return out
}

func (l *decisionLog) write(d *Decision) {
	what := "domain"
	if _, err := netip.ParseAddr(d.Subject); err == nil {
		what = "address"
	}
	attrs := []slog.Attr{
		slog.String("zone", d.Zone), slog.String(what, d.Subject),
		slog.String("verdict", d.Verdict.String()), slog.String("client", d.Client.String()),
	}
	if len(d.Codes) > 0 {
		attrs = append(attrs, slog.Any("codes", d.Codes))
	}
	if d.Rule != "" {
		attrs = append(attrs, slog.String("rule", d.Rule), slog.String("source", d.Source))
	}
	if d.Reason != "" {
		attrs = append(attrs, slog.String("reason", d.Reason))
	}
	if d.Observe {
		attrs = append(attrs, slog.Bool("observe", true))
	}
	level := slog.LevelInfo
	if d.Verdict == Failed {
		level = slog.LevelWarn
	}
	l.log.LogAttrs(context.Background(), level, "decision", attrs...)
}

// run reports once a second how many lines were left out.
func (l *decisionLog) run(ctx context.Context) {
	every(ctx, time.Second, func() {
		if n := l.lost.Swap(0); n > 0 {
			l.log.LogAttrs(ctx, slog.LevelInfo, "decisions not logged", slog.Uint64("count", n))
		}
	})
}
