package main

import (
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides"
	"dnsblproxy/resolver/rbl"
)

// parsed reads a configuration with the real checks.
func parsed(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	return config.Parse(filepath.Join(t.TempDir(), "config.toml"), text, loadOptions(rbl.Builtin()))
}

// TestSyntaxIsComplete holds that no check of config is left out.
func TestSyntaxIsComplete(t *testing.T) {
	s := syntax(nil)
	if s.Codes == nil || s.Prefix == nil || s.Domain == nil || s.JQ == nil || s.Weights == nil || s.WellKnown == nil {
		t.Errorf("syntax = %+v, want every check", s)
	}
	for name, check := range map[string]func(string) error{"codes": s.Codes, "prefix": s.Prefix, "domain": s.Domain, "jq": s.JQ} {
		if err := check("] no such thing ["); err == nil || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s of junk = %v, want what is wrong; what to write instead", name, err)
		}
	}
	for _, junk := range []string{"127.0.0.*", "10.0.0.1", "127.0.0.&0", "127.0.0.2-11", "127.0.0.255/33", "", "127.0.[2..15", "127.0.0.[2;x]"} {
		if err := s.Codes(junk); err == nil || !strings.Contains(err.Error(), "; ") {
			t.Errorf("codes of %q = %v, want what is wrong; what to write instead", junk, err)
		}
	}
	for check, good := range map[string]error{
		"codes":  s.Codes("127.0.0.2-127.0.0.11"),
		"prefix": s.Prefix("172.16.0.0/255.255.240.0"),
		"domain": s.Domain("zen.spamhaus.org"),
		"jq":     s.JQ(`.prefixes[] | select(.service == "FAX") | .ip_prefix`),
	} {
		if good != nil {
			t.Errorf("%s refuses what it should accept: %v", check, good)
		}
	}
}

// TestSyntax_weights: what package combine refuses is refused with its line,
// all at once, before anything is served.
func TestSyntax_weights(t *testing.T) {
	_, err := parsed(t, rereadConfig+`[zone."sum.example"]
source = "combined"
threshold = 2
weights = { "local.example=127.0.0.2-127.0.0.4" = 3, "local.example=127.0.0.[4..6]" = 1, "bl.example=127.0.0.8/31" = 2, "bl.example=127.0.0.9-127.0.0.10" = 2 }
[zone."bl.example"]
`)
	for _, want := range []string{
		`config.toml:14: zone."sum.example".weights: weights "local.example=127.0.0.2-127.0.0.4" and "local.example=127.0.0.[4..6]" are equally specific and both cover 127.0.0.4; take it out of one`,
		`config.toml:14: zone."sum.example".weights: weights "bl.example=127.0.0.8/31" and "bl.example=127.0.0.9-127.0.0.10" are equally specific and both cover 127.0.0.9; take it out of one`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want in it %s", err, want)
		}
	}
}

func TestExampleLoads(t *testing.T) {
	text, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := parsed(t, string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules(c) {
		if errs := append(overrides.Validate(r), overrides.Warnings(r)...); len(errs) > 0 {
			t.Errorf("rule %s: %v", r.Key(), errs)
		}
	}
}

func TestRules(t *testing.T) {
	c, err := parsed(t, `[zone."local.rbl.internal"]
source = "deny"
[allow.x]
url = "https://example.com/"
refresh = "10m"
max_v4 = "/0"
max_v6 = "/32"
except = ["192.0.2.9"]
enabled = false
insecure = true
expires = 2099-03-31
[deny.y]
cidr = ["192.0.2.1"]
zones = ["local.rbl.internal"]
code = "127.0.0.9"
text = "ours"
`)
	if err != nil {
		t.Fatal(err)
	}
	all := rules(c)
	x, y := all[0], all[1]
	for _, tt := range []struct{ name, got, want string }{
		{"keys", x.Key() + " " + y.Key(), "allow.x deny.y"},
		{"refresh", x.Refresh.String(), "10m0s"},
		{"no feed, no refresh", y.Refresh.String(), "0s"},
		{"/0 lifts the guard", fmt.Sprint(x.MaxV4, x.MaxV6), fmt.Sprint(overrides.NoLimit, 32)},
		{"the guards by default", fmt.Sprint(y.MaxV4, y.MaxV6), "12 28"},
		{"exceptions", fmt.Sprint(x.Except, y.Except), "[192.0.2.9] []"},
		{"enabled, insecure", fmt.Sprint(x.Enabled, y.Enabled, x.Insecure, y.Insecure), "false true true false"},
		{"the last day", x.Expires.Format(time.DateOnly), "2099-03-31"},
		{"no code in an allow rule", x.Code.String(), "invalid IP"},
		{"code and text", y.Code.String() + " " + y.Text, "127.0.0.9 ours"},
		{"place", fmt.Sprint(y.Pos.Line, y.Pos.File == c.Path), "12 true"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

// TestRuleProblemsHaveTheirLine holds that what overrides finds is shown at
// the element that is wrong.
func TestRuleProblemsHaveTheirLine(t *testing.T) {
	c, err := parsed(t, `[zone."bl.spamcop.net"]
[allow.x]
spf = [
  "a.example",
  "b.example",
  "a.example",
]
except = [
  "192.0.2.1",
  "spf:b.example",
]
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range ruleProblems(c, errors.Join(overrides.Validate(rules(c)[0])...)) {
		got = append(got, fmt.Sprintf("%d %s", p.Line, p.What))
	}
	want := `4 allow.x.spf: "a.example" stands there twice|10 allow.x.except: "spf:b.example" would leave out the whole of spf b.example`
	if strings.Join(got, "|") != want {
		t.Errorf("problems = %q, want %q", got, want)
	}
}

// TestZoneNotAsAsked holds that a zone is refused that no question would ever
// find, and a list that would be asked by a name that it does not have.
func TestZoneNotAsAsked(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"international", `[zone."bücher.example"]`, `zone "bücher.example" is not spelled as it is asked in the DNS; write it without blanks, and in its xn-- form`},
		{"wide letters", `[zone."ｚen.spamhaus.org"]`, `zone "ｚen.spamhaus.org" is not`},
		{"a blank before", `[zone." bl.spamcop.net"]`, `zone " bl.spamcop.net" is not`},
		{"a blank behind", `[zone."bl.spamcop.net "]`, `zone "bl.spamcop.net " is not`},
		{"an international list", "[zone.\"bl.example\"]\nupstream = \"bücher.example\"", `:3: zone."bl.example".upstream is no domain name`},
		{"a list with a blank", "[zone.\"bl.example\"]\nupstream = \"bl.spamcop.net \"", `:3: zone."bl.example".upstream is no domain name`},
		{"no name at all", `[zone."bl..example"]`, `zone."bl..example": "bl..example" is no domain name`},
		{"as asked", `[zone."xn--bcher-kva.example"]`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parsed(t, "resolver.servers = [\"192.0.2.53\"]\n"+tt.text)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("it says %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	t.Setenv("SHORT_KEY", "Ab12")
	t.Setenv("LIST", "zen")
	t.Setenv("WHOLE", "list.example.net")
	for upstream, want := range map[string]string{
		"zen.spamhaus.org":             "",
		"psbl.surriel.com":             "",
		"list.example.net":             "list.example.net",
		"k1k1k1k1.zen.dq.spamhaus.net": "k1k1k1k1",
		"${SHORT_KEY}.example.net":     "Ab12 ab12.example.net",
		"${LIST}.spamhaus.org":         "",
		"${WHOLE}":                     "list.example.net",
		"backscatterer.example.net":    "backscatterer.example.net",
		"a1b2c3d4e5.bl.example.net":    "a1b2c3d4e5 a1b2c3d4e5.bl.example.net",
	} {
		c, err := parsed(t, "[resolver]\nservers = [\"127.0.0.1:1\"]\n[zone.\"bl.example\"]\nupstream = \""+upstream+"\"\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(secrets(rbl.Builtin(), c.Zones[0]), " "); got != want {
			t.Errorf("secrets of %q: %q, want %q", upstream, got, want)
		}
	}
}

func TestPower(t *testing.T) {
	shift := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }
	for _, tt := range []struct {
		n    *big.Int
		want string
	}{
		{big.NewInt(0), "0"},
		{shift(32), "4294967296"},
		{shift(96), "2^96"},
		{new(big.Int).Add(shift(96), big.NewInt(1)), "about 2^96"},
		{shift(128), "2^128"},
	} {
		if got := power(tt.n); got != tt.want {
			t.Errorf("power(%s) = %s, want %s", tt.n, got, tt.want)
		}
	}
}
