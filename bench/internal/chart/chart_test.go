package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
)

// element is what of the document is looked at.
type element struct {
	name, class, text string
	width             float64
}

// parse reads a document as any program would.
func parse(t *testing.T, svg []byte) []element {
	t.Helper()
	var out []element
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			e := element{name: tok.Name.Local}
			for _, a := range tok.Attr {
				switch a.Name.Local {
				case "class":
					e.class = a.Value
				case "width":
					if e.width, err = strconv.ParseFloat(a.Value, 64); err != nil {
						t.Fatal(err)
					}
				}
			}
			out = append(out, e)
		case xml.CharData:
			if len(out) > 0 {
				out[len(out)-1].text += string(tok)
			}
		}
	}
}

func TestDraw(t *testing.T) {
	p := Picture{Title: `A & B <"c">`, Note: "n", Mark: "b", Panels: []Panel{
		{Title: "one", Unit: "µs", Bars: []Bar{{"a", 1}, {"b", 2}, {"c", 4}}},
		{Title: "two", Unit: "µs", Bars: []Bar{{"a", 10}, {"b", 10}, {"c", 1000}}},
		{Title: "nothing"},
		{Title: "zero", Bars: []Bar{{"a", 0}}},
	}}
	elements := parse(t, Draw(p))
	var bars []element
	texts := map[string]bool{}
	for _, e := range elements {
		switch e.name {
		case "rect":
			bars = append(bars, e)
		case "text":
			texts[strings.TrimSpace(e.text)] = true
		}
	}
	if len(bars) != 7 {
		t.Fatalf("%d bars, want 7", len(bars))
	}
	if bars[2].width != 4*bars[0].width || bars[1].width != 2*bars[0].width {
		t.Errorf("widths %v, %v, %v of 1, 2, 4", bars[0].width, bars[1].width, bars[2].width)
	}
	if bars[5].width != width-left-right || bars[3].width*4 != bars[5].width {
		t.Errorf("a bar of a hundred times the others' is %v wide beside %v", bars[5].width, bars[3].width)
	}
	if bars[1].class != "m" || bars[0].class != "" {
		t.Errorf("classes %q and %q, want that of b alone", bars[0].class, bars[1].class)
	}
	for _, want := range []string{`A & B <"c">`, "one", "4.0 µs", "1000 µs …", "n"} {
		if !texts[want] {
			t.Errorf("no text %q", want)
		}
	}
}
