package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// deployDir is deploy/ as the tests of this package see it.
const deployDir = "../../deploy"

// foreignMetrics are what Prometheus and its Go library export.
func foreignMetrics() []string {
	return []string{"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
}

// TestDeploy_metrics reads every expression of the alerts and the dashboard:
// each metric in it, and each of its labels, has to be one that we export, and
// each value of a label one that we give it.
func TestDeploy_metrics(t *testing.T) {
	values := exportedValues(t)
	known := map[string][]string{}
	for _, m := range exportedMetrics(t) {
		known[m.name] = append(m.labels, "job", "instance", "le")
	}
	name := regexp.MustCompile(`\b(dnsblproxy_[a-z_]+|process_[a-z_]+|up)\b(?:\{([^}]*)\})?`)
	label := regexp.MustCompile(`([a-z_]+) *(?:=~|!~|!=|=) *"([^"]*)"`)
	used := map[string]bool{}
	for where, expr := range expressions(t) {
		found := name.FindAllStringSubmatch(expr, -1)
		if len(found) == 0 {
			t.Errorf("%s: no metric in %q", where, expr)
		}
		for _, m := range found {
			metric := m[1]
			labels, ours := known[metric]
			if !ours {
				metric = strings.TrimSuffix(metric, "_bucket")
				labels, ours = known[metric]
			}
			used[metric] = true
			if !ours && !slices.Contains(foreignMetrics(), metric) {
				t.Errorf("%s: nothing exports %s", where, m[1])
			}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if ours && !slices.Contains(labels, l[1]) {
					t.Errorf("%s: %s has no label %s", where, m[1], l[1])
				}
				for value := range strings.SplitSeq(l[2], "|") {
					if ours && !strings.HasPrefix(value, "$") && !values[metric+" "+l[1]+" "+value] {
						t.Errorf("%s: the label %s of %s is never %q", where, l[1], m[1], value)
					}
				}
			}
		}
	}
	for metric := range known {
		if !used[metric] && metric != "dnsblproxy_shared_cache_requests_total" {
			t.Errorf("neither an alert nor the dashboard shows %s", metric)
		}
	}
}

// exportedValues are the values of all labels that a wired server exports from
// its start on, as "METRIC LABEL VALUE".
func exportedValues(t *testing.T) map[string]bool {
	t.Helper()
	families, err := oneOfEach(t).reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, family := range families {
		for _, m := range family.Metric {
			for _, l := range m.Label {
				all[family.GetName()+" "+l.GetName()+" "+l.GetValue()] = true
			}
		}
	}
	return all
}

// expressions are those of the alert rules and of the dashboard, by place.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	decode(t, yaml.Unmarshal, "prometheus/dnsblproxy.rules.yml", &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			all["alert "+r.Alert] = r.Expr
		}
	}
	var board struct {
		Panels []struct {
			Type, Title string
			Targets     []struct{ Expr string }
		}
		Annotations struct{ List []struct{ Name, Expr string } }
		Templating  struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	decode(t, json.Unmarshal, "grafana/dnsblproxy.json", &board)
	for _, p := range board.Panels {
		for i, target := range p.Targets {
			all["panel "+p.Title+" "+string(rune('A'+i))] = target.Expr
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q asks nothing", p.Title)
		}
	}
	for _, a := range board.Annotations.List {
		all["annotation "+a.Name] = a.Expr
	}
	for _, v := range board.Templating.List {
		if v.Type == "query" {
			all["variable "+v.Name] = v.Definition
		}
	}
	if len(all) < 40 {
		t.Errorf("%d expressions were found; the files have another form now", len(all))
	}
	return all
}

func decode(t *testing.T, unmarshal func([]byte, any) error, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployDir, file))
	if err == nil {
		err = unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// TestDeploy_promtool has Prometheus itself read the alert rules.
func TestDeploy_promtool(t *testing.T) {
	tool := unpacked(t, "promtool", "prometheus")
	out, err := exec.Command(tool, "check", "rules", filepath.Join(deployDir, "prometheus/dnsblproxy.rules.yml")).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("SUCCESS")) {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	out, err = exec.Command(tool, "test", "rules", "testdata/alerts.yml").CombinedOutput()
	if err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// TestDeploy_alerts: each alert is tried, so that it fires and so that it does
// not.
func TestDeploy_alerts(t *testing.T) {
	var file struct {
		Tests []struct {
			Rules []struct {
				Name  string `yaml:"alertname"`
				Fires []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	decode(t, yaml.Unmarshal, "../cmd/dnsblproxy/testdata/alerts.yml", &file)
	tried := map[string]bool{}
	for _, test := range file.Tests {
		for _, r := range test.Rules {
			tried[fmt.Sprint("alert ", r.Name, len(r.Fires) > 0)] = true
		}
	}
	for where := range expressions(t) {
		if strings.HasPrefix(where, "alert ") && !(tried[where+"true"] && tried[where+"false"]) {
			t.Errorf("testdata/alerts.yml does not try %s both ways", where)
		}
	}
}

// TestDeploy_listedShare: of questions that lists play no part in, none lowers
// the share of listings that the dashboard shows.
func TestDeploy_listedShare(t *testing.T) {
	counted := func(zone, verdict string, each int) [2]string {
		return [2]string{
			fmt.Sprintf(`dnsblproxy_queries_total{instance="mx", zone=%q, verdict=%q}`, zone, verdict),
			fmt.Sprintf("0+%dx120", each),
		}
	}
	panelShows(t, "Listed", "90m", 0.25,
		counted("bl.example", "listed", 1), counted("bl.example", "unlisted", 3),
		counted("", "forwarded", 50), counted("", "refused", 6))
}

// TestDeploy_savedToday: what the dashboard counts begins with the first mail
// that a rule saved, which is where its series begins.
func TestDeploy_savedToday(t *testing.T) {
	saved := func(rule, values string) [2]string {
		return [2]string{fmt.Sprintf(`dnsblproxy_exempted_listings_total{instance="mx", zone="bl.example", rule=%q, code="XBL"}`, rule), values}
	}
	panelShows(t, "Mail saved today", "30h", 0)
	panelShows(t, "Mail saved today", "30h", 0, saved("days ago", "3x2000"))
	panelShows(t, "Mail saved today", "30h", 1, saved("days ago", "3x2000"), saved("today", "_x1700 1x300"))
	panelShows(t, "Mail saved today", "30h", 1, saved("again after a restart", "3x1000 _x700 1x300"))
}

// panelShows wants a panel of the dashboard to show a figure of series with
// their values, one a minute.
func panelShows(t *testing.T, panel, at string, want float64, series ...[2]string) {
	t.Helper()
	tool := unpacked(t, "promtool", "prometheus")
	expr := expressions(t)["panel "+panel+" A"]
	for _, variable := range []string{"$instance", "$zone"} {
		expr = strings.ReplaceAll(expr, variable, ".*") // "All"
	}
	var input []any
	for _, s := range series {
		input = append(input, map[string]string{"series": s[0], "values": s[1]})
	}
	text, err := yaml.Marshal(map[string]any{"tests": []any{map[string]any{
		"interval":     "1m",
		"input_series": input,
		"promql_expr_test": []any{map[string]any{
			"expr": expr, "eval_time": at, "exp_samples": []any{map[string]any{"labels": "{}", "value": want}},
		}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "panel.yml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "test", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// unpacked finds a program that scripts/test-packages.sh installs or unpacks.
func unpacked(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../dist/testroot/usr/bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	return tool(t, name, debian)
}

// tool finds a program, or skips the test; in CI nothing may be missing.
func tool(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed (Debian: %s)", name, debian)
		}
		t.Skipf("%s is not installed (Debian: %s)", name, debian)
	}
	return path
}
