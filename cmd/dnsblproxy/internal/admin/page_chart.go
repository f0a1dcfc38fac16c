package admin

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// chart is drawn as two pictures over one time axis. The pictures stretch to
// the width of the page; labels stand beside them, so that they do not.
type chart struct {
	Ranges   []chartRange
	Answers  []layer // stacked, a path for each kind that occurs
	AnswersY []string
	Median   string // paths
	Slow     string
	TookY    []string
	Hits     []hit
	Times    []time.Time // labels of the time axis, evenly spaced
	Table    []tableRow  // the same in words, latest first, for who cannot see it
	Empty    bool
}

type chartRange struct {
	Name    string
	Current bool
}

type layer struct{ Kind, Path string }

// tableRow is a few minutes of the chart.
type tableRow struct {
	From, To     time.Time
	Rate         string
	Counts       []string // of the kinds that Answers has
	Median, Slow time.Duration
}

// hit is the invisible part of a column that a pointer finds.
type hit struct{ X, Width, Text string }

// The pictures' own units.
const (
	chartWidth  = 720.0
	chartHeight = 120.0
)

// chartSpans are what the page offers.
var chartSpans = [...]struct {
	name    string
	span    time.Duration
	columns int
	rows    int // of the table, of whole minutes
}{{"15m", 15 * time.Minute, 90, 15}, {"1h", time.Hour, 120, 12}, {"6h", 6 * time.Hour, 120, 12}}

// The latency axis runs over decades.
const (
	tookLow     = 10e-6 // seconds
	tookDecades = 6
)

func (h *History) chart(now time.Time, name string) *chart {
	chosen := chartSpans[1]
	for _, s := range chartSpans {
		if s.name == name {
			chosen = s
		}
	}
	c := &chart{TookY: []string{"10 s", "1 s", "100 ms", "10 ms", "1 ms", "100 µs", "10 µs"}}
	for _, s := range chartSpans {
		c.Ranges = append(c.Ranges, chartRange{s.name, s == chosen})
	}
	columns := h.columns(now, chosen.span, chosen.columns)
	for i := 0; i <= 4; i++ {
		c.Times = append(c.Times, columns[0].from.Add(chosen.span*time.Duration(i)/4))
	}
	c.drawAnswers(columns)
	c.Median = tookPath(columns, .5)
	c.Slow = tookPath(columns, .99)
	c.tabulate(h.columns(now, chosen.span, chosen.rows))
	for i := range columns {
		c.Hits = append(c.Hits, hit{
			X: unit(float64(i) * chartWidth / float64(len(columns))), Width: unit(chartWidth / float64(len(columns))),
			Text: columns[i].text(),
		})
	}
	return c
}

// rate is answers a second, over what is known of the column.
func (c *column) rate(n float64) float64 {
	if c.sampled == 0 {
		return 0
	}
	return n / c.sampled.Seconds()
}

func (c *chart) drawAnswers(columns []column) {
	highest := 0.0
	for i := range columns {
		highest = max(highest, columns[i].rate(columns[i].total()))
	}
	c.Empty = highest == 0
	top := niceTop(highest)
	c.AnswersY = []string{rateText(top), rateText(top / 2), "0"}
	width := chartWidth / float64(len(columns))
	gap := width * .15
	below := make([]float64, len(columns)) // heights so far
	for kind, name := range chartKinds {
		var path strings.Builder
		for i := range columns {
			height := columns[i].rate(columns[i].verdicts[kind]) / top * chartHeight
			if height == 0 {
				continue
			}
			below[i] += height
			fmt.Fprintf(&path, "M%s %sh%sv%sh-%sz", unit(float64(i)*width+gap/2), unit(chartHeight-below[i]),
				unit(width-gap), unit(height), unit(width-gap))
		}
		if path.Len() > 0 {
			c.Answers = append(c.Answers, layer{name, path.String()})
		}
	}
}

// tabulate comes after drawAnswers, which knows the kinds that occur.
func (c *chart) tabulate(columns []column) {
	for _, column := range slices.Backward(columns) {
		row := tableRow{From: column.from, To: column.to, Rate: none}
		if column.sampled > 0 {
			row.Rate = rateText(column.rate(column.total()))
			row.Median, row.Slow = column.took.quantile(.5), column.took.quantile(.99)
		}
		for _, l := range c.Answers {
			row.Counts = append(row.Counts, countText(column.verdicts[chartKind(l.Kind)]))
		}
		c.Table = append(c.Table, row)
	}
}

// tookPath is a line through a quantile of the columns that have one.
func tookPath(columns []column, q float64) string {
	var path strings.Builder
	drawing := false
	width := chartWidth / float64(len(columns))
	for i := range columns {
		if columns[i].took.total() == 0 {
			drawing = false
			continue
		}
		took := max(columns[i].took.quantile(q).Seconds(), tookLow)
		y := chartHeight * (1 - min(1, math.Log10(took/tookLow)/tookDecades))
		x := (float64(i) + .5) * width
		if drawing {
			fmt.Fprintf(&path, "L%s %s", unit(x), unit(y))
			continue
		}
		// A short dash first, so that a column on its own is seen too.
		fmt.Fprintf(&path, "M%s %sL%s %s", unit(x-width/3), unit(y), unit(x+width/3), unit(y))
		drawing = true
	}
	return path.String()
}

// text tells a column in words.
func (c *column) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s UTC", c.from.UTC().Format("15:04:05"), c.to.UTC().Format("15:04:05"))
	if c.sampled == 0 {
		return b.String() + ": nothing known"
	}
	fmt.Fprintf(&b, ": %s answers a second", rateText(c.rate(c.total())))
	for kind, name := range chartKinds {
		if n := c.verdicts[kind]; n > 0 {
			fmt.Fprintf(&b, ", %s %s", countText(n), name)
		}
	}
	if c.took.total() > 0 {
		fmt.Fprintf(&b, "; half within %s, 99 %% within %s", tookText(c.took.quantile(.5)), tookText(c.took.quantile(.99)))
	}
	return b.String()
}

// niceTop rounds up to 1, 2 or 5 times a power of ten.
func niceTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 5} {
		if v <= step*power {
			return step * power
		}
	}
	return 10 * power
}

func unit(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }
