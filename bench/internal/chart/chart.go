// Package chart draws bars as an SVG picture that reads on light and on dark
// pages: panels of horizontal bars, shortest first, one of them marked. It is
// written without scripts and fonts of its own, so that it may stand in a README.
//
// The bars of one panel share a scale that begins at 0. A bar that would be more
// than four times the median is cut, with its figure beside it, so that
// one outlier does not make the others unreadable.
package chart

import (
	"bytes"
	"fmt"
	"html"
	"slices"
)

// Bar is one figure.
type Bar struct {
	Name  string
	Value float64
}

// Panel is one set of bars that are compared with each other.
type Panel struct {
	Title, Unit string
	Bars        []Bar
}

// Picture is what is drawn.
type Picture struct {
	Title, Note string
	Mark        string // the name of the bars that stand out
	Panels      []Panel
}

// Sizes, in pixels.
const (
	width     = 820
	left      = 130 // of the bars
	right     = 90  // room for figures
	barHeight = 20
	panelHead = 34
	panelGap  = 14
	head      = 40
	foot      = 30
)

const style = `<style>
text{font:13px system-ui,sans-serif;fill:#24292f}.t{font-size:16px;font-weight:600}.h{font-weight:600}.n{font-size:11px;fill:#57606a}
rect{fill:#9aa7b4}.m{fill:#1f6feb}.b{font-weight:600}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#9198a1}rect{fill:#57606a}.m{fill:#4493f8}}
</style>
`

// Draw returns p as an SVG document.
func Draw(p Picture) []byte {
	var panels, b bytes.Buffer
	y := head
	for _, panel := range p.Panels {
		y = panel.draw(&panels, y, p.Mark)
	}
	title := html.EscapeString(p.Title)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", width, y+foot, title)
	b.WriteString(style)
	fmt.Fprintf(&b, `<text class="t" x="10" y="24">%s</text>`+"\n", title)
	b.Write(panels.Bytes())
	fmt.Fprintf(&b, `<text class="n" x="10" y="%d">%s</text>`+"\n</svg>\n", y+10, html.EscapeString(p.Note))
	return b.Bytes()
}

// draw writes one panel from y on and returns where the next one begins.
func (p Panel) draw(b *bytes.Buffer, y int, mark string) int {
	fmt.Fprintf(b, `<text class="h" x="10" y="%d">%s</text>`+"\n", y+20, html.EscapeString(p.Title))
	y += panelHead
	full := p.full()
	for _, bar := range p.Bars {
		w, class, weight := float64(width-left-right), "", ""
		if full > 0 {
			w *= min(max(bar.Value/full, 0), 1)
		}
		if bar.Name == mark {
			class, weight = ` class="m"`, ` class="b"`
		}
		more := ""
		if bar.Value > full {
			more = " …"
		}
		fmt.Fprintf(b, `<text%s x="%d" y="%d" text-anchor="end">%s</text>`, weight, left-8, y+14, html.EscapeString(bar.Name))
		fmt.Fprintf(b, `<rect%s x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, class, left, y+2, w, barHeight-5)
		fmt.Fprintf(b, `<text%s x="%.1f" y="%d">%s %s%s</text>`+"\n", weight, float64(left)+w+6, y+14, figure(bar.Value), html.EscapeString(p.Unit), more)
		y += barHeight
	}
	return y + panelGap
}

// full is the value of a bar of full length.
func (p Panel) full() float64 {
	var all []float64
	for _, bar := range p.Bars {
		all = append(all, bar.Value)
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return min(all[len(all)-1], 4*all[len(all)/2])
}

// figure is v with two or more digits that count.
func figure(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
