package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dnsblproxy/bench/internal/chart"
	"dnsblproxy/bench/internal/peers"
)

// Machine is where and on what the figures were found.
type Machine struct {
	Date       time.Time `json:"date"`
	Commit     string    `json:"commit"`
	Processor  string    `json:"processor"`
	Processors int       `json:"processors"`
	Kernel     string    `json:"kernel"`
	Go         string    `json:"go"`
	Versions   []string  `json:"versions"`
	Rounds     int       `json:"rounds"`
	Window     string    `json:"window"`
	Rate       float64   `json:"rate"`
	Names      int       `json:"names"`
}

// Figure is what one window found of one server; times are in microseconds.
type Figure struct {
	Answers   int     `json:"answers"`
	Lost      int     `json:"lost,omitempty"`
	Failed    int     `json:"failed,omitempty"` // neither NOERROR nor NXDOMAIN
	CPU       float64 `json:"cpu_us"`           // of the server, per answer
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	P999      float64 `json:"p999_us"`
}

// Round holds one figure for each window and server.
type Round map[string]map[string]Figure

// Instructions is what an answer takes in user space.
type Instructions struct {
	Hit  float64 `json:"hit"`  // out of the cache
	Miss float64 `json:"miss"` // that the list is asked for
}

// Memory is what cached answers take.
type Memory struct {
	Answers int     `json:"answers"`
	Empty   int64   `json:"empty_bytes"` // resident, at start with a small cache
	Full    int64   `json:"full_bytes"`
	Each    float64 `json:"bytes_each"`
	Kept    float64 `json:"kept"` // share of a sample that was answered without asking the list
}

// Behaviour is what a server makes of trouble; times are in milliseconds, and
// negative where there was no answer.
type Behaviour struct {
	TogetherAsked    int     `json:"together_asked"`    // questions to the list when 200 clients ask for one name
	TogetherAnswered int     `json:"together_answered"` // clients that had an answer
	TogetherLast     float64 `json:"together_last_ms"`  // the last of these, after the list's
	TypesAsked       int     `json:"types_asked"`       // questions to the list for A, then TXT of 100 names, 28 listed
	DeadFirst        float64 `json:"dead_first_ms"`     // the first question to a silent list
	DeadTenth        float64 `json:"dead_tenth_ms"`
	Return           float64 `json:"return_ms"` // from the list's return to its first new answer
}

// Reload is latency at a fixed rate while a million prefixes are re-read.
type Reload struct {
	Prefixes int    `json:"prefixes"`
	Reloads  int    `json:"reloads"`
	Before   Figure `json:"before"`
	During   Figure `json:"during"`
}

// Cores compares a proxy that may use two processors with one that has one.
type Cores struct {
	One, Two Figure
	Scaling  float64 `json:"scaling"` // answers that two can give over those that one can
}

// Results is all that was found.
type Results struct {
	Machine      Machine                 `json:"machine"`
	Servers      []string                `json:"servers"`
	Medians      Round                   `json:"medians"`
	Ratios       []Ratio                 `json:"ratios"`
	Targets      []Target                `json:"targets"`
	Memory       map[string]Memory       `json:"memory,omitempty"`
	Behaviour    map[string]Behaviour    `json:"behaviour,omitempty"`
	Reload       *Reload                 `json:"reload,omitempty"`
	Trace        *Traced                 `json:"trace,omitempty"`
	Collection   float64                 `json:"gc_percent"`  // of the proxy's processor time, over its whole life
	Pause        float64                 `json:"gc_pause_ms"` // its longest
	Cores        *Cores                  `json:"cores,omitempty"`
	Instructions map[string]Instructions `json:"instructions,omitempty"`
	Rounds       []Round                 `json:"rounds"`
}

// Ratio compares a figure of two servers, round by round.
type Ratio struct {
	Window, Of  string
	Server, To  string
	Median      float64
	Least, Most float64
}

// median of v; 0 without any. v is sorted by it.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// of picks one figure by its name in the tables.
func (f Figure) of(what string) float64 {
	switch what {
	case "cpu":
		return f.CPU
	case "p50":
		return f.P50
	case "p99":
		return f.P99
	case "p999":
		return f.P999
	}
	return f.PerSecond
}

// ratio is the median over the rounds of server's figure divided by to's.
func (r *Results) ratio(window, what, server, to string) Ratio {
	var all []float64
	for _, round := range r.Rounds {
		a, ok := round[window][server]
		b, also := round[window][to]
		if ok && also && b.of(what) > 0 {
			all = append(all, a.of(what)/b.of(what))
		}
	}
	out := Ratio{Window: window, Of: what, Server: server, To: to, Median: median(all)}
	if len(all) > 0 {
		out.Least, out.Most = all[0], all[len(all)-1]
	}
	return out
}

// finish works the medians, ratios and targets out.
func (r *Results) finish() {
	r.Medians = Round{}
	if len(r.Rounds) > 0 {
		for window := range r.Rounds[0] {
			r.Medians[window] = map[string]Figure{}
			for _, s := range r.Servers {
				var all []Figure
				for _, round := range r.Rounds {
					if f, ok := round[window][s]; ok {
						all = append(all, f)
					}
				}
				if len(all) > 0 {
					r.Medians[window][s] = medianFigure(all)
				}
			}
		}
	}
	for _, w := range []string{warmFew, warmMany} {
		for _, s := range r.Servers {
			r.Ratios = append(r.Ratios, r.ratio(w, "cpu", s, peers.Bare))
		}
	}
	r.Targets = r.targets()
}

// medianFigure takes each figure's own median, and sums up what went wrong.
func medianFigure(figures []Figure) Figure {
	middle := func(what string) float64 {
		var all []float64
		for _, f := range figures {
			all = append(all, f.of(what))
		}
		return median(all)
	}
	out := Figure{CPU: middle("cpu"), PerSecond: middle("rate"), P50: middle("p50"), P99: middle("p99"), P999: middle("p999")}
	for _, f := range figures {
		out.Answers += f.Answers
		out.Lost += f.Lost
		out.Failed += f.Failed
	}
	return out
}

// write puts the figures into dir, and as the latest ones, with their picture,
// those of a run that left nothing out.
func (r *Results) write(dir string, whole bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of the results: %w", err)
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	b = append(b, '\n')
	dated := fmt.Sprintf("%s-%s.json", r.Machine.Date.Format("20060102-1504"), r.Machine.Commit)
	files := map[string][]byte{dated: b}
	if whole {
		files["latest.json"], files["latest.svg"] = b, chart.Draw(r.picture())
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("writing results: %w", err)
		}
	}
	return nil
}

// picture is what README shows.
func (r *Results) picture() chart.Picture {
	p := chart.Picture{
		Title: "dnsblproxy and other DNS servers, side by side on one processor",
		Note: fmt.Sprintf("%s, Linux %s, %s, commit %s: medians of %d rounds",
			r.Machine.Processor, r.Machine.Kernel, r.Machine.Date.Format("2006-01-02"), r.Machine.Commit, r.Machine.Rounds),
		Mark: peers.Proxy,
	}
	add := func(title, window, what string) {
		panel := chart.Panel{Title: title, Unit: "µs"}
		for _, s := range r.Servers {
			if f, ok := r.Medians[window][s]; ok {
				panel.Bars = append(panel.Bars, chart.Bar{Name: s, Value: f.of(what)})
			}
		}
		slices.SortStableFunc(panel.Bars, func(a, b chart.Bar) int { return cmp.Compare(a.Value, b.Value) })
		p.Panels = append(p.Panels, panel)
	}
	add("Processor time per cached answer, 8 clients", warmFew, "cpu")
	add("Processor time per cached answer, 128 outstanding", warmMany, "cpu")
	add("Cached answer, one at a time, 99 of 100 within", warmOne, "p99")
	add("Answer that the list is asked for, half within", missOne, "p50")
	return p
}
