package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
)

// update rewrites what the tests of generated files compare with: make docs.
var update = flag.Bool("update", false, "write docs/ anew instead of comparing with it")

// docsDir is docs/ as the tests of this package see it.
const docsDir = "../../docs"

// generated says at the top of a file where it comes from.
const generated = "<!-- Made by \"make docs\" from the code; do not edit. -->\n\n"

// TestDocs compares the generated part of docs/ with the code that it is
// generated from. It lives in a test, so that the product holds nothing of it.
func TestDocs(t *testing.T) {
	files := map[string][]byte{}
	root := newRoot(&app{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
	addCompletions(t, files, root)
	addManPages(files, root)
	settings := readSettings(t)
	files["CONFIG.md"] = configReference(settings)
	files["man/dnsblproxy.toml.5"] = configManPage(settings)
	files["METRICS.md"] = metricsReference(t)
	files["LISTS.md"] = listsReference(t)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		compareDoc(t, name, files[name])
	}
	// A page of a command that is gone would stay for ever.
	for _, dir := range []string{"man", "completion"} {
		kept, err := filepath.Glob(filepath.Join(docsDir, dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range kept {
			if name, err := filepath.Rel(docsDir, path); err != nil || files[name] == nil {
				t.Errorf("docs/%s is made by nothing (%v); remove it", name, err)
			}
		}
	}
}

func compareDoc(t *testing.T, name string, want []byte) {
	t.Helper()
	path := filepath.Join(docsDir, name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%v; run make docs", err)
		return
	}
	if bytes.Equal(got, want) {
		return
	}
	is, should := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(is), len(should)) {
		if i >= len(is) || i >= len(should) || is[i] != should[i] {
			t.Errorf("docs/%s differs from the code from line %d on; run make docs", name, i+1)
			return
		}
	}
}

// setting is one key of the configuration with what is said of it.
type setting struct {
	config.Key
	Table string // as it is written, such as [zone."NAME"]; "" for the top
	Name  string // of the key itself
	Why   string // the comment in config.example.toml
}

// readSettings joins the schema with the comments of config.example.toml: a
// key without one line why fails the test.
func readSettings(t *testing.T) []setting {
	t.Helper()
	example, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	why := comments(string(example))
	var all []setting
	for _, k := range config.Schema() {
		table, name := k.Path[:len(k.Path)-1], k.Path[len(k.Path)-1]
		s := setting{Key: k, Name: name}
		if len(table) > 0 {
			s.Table = "[" + strings.Replace(strings.Join(table, "."), "zone.NAME", `zone."NAME"`, 1) + "]"
		}
		// What deny rules share with allow rules is explained there.
		for _, kind := range []string{fixedPart(table), "allow"} {
			if s.Why == "" && (kind == fixedPart(table) || fixedPart(table) == "deny") {
				s.Why = why[kind+"."+name]
			}
		}
		if s.Why == "" {
			t.Errorf("config.example.toml does not say why there is %s%s", s.Table, name)
		}
		all = append(all, s)
	}
	return all
}

// fixedPart is how a table is known in comments: without the names that users
// choose.
func fixedPart(path []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(path), func(s string) bool { return s == "NAME" }), ".")
}

// comments finds the first comment beside each key, set or commented out.
func comments(example string) map[string]string {
	header := regexp.MustCompile(`^#?\[([a-z.]+?)(?:\.(?:"[^"]*"|[a-z]+))?\]`)
	key := regexp.MustCompile(`^#?([a-z][a-z0-9_]*) *= (.*)$`)
	found, table := map[string]string{}, ""
	for line := range strings.Lines(example) {
		line = strings.TrimSpace(line)
		if m := header.FindStringSubmatch(line); m != nil {
			table = m[1]
			if strings.HasPrefix(strings.TrimPrefix(line, "#"), "[cache.shared]") {
				table = "cache.shared"
			}
			continue
		}
		m := key.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		_, comment, ok := cutComment(m[2])
		if name := table + "." + m[1]; ok && found[strings.TrimPrefix(name, ".")] == "" && found[name] == "" {
			found[name] = comment
		}
	}
	return found
}

// cutComment splits a TOML value from the comment behind it.
func cutComment(s string) (value, comment string, ok bool) {
	quote := rune(0)
	for i, c := range s {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && c == '#':
			return strings.TrimSpace(s[:i]), strings.TrimSpace(s[i+1:]), true
		}
	}
	return s, "", false
}

// metricsReference lists what /metrics shows of ours.
func metricsReference(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("# Metrics\n\n" + generated)
	b.WriteString("`http://127.0.0.1:9353/metrics` shows these, and what Go's Prometheus library tells of the process\n(`go_*`, `process_*`). Client addresses and names that were asked about are never labels.\n\n")
	b.WriteString("| metric | labels | tells |\n| --- | --- | --- |\n")
	for _, m := range exportedMetrics(t) {
		labels := make([]string, len(m.labels))
		for i, l := range m.labels {
			labels[i] = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m.name, strings.Join(labels, ", "), cell(m.help))
	}
	return b.Bytes()
}

// metric is what a collector says of one of its metrics.
type metric struct {
	name, help string
	labels     []string
}

// exportedMetrics asks the registry of a wired server, so that nothing can be
// forgotten.
func exportedMetrics(t *testing.T) []metric {
	t.Helper()
	d := oneOfEach(t)
	descs := make(chan *prometheus.Desc)
	go func() {
		d.reg.Describe(descs)
		close(descs)
	}()
	form := regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), unit: "[^"]*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	var all []metric
	for desc := range descs {
		m := form.FindStringSubmatch(desc.String())
		if m == nil {
			t.Fatalf("%s is written in a new way", desc)
		}
		x := metric{name: unquote(t, m[1]), help: unquote(t, m[2])}
		if !strings.HasPrefix(x.name, "dnsblproxy_") {
			continue
		}
		for label := range strings.SplitSeq(m[3], ",") {
			if name, _, ok := strings.Cut(label, "="); ok {
				x.labels = append(x.labels, name)
			}
		}
		for label := range strings.SplitSeq(m[4], ",") {
			if label != "" {
				x.labels = append(x.labels, label)
			}
		}
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(all, func(a, b metric) bool { return a.name == b.name })
}

// oneOfEach is a server with one of everything that has metrics.
func oneOfEach(t *testing.T) *proxy {
	t.Helper()
	d := wired(t, `[resolver]
servers = ["127.0.0.1:1"]
[cache.shared]
url = "redis://127.0.0.1:1"
secret = "x"
[zone."local.example"]
source = "deny"
[zone."list.example"]
probe = false
[deny.x]
zones = ["local.example"]
cidr = ["192.0.2.1"]
[watch.own]
cidr = ["192.0.2.2"]
notify = ["http://127.0.0.1:1/"]
`)
	d.newTap(d.began) // it is off, and has its metric all the same
	return d
}
