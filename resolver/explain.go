package resolver

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
)

// Step is one thing that was looked at. Number is that of the order of
// decisions, 0 for what stands outside of it.
type Step struct {
	Number int    `json:"step"`
	What   string `json:"what"`
}

// Explanation is what one zone says of a subject, and why.
type Explanation struct {
	Decision
	Text  string // the list's own text
	Steps []Step
	Took  time.Duration
}

// Explain decides about s in every zone, or in those named, just as a client's
// question would be decided, and tells how, in the order of the settings.
func (r *Resolver) Explain(ctx context.Context, s rbl.Subject, zones ...string) []Explanation {
	return r.explainAll(ctx, s, false, zones)
}

// ListAnswers is what the lists of the named zones, or of all, say of s
// themselves: no rule and no mode but "off" plays a part. Where a zone has no
// list, it is what its rules say.
func (r *Resolver) ListAnswers(ctx context.Context, s rbl.Subject, zones ...string) []Explanation {
	return r.explainAll(ctx, s, true, zones)
}

func (r *Resolver) explainAll(ctx context.Context, s rbl.Subject, bare bool, zones []string) []Explanation {
	snap := r.snap.Load()
	asked := snap.zones.order
	if len(zones) > 0 {
		asked = slices.DeleteFunc(slices.Clone(asked), func(z *zone) bool { return !slices.Contains(zones, z.Name) })
	}
	out := make([]Explanation, len(asked))
	var wait sync.WaitGroup
	for i, z := range asked {
		wait.Go(func() { out[i] = r.explain(ctx, snap, z, s, bare) })
	}
	wait.Wait()
	return out
}

// explain waits for the facts like a client's question, A first and then, if
// that is a listing, TXT.
func (r *Resolver) explain(ctx context.Context, snap *snapshot, z *zone, s rbl.Subject, bare bool) Explanation {
	started := time.Now()
	q := z.about(s.AppendWire(nil))
	q.bare = bare
	var out Explanation
	d := r.settle(ctx, snap, q, &out.Steps)
	out.Decision = describe(&q, &d)
	out.Time = started
	if d.verdict == Listed || d.verdict == Denied {
		out.Text = d.text
		if d.data.has() {
			q.typ = wire.TypeTXT
			t := r.settle(ctx, snap, q, nil)
			var texts []string
			for rec := range t.data.records {
				if text := rec.text(); text != "" {
					texts = append(texts, text)
				}
			}
			out.Text = strings.Join(texts, "; ")
		}
	}
	out.Took = time.Since(started)
	return out
}

// settle decides a question and waits for what that takes, until ctx is done.
func (r *Resolver) settle(ctx context.Context, snap *snapshot, q question, steps *[]Step) decision {
	result := make(chan decision, 1)
	w := &waiter{
		r: r, snap: snap, question: q, arrived: time.Now(), client: netip.IPv6Loopback(),
		steps: steps, decided: func(d decision) { result <- d },
	}
	w.enter()
	w.resume()
	select {
	case d := <-result:
		return d
	case <-ctx.Done():
		w.abandon()
		return decision{verdict: Failed, reason: "no answer in time"}
	}
}
