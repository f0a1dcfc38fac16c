package admin

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// view is all that the template shows.
type view struct {
	Now      time.Time
	Overview Overview
	Query    pageQuery
	Tiles    []tile
	Lists    []listRow
	Rules    []ruleRow
	Worth    any
	Asked    asked
	Chosen   *chosenRule // whose entries are shown; nil: none
	Chart    *chart
	Journal  journalView
}

// pageQuery is what the address of the page asks for.
type pageQuery struct {
	Range, Find, Verdict, Rule string
}

// With is the page's address with another time range.
func (q pageQuery) With(span string) string {
	v := url.Values{"range": {span}}
	for key, value := range map[string]string{"find": q.Find, "verdict": q.Verdict, "rule": q.Rule} {
		if value != "" {
			v.Set(key, value)
		}
	}
	return "/?" + v.Encode() + "#chart"
}

// tile is one of the figures at the top.
type tile struct {
	Name, Value, Note string
	Bad               bool
	Link              string
}

type listRow struct {
	List
	Questions, Listed, Exempted, Errors float64
	Hits                                string
	Median, Slow                        time.Duration
	Ago                                 string // since when it is in its state
}

type ruleRow struct {
	Rule
	Through, Saved float64
	Sources        []Source
}

// asked is the box and what came of it.
type asked struct {
	Subject string
	Done    bool
	Problem string
	Answers []Answer
}

type chosenRule struct {
	Name    string
	Entries []Entry
	Total   int
}

type journalView struct {
	Decisions     []Decision
	Matches, Kept int
	Verdicts      []string
}

func (p *page) view(r *http.Request) (*view, error) {
	f, err := readFigures(p.Figures)
	if err != nil {
		return nil, err
	}
	get := r.URL.Query().Get
	v := &view{
		Now:      p.Now(),
		Overview: p.Overview(),
		Query:    pageQuery{get("range"), get("find"), get("verdict"), get("rule")},
		Asked:    p.ask(r, strings.TrimSpace(get("q"))),
		Worth:    p.Worth(),
		Journal:  journalView{Verdicts: []string{"listed", "exempt", "denied", "failed"}},
	}
	v.Chart = p.History.chart(v.Now, v.Query.Range)
	for _, l := range v.Overview.Lists {
		v.Lists = append(v.Lists, listOf(l, f.zone(l.Zone), v.Now, v.Overview.Started))
	}
	for _, u := range v.Overview.Rules {
		v.Rules = append(v.Rules, ruleOf(u, v.Overview.Sources, f.rule(u.Name)))
	}
	if slices.ContainsFunc(v.Overview.Rules, func(u Rule) bool { return u.Name == v.Query.Rule && u.Action == "allow" }) {
		c := chosenRule{Name: v.Query.Rule}
		c.Entries, c.Total = p.Entries(c.Name, pageEntries)
		v.Chosen = &c
	}
	j := &v.Journal
	j.Decisions, j.Matches, j.Kept = p.Journal.search(v.Query.Find, v.Query.Verdict, pageDecisions)
	v.Tiles = v.tiles(&f)
	return v, nil
}

func listOf(l List, z *zoneFigures, now, started time.Time) listRow {
	row := listRow{
		List: l, Questions: z.questions(), Listed: z.listed(), Exempted: z.exempted(), Errors: z.errors,
		Hits: shareText(z.hitShare(), 1), Median: z.took.quantile(.5), Slow: z.took.quantile(.95),
	}
	since := l.Since
	if since.Before(started) {
		since = started
	}
	row.Ago = spanText(now.Sub(since))
	return row
}

func ruleOf(u Rule, sources []Source, f *ruleFigures) ruleRow {
	row := ruleRow{Rule: u, Through: f.exempted, Saved: f.saved}
	for _, s := range sources {
		if s.Rule == u.Name && s.Action == u.Action {
			row.Sources = append(row.Sources, s)
		}
	}
	return row
}

// tiles are the few figures by which an administrator sees that all is well.
func (v *view) tiles(f *figures) []tile {
	var questions, listed, exempt, hits, needed float64
	for _, z := range f.zones {
		for verdict, n := range z.verdicts {
			if verdict != "forwarded" && verdict != "refused" {
				questions += n
			}
		}
		listed += z.listed()
		exempt += z.exempted()
		good := z.cache["hit"] + z.cache["stale"]
		hits += good
		needed += good + z.cache["miss"]
	}
	var saved float64
	for _, u := range f.rules {
		saved += u.saved
	}
	fast := "no time measured yet"
	if f.took.total() > 0 {
		fast = "half of all answers within " + tookText(f.took.quantile(.5))
	}
	up := spanText(v.Now.Sub(v.Overview.Started))
	tiles := []tile{v.listsTile(), v.rulesTile()}
	if len(f.own) > 0 {
		tiles = append(tiles, f.ownTile())
	}
	if len(f.shared) > 0 {
		tiles = append(tiles, f.sharedTile())
	}
	return append(tiles, []tile{
		{Name: "Questions", Value: countText(questions), Note: "in " + up, Link: "#chart"},
		{Name: "Listed", Value: shareText(listed, questions), Note: countText(listed) + " answers", Link: "#decisions"},
		{Name: "Exempt", Value: countText(exempt), Note: countText(saved) + " times against a listing", Link: "#rules"},
		{Name: "From the cache", Value: shareText(hits, needed), Note: fast, Link: "#chart"},
	}...)
}

// ownTile tells whether one's own addresses are on a list.
func (f *figures) ownTile() tile {
	t := tile{Name: "Own addresses", Value: "not listed", Link: "#lists"}
	zones := map[string]bool{}
	var on []string
	for w, n := range f.own {
		zones[w.zone] = true
		if n > 0 {
			on = append(on, w.watch+" on "+w.zone)
		}
	}
	t.Note = "looked for on " + countText(float64(len(zones))) + " lists"
	if len(on) > 0 {
		slices.Sort(on)
		t.Value, t.Bad, t.Note = "listed", true, strings.Join(on, ", ")
	}
	return t
}

// sharedTile tells what the cache that several proxies share is good for.
func (f *figures) sharedTile() tile {
	all := sum(maps.Values(f.shared))
	good := f.shared["hit"] + f.shared["miss"]
	t := tile{Name: "Shared cache", Value: shareText(f.shared["hit"], all-f.shared["refused"]), Note: "of what was looked for there", Link: "#lists"}
	if all > 0 && good < all*9/10 {
		t.Bad, t.Note = true, shareText(all-good, all)+" of the requests failed"
	}
	return t
}

func (v *view) listsTile() tile {
	t := tile{Name: "Lists", Value: "all well", Link: "#lists"}
	var ill []string
	asked, off := 0, 0
	for _, l := range v.Lists {
		switch {
		case l.Mode == "off":
			off++
		case l.Source == "upstream":
			asked++
		}
		if l.State != "" && l.State != "healthy" {
			ill = append(ill, l.Zone)
		}
	}
	t.Note = countText(float64(asked)) + " asked, " + countText(float64(len(v.Lists)-asked-off)) + " of our own"
	if off > 0 {
		t.Note += ", " + countText(float64(off)) + " off"
	}
	t.unwell(ill)
	return t
}

// unwell names those that are, if any is.
func (t *tile) unwell(ill []string) {
	if len(ill) > 0 {
		t.Value, t.Bad, t.Note = countText(float64(len(ill)))+" unwell", true, strings.Join(ill, ", ")
	}
}

func (v *view) rulesTile() tile {
	t := tile{Name: "Rules", Value: "all well", Link: "#rules"}
	var ill []string
	for _, u := range v.Rules {
		if slices.ContainsFunc(u.Sources, func(s Source) bool { return s.Error != "" }) {
			ill = append(ill, u.Name)
		}
	}
	t.Note = countText(float64(len(v.Rules))) + " in the configuration"
	t.unwell(ill)
	if !v.Overview.Reloaded {
		t.Value, t.Bad, t.Note = "old file", true, "the configuration was changed and refused; see the log"
	}
	return t
}
