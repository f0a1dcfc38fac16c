package overrides

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Item is an entry on its way in or out of the program, with what people
// wrote beside it.
type Item struct {
	Entry   Entry
	Comment string // one line
	Rule    string // its name; on the way out only
	Source  string // as Source.String; on the way out only
}

// Format is how items are written to or read from a file.
type Format string

// The formats of import and export.
const (
	FormatText Format = "text" // a rule file
	FormatCSV  Format = "csv"  // entry,until,comment,rule,source with a header; read with semicolons too
	FormatJSON Format = "json" // an array of objects with these keys
)

// ParseFormat reads a format's name; empty is text.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case FormatText, FormatCSV, FormatJSON:
		return f, nil
	case "":
		return FormatText, nil
	}
	return "", fmt.Errorf("%q is no format; write text, csv or json", s)
}

// record is an item as CSV and JSON have it.
type record struct {
	Entry   string `json:"entry"`
	Until   string `json:"until,omitempty"`
	Comment string `json:"comment,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Source  string `json:"source,omitempty"`
}

var columns = []string{"entry", "until", "comment", "rule", "source"}

// WriteItems writes items in order. ReadItems reads them back, but for the
// line numbers; in text also but for rule and source, which are comments.
func WriteItems(w io.Writer, f Format, items []Item) error {
	switch f {
	case FormatCSV:
		return writeCSV(w, items)
	case FormatJSON:
		return writeJSON(w, items)
	}
	var b bytes.Buffer
	rule, source := "", ""
	for _, it := range items {
		if it.Rule != rule || it.Source != source {
			rule, source = it.Rule, it.Source
			fmt.Fprintf(&b, "# rule %s: %s\n", oneLine(rule), oneLine(source))
		}
		b.WriteString(lineOf(it))
		b.WriteByte('\n')
	}
	_, err := w.Write(b.Bytes())
	return err
}

// lineOf writes an item as a line of a rule file.
func lineOf(it Item) string {
	if c := oneLine(it.Comment); c != "" {
		return it.Entry.String() + " # " + c
	}
	return it.Entry.String()
}

// oneLine makes a comment fit behind an entry.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == ' ' }), " ")
}

func recordOf(it Item) record {
	r := record{Comment: it.Comment, Rule: it.Rule, Source: it.Source}
	if !it.Entry.Until.IsZero() {
		r.Until = it.Entry.Until.Format(time.DateOnly)
		it.Entry.Until = time.Time{}
	}
	r.Entry = it.Entry.String()
	return r
}

func writeCSV(w io.Writer, items []Item) error {
	c := csv.NewWriter(w)
	if err := c.Write(columns); err != nil {
		return err
	}
	for _, it := range items {
		r := recordOf(it)
		if err := c.Write([]string{r.Entry, r.Until, r.Comment, r.Rule, r.Source}); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

func writeJSON(w io.Writer, items []Item) error {
	records := make([]record, 0, len(items))
	for _, it := range items {
		records = append(records, recordOf(it))
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(records)
}

// ReadItems reads what WriteItems or a person wrote. The name is used in
// messages, each of which is a *Problem; all are reported at once. Rule and
// source, which do not say where an item goes, are ignored.
func ReadItems(name string, f Format, data []byte) ([]Item, []error) {
	data, err := unmarked(name, data)
	if err != nil {
		return nil, []error{err}
	}
	switch f {
	case FormatCSV:
		return readCSV(name, data)
	case FormatJSON:
		return readJSON(name, data)
	}
	entries, problems := ParseRuleFile(name, data)
	if len(problems) > 0 {
		return nil, problems
	}
	lines := strings.Split(string(data), "\n")
	items := make([]Item, len(entries))
	for i, e := range entries {
		_, comment, _ := strings.Cut(lines[e.Line-1], "#")
		items[i] = Item{Entry: e, Comment: oneLine(comment)}
	}
	return items, nil
}

func (r record) item() (Item, error) {
	e, err := ParseEntry(r.Entry)
	if err != nil {
		return Item{}, err
	}
	if r.Until != "" {
		if e.Until, err = ParseDay(r.Until); err != nil {
			return Item{}, err
		}
	}
	return Item{Entry: e, Comment: oneLine(r.Comment)}, nil
}

func readJSON(name string, data []byte) ([]Item, []error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var records []record
	err := dec.Decode(&records)
	if err == nil && records == nil {
		err = errors.New("it is null")
	}
	if err != nil {
		return nil, []error{&Problem{File: name, Msg: fmt.Sprintf("the file is no JSON array of objects with entry, until and comment: %v", err)}}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, []error{&Problem{File: name, Msg: "something follows the JSON array; remove it"}}
	}
	var items []Item
	var problems []error
	for i, r := range records {
		it, err := r.item()
		if err != nil {
			problems = append(problems, &Problem{File: name, Msg: fmt.Sprintf("object %d: %v", i+1, err)})
			continue
		}
		items = append(items, it)
	}
	return items, capped(name, problems)
}

func readCSV(name string, data []byte) ([]Item, []error) {
	c := csv.NewReader(bytes.NewReader(data))
	c.FieldsPerRecord, c.TrimLeadingSpace = -1, true
	// Spreadsheets write semicolons where the comma is decimal. Neither stands
	// in an entry or a head, so that the first one is between two cells.
	if i := bytes.IndexAny(data, ",;"); i >= 0 && data[i] == ';' {
		c.Comma = ';'
	}
	order := columns
	var items []Item
	var problems []error
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return items, capped(name, problems)
		}
		if err != nil {
			return nil, []error{&Problem{File: name, Msg: fmt.Sprintf("the file is no CSV: %v", err)}}
		}
		if strings.TrimSpace(strings.Join(row, "")) == "" {
			continue // spreadsheets write their empty rows too
		}
		line, _ := c.FieldPos(0)
		if len(items)+len(problems) == 0 && slices.ContainsFunc(row, isEntryColumn) && !slices.ContainsFunc(row, isEntry) {
			if order, err = columnsOf(row); err != nil {
				return nil, []error{&Problem{File: name, Line: line, Msg: err.Error()}}
			}
			continue
		}
		it, err := rowRecord(order, row).item()
		if err != nil {
			problems = append(problems, &Problem{File: name, Line: line, Msg: err.Error()})
			continue
		}
		it.Entry.Line = line
		items = append(items, it)
	}
}

// isEntryColumn knows the heads that other products write over addresses.
func isEntryColumn(s string) bool {
	return slices.Contains([]string{"entry", "address", "ip", "cidr", "prefix", "network"}, strings.ToLower(strings.TrimSpace(s)))
}

// isEntry tells a row of entries, whatever their comments, from a head.
func isEntry(s string) bool {
	_, err := ParseEntry(s)
	return err == nil
}

// columnsOf reads a head. An unknown column may well be a date that the entry
// would lose, as an unknown key of JSON may.
func columnsOf(head []string) (order []string, err error) {
	for _, s := range head {
		name := strings.ToLower(strings.TrimSpace(s))
		switch {
		case isEntryColumn(name):
			name = "entry"
		case name == "expires":
			name = "until"
		case name == "description":
			name = "comment"
		case name != "" && !slices.Contains(columns, name):
			return nil, fmt.Errorf("unknown column %q; name it entry, until or comment, or take it out", s)
		}
		if name != "" && slices.Contains(order, name) {
			return nil, fmt.Errorf("%q is a second column for the same; take one of them out", s)
		}
		order = append(order, name)
	}
	return order, nil
}

func rowRecord(order, row []string) (r record) {
	for i, v := range row {
		if i >= len(order) {
			break
		}
		switch v = strings.TrimSpace(v); order[i] {
		case "entry":
			r.Entry = v
		case "until":
			r.Until = v
		case "comment":
			r.Comment = v
		}
	}
	return r
}

// capped keeps the messages to a screen.
func capped(name string, problems []error) []error {
	if len(problems) <= maxFileFault {
		return problems
	}
	rest := len(problems) - maxFileFault
	return append(problems[:maxFileFault], &Problem{File: name, Msg: fmt.Sprintf("%d more entries are wrong; mend those above first", rest)})
}
