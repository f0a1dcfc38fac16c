package rbl

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// file is the form of lists.toml.
type file struct {
	// Errors are sets of error codes that several lists share.
	Errors map[string]map[string]Trouble `toml:"errors"`
	List   map[string]row                `toml:"list"`
	Dead   map[string]deadRow            `toml:"dead"`
}

type row struct {
	About
	Kind    string             `toml:"kind"`
	Holds   []string           `toml:"holds"`
	Listed  []string           `toml:"listed"`
	Codes   map[string]string  `toml:"codes"`
	Neutral map[string]string  `toml:"neutral"`
	Errors  map[string]Trouble `toml:"errors"`
	Shares  string             `toml:"shares"`
	Probe   string             `toml:"probe"`
}

type deadRow struct {
	Name   string `toml:"name"`
	Since  string `toml:"since"`
	Reason string `toml:"reason"`
	Docs   string `toml:"docs"`
}

// ParseTable reads a table in the form of the embedded lists.toml. It reports
// every problem at once: an unknown key, a code or a word it does not know, a
// living list without an address of its own documentation, an error code that
// is a listing too, a zone that stands twice.
func ParseTable(text []byte) (*Table, error) {
	var f file
	md, err := toml.NewDecoder(bytes.NewReader(text)).Decode(&f)
	if err != nil {
		return nil, fmt.Errorf("reading the table of lists: %w", err)
	}
	var problems []error
	for _, key := range md.Undecoded() {
		problems = append(problems, fmt.Errorf("unknown key %q", key.String()))
	}
	t := &Table{zones: map[string]*List{}, keyed: map[string]*List{}}
	add := func(what, zone string, l *List, err error) {
		if err == nil {
			err = t.add(l)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s %q: %w", what, zone, err))
		}
	}
	for _, zone := range slices.Sorted(maps.Keys(f.List)) {
		l, err := f.List[zone].list(zone, f.Errors)
		add("list", zone, l, err)
	}
	for _, zone := range slices.Sorted(maps.Keys(f.Dead)) {
		l, err := f.Dead[zone].list(zone)
		add("dead list", zone, l, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("reading the table of lists: %w", err)
	}
	return t, nil
}

func (t *Table) add(l *List) error {
	if l.Zone != strings.ToLower(l.Zone) || strings.HasSuffix(l.Zone, ".") {
		return errors.New("write the zone in lower case, without a trailing dot")
	}
	if _, ok := t.Find(l.Zone); ok {
		return errors.New("it stands in the table twice")
	}
	t.zones[l.Zone] = l
	for _, k := range l.Keyed {
		// A list that is asked with a key only is called by the keyed form.
		if known, ok := t.Find(k); ok && known != l {
			return fmt.Errorf("its keyed form %q stands in the table twice", k)
		}
		t.keyed[k] = l
	}
	t.lists = append(t.lists, l)
	return nil
}

func (r row) list(zone string, shared map[string]map[string]Trouble) (*List, error) {
	l := &List{Zone: zone, About: r.About, Errors: map[Code]Trouble{}}
	if r.Name == "" || !webAddress(r.Docs) || r.Removal != "" && !webAddress(r.Removal) {
		return nil, errors.New("name, docs or removal is missing or no web address")
	}
	var ok bool
	if l.Kind, ok = map[string]Kind{"": Block, "block": Block, "allow": Allow}[r.Kind]; !ok {
		return nil, fmt.Errorf("kind = %q is neither block nor allow", r.Kind)
	}
	if l.Probe, ok = map[string]Probe{"": ProbeRFC, "rfc5782": ProbeRFC, "random": ProbeRandom, "none": ProbeNone}[r.Probe]; !ok {
		return nil, fmt.Errorf("probe = %q is none of rfc5782, random, none", r.Probe)
	}
	var err error
	if l.Holds, err = ParseHolds(r.Holds); err != nil || l.Holds == 0 {
		return nil, errors.Join(errors.New("holds is empty or wrong"), err)
	}
	if l.Listed, err = ParseCodeSet(r.Listed); err != nil {
		return nil, err
	}
	if l.Listed.Empty() {
		l.Listed = DefaultListed()
	}
	if l.Codes, err = ParseCodeNames(r.names()); err != nil {
		return nil, err
	}
	if _, ok := shared[r.Shares]; r.Shares != "" && !ok {
		return nil, fmt.Errorf("shares = %q names no [errors] table", r.Shares)
	}
	for _, from := range []map[string]Trouble{shared[r.Shares], r.Errors} {
		if err := l.addErrors(from); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// names returns the names of all codes, of listings or not.
func (r row) names() map[string]string {
	names := map[string]string{}
	maps.Copy(names, r.Codes)
	maps.Copy(names, r.Neutral)
	return names
}

func (l *List) addErrors(from map[string]Trouble) error {
	for text, trouble := range from {
		c, err := ParseCode(text)
		switch {
		case err != nil:
			return err
		case trouble.Name == "" || trouble.Help == "":
			return fmt.Errorf("error code %v lacks a name or a help", c)
		case l.Listed.Contains(c):
			return fmt.Errorf("%v is an error and a listing", c)
		}
		l.Errors[c] = trouble
	}
	return nil
}

func (r deadRow) list(zone string) (*List, error) {
	if r.Name == "" || r.Reason == "" {
		return nil, errors.New("name or reason is missing")
	}
	if !slices.ContainsFunc([]string{"2006-01-02", "2006-01", "2006"}, func(layout string) bool {
		_, err := time.Parse(layout, r.Since)
		return err == nil
	}) {
		return nil, fmt.Errorf("since = %q is no date", r.Since)
	}
	return &List{Zone: zone, About: About{Name: r.Name, Docs: r.Docs}, Holds: HoldsAll,
		Dead: &Dead{Since: r.Since, Reason: r.Reason}}, nil
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}
