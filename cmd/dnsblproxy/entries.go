package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"dnsblproxy/overrides"
)

// commented is an entry with its comment, on its way into or out of a file.
type commented struct {
	entry   overrides.Entry
	comment string
}

// jsonEntry is its form in JSON.
type jsonEntry struct {
	Rule    string `json:"rule,omitempty"`
	Entry   string `json:"entry"`
	Until   string `json:"until,omitempty"`
	Comment string `json:"comment,omitempty"`
}

// readEntries reads a file to import. All of its problems are reported at
// once, as file:line.
func (a *app) readEntries(path, format string) ([]commented, error) {
	if err := knownFormat(format); err != nil {
		return nil, err
	}
	var data []byte
	var err error
	name := path
	if path == "-" {
		name = "standard input"
		data, err = io.ReadAll(a.in)
	} else {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, err
	}
	switch format {
	case "text":
		return readText(name, data)
	case "csv":
		return readCSV(name, string(data))
	case "json":
		return readJSON(name, data)
	}
	return nil, knownFormat(format)
}

func readText(name string, data []byte) ([]commented, error) {
	entries, problems := overrides.ParseRuleFile(name, data)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	lines := strings.Split(string(data), "\n")
	all := make([]commented, len(entries))
	for i, e := range entries {
		all[i] = commented{e, commentOf(lines[e.Line-1])}
	}
	return all, nil
}

func readCSV(name, data string) ([]commented, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(data, "\ufeff")))
	r.FieldsPerRecord, r.Comment, r.TrimLeadingSpace = -1, '#', true
	var all []commented
	var problems []error
	for first := true; ; first = false {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return all, errors.Join(problems...)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line, _ := r.FieldPos(0)
		if first && strings.EqualFold(strings.TrimSpace(fields[0]), "entry") {
			continue
		}
		fields = append(fields, "", "")
		c, err := commentedOf(fields[0], fields[1], fields[2])
		if err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %w", name, line, err))
		}
		all = append(all, c)
	}
}

func readJSON(name string, data []byte) ([]commented, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(data, &raws); err != nil {
		return nil, fmt.Errorf("%s: no array of entries: %w", name, err)
	}
	var all []commented
	var problems []error
	for i, raw := range raws {
		var e jsonEntry
		if json.Unmarshal(raw, &e.Entry) != nil {
			if err := json.Unmarshal(raw, &e); err != nil {
				problems = append(problems, fmt.Errorf("%s: element %d is neither a string nor an object with entry: %w", name, i+1, err))
				continue
			}
		}
		c, err := commentedOf(e.Entry, e.Until, e.Comment)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: element %d: %w", name, i+1, err))
		}
		all = append(all, c)
	}
	return all, errors.Join(problems...)
}

func commentedOf(what, until, comment string) (commented, error) {
	text := strings.TrimSpace(what)
	if until = strings.TrimSpace(until); until != "" {
		text += " until " + until
	}
	e, err := overrides.ParseEntry(text)
	return commented{e, strings.Join(strings.Fields(comment), " ")}, err
}

// writeEntries prints entries in a format. With rules, each is under the name
// of its rule.
func (a *app) writeEntries(format string, all []jsonEntry) error {
	switch format {
	case "json":
		if all == nil {
			all = []jsonEntry{}
		}
		return a.printJSON(all)
	case "csv":
		w := csv.NewWriter(a.out)
		if err := w.Write([]string{"entry", "until", "comment", "rule"}); err != nil {
			return err
		}
		for _, e := range all {
			if err := w.Write([]string{e.Entry, e.Until, e.Comment, e.Rule}); err != nil {
				return err
			}
		}
		w.Flush()
		return w.Error()
	case "text":
		rule := ""
		for _, e := range all {
			if e.Rule != rule {
				rule = e.Rule
				fmt.Fprintf(a.out, "# rule %s\n", rule)
			}
			s := e.Entry
			if e.Until != "" {
				s += " until " + e.Until
			}
			if e.Comment != "" {
				s += "  # " + e.Comment
			}
			if _, err := fmt.Fprintln(a.out, s); err != nil {
				return err
			}
		}
		return nil
	}
	return knownFormat(format)
}

func untilText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}
