package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

// parse reads a text that must be accepted.
func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse(filepath.Join(t.TempDir(), "config.toml"), text, testOptions(t))
	if err != nil {
		t.Fatalf("Parse(%q):\n%v", text, err)
	}
	return c
}

func TestOneZoneIsTheDefaults(t *testing.T) {
	c := parse(t, "[zone.\"bl.example.org\"]\n")
	want := newDefaults()
	zone := want.Zone
	zone.Name, zone.Line, zone.Upstream = "bl.example.org", 1, "bl.example.org"
	if len(c.Zones) != 1 || !reflect.DeepEqual(*c.Zones[0], zone) {
		t.Errorf("zone = %#v, want %#v", *c.Zones[0], zone)
	}
	if got, want := fmt.Sprint(c.Nameservers), "[127.0.0.1:53]"; got != want {
		t.Errorf("Nameservers = %s, want %s", got, want)
	}
	if c := Defaults(); len(c.Nameservers) == 0 {
		t.Error("the defaults have no name server, not even that of this machine")
	}
	for _, c := range []*Config{c, Defaults()} {
		c.Path, c.Zones, c.Nameservers, c.root = "", nil, nil, nil
		if !reflect.DeepEqual(*c, want.Config) {
			t.Errorf("config = %#v\nwant the defaults %#v", *c, want.Config)
		}
	}
}

func TestEverySetting(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"a.txt", "zen.ip4", "more.ip4"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text := `
listen = ["127.0.0.1:53", "systemd", "[::ffff:192.0.2.1]:53"]
clients = ["::ffff:192.0.2.9", "2001:db8::/32"]
state = "state"
[resolver]
servers = ["192.0.2.53", "[2001:db8::53]:5353", "2001:db8::54"]
[cache]
size = "1GiB"
min_ttl = "1m30s"
[zone."Zen.Example.ORG."]
upstream = "${KEY}.Zen.dq.known.example."
via = ["192.0.2.54"]
codes = { "127.0.0.2" = "SBL" }
[zone.files]
source = "file"
files = ["ip4set:zen.ip4,more.ip4"]
[zone.score]
source = "combined"
threshold = 3
weights = { "zen.example.org" = 4, "files=127.0.0.2" = -1 }
[allow.x]
file = "a.txt"
zones = ["ZEN.example.org."]
expires = 2027-03-31
domains = [".Example.com"]
max_v4 = "/16"
`
	c, err := Parse(filepath.Join(dir, "config.toml"), text, testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	z, u := c.Zones[0], c.Allow[0]
	for _, tt := range []struct{ name, got, want string }{
		{"listeners, unmapped", fmt.Sprint(c.Listen, c.Systemd), "[127.0.0.1:53 192.0.2.1:53] true"},
		{"clients, unmapped", fmt.Sprint(c.Clients), "[192.0.2.9/32 2001:db8::/32]"},
		{"state is absolute", c.State, filepath.Join(dir, "state")},
		{"port 53 where none is", fmt.Sprint(c.Resolver.Servers, c.Nameservers), "[192.0.2.53:53 [2001:db8::53]:5353 [2001:db8::54]:53] [192.0.2.53:53 [2001:db8::53]:5353 [2001:db8::54]:53]"},
		{"size", fmt.Sprint(c.Cache.Size), "1073741824"},
		{"duration", fmt.Sprint(c.Cache.MinTTL), "1m30s"},
		{"zone name", z.Name, "zen.example.org"},
		{"upstream with its key", z.Upstream.Reveal(), "abcd1234.zen.dq.known.example"},
		{"upstream for people", z.Shown(testKnown), "bl.known.example"},
		{"via", fmt.Sprint(z.Via), "{servers [192.0.2.54:53]}"},
		{"codes", fmt.Sprint(z.Codes), "map[127.0.0.2:SBL]"},
		{"files", fmt.Sprint(c.Zones[1].Files), fmt.Sprintf("[{ip4set [%[1]s/zen.ip4 %[1]s/more.ip4] 16}]", dir)},
		{"weights", fmt.Sprint(c.Zones[2].Weights), "[{files 127.0.0.2 -1 20} {zen.example.org  4 20}]"},
		{"file", u.File, filepath.Join(dir, "a.txt")},
		{"scope", fmt.Sprint(u.Zones), "[zen.example.org]"},
		{"the last day", u.Expires.Format(time.RFC3339), "2027-03-31T00:00:00Z"},
		{"domains", fmt.Sprint(u.Domains), "[.example.com]"},
		{"prefix lengths", fmt.Sprint(u.MaxV4, u.MaxV6), "16 28"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestKnownKind(t *testing.T) {
	c := parse(t, "[zone.\"list.dnswl.example\"]\n[zone.\"x.example\"]\nupstream = \"list.dnswl.example\"\nkind = \"block\"\n")
	if c.Zones[0].Kind != "allow" || c.Zones[1].Kind != "block" {
		t.Errorf("kinds = %s, %s, want allow (known of the list), block (as written)", c.Zones[0].Kind, c.Zones[1].Kind)
	}
}

// TestWebhook has notify hold a command or a URL, whose keys stay hidden.
func TestWebhook(t *testing.T) {
	for _, tt := range []struct{ notify, argv, webhook, warning string }{
		{`["/usr/local/bin/page", "https://pager.example/"]`, "[/usr/local/bin/page https://pager.example/]", "", ""},
		{`["/bin/page", "${KEY}"]`, "[/bin/page ${KEY}]", "", ""},
		{`["page", "./x"]`, "[page ./x]", "", ""},
		{`["./page", "./x"]`, "[/folder/page ./x]", "", ""},
		{`["https://hooks.example/${KEY}?as=${SECRET}"]`, "[]", "https://hooks.example/abcd1234?as=hush", ""},
		{`["HTTP://127.0.0.1:9000/"]`, "[]", "HTTP://127.0.0.1:9000/", ""},
		{`["http://hooks.example/${KEY}"]`, "[]", "http://hooks.example/abcd1234", "sits between us and an http:// webhook"},
	} {
		c := parse(t, "[zone.a]\n[watch.out]\ncidr = [\"192.0.2.1\"]\nnotify = "+tt.notify+"\n")
		w := c.Watch[0]
		argv := strings.ReplaceAll(fmt.Sprint(w.Notify), filepath.Dir(c.Path), "/folder")
		if argv != tt.argv || w.Webhook.Reveal() != tt.webhook {
			t.Errorf("%s: command %v, webhook %q, want %s, %q", tt.notify, w.Notify, w.Webhook.Reveal(), tt.argv, tt.webhook)
		}
		if shown := fmt.Sprint(c.Warnings, *w); strings.Contains(shown, "hush") || strings.Contains(shown, "abcd1234") {
			t.Errorf("%s shows a key: %s", tt.notify, shown)
		}
		if (tt.warning == "") != (len(c.Warnings) == 0) || !strings.Contains(fmt.Sprint(c.Warnings), tt.warning) {
			t.Errorf("%s: warnings %v, want %q", tt.notify, c.Warnings, tt.warning)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := parse(t, "[admin]\ntoken = \"${SECRET}\"\n[zone.a]\nupstream = \"${KEY}.a\"\n")
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v", *c), fmt.Sprintf("%+v", *c.Zones[0]), fmt.Sprintf("%#v", *c.Zones[0]), string(j)} {
		if strings.Contains(text, "hush") || strings.Contains(text, "abcd1234") {
			t.Errorf("a secret is printed: %s", text)
		}
	}
	if c.Admin.Token.Reveal() != "hush" || c.Zones[0].Upstream.Reveal() != "abcd1234.a" {
		t.Error("Reveal does not reveal")
	}
}

func TestUnreadable(t *testing.T) {
	for cause, want := range map[error]string{
		syscall.ENOENT: "no such file or directory; name the file with --config",
		syscall.EACCES: "permission denied; run this as root, or let this user read it", // the package's is not for everybody
	} {
		o := testOptions(t)
		o.ReadFile = func(path string) ([]byte, error) { return nil, &fs.PathError{Op: "open", Path: path, Err: cause} }
		_, err := Load("config.toml", o)
		var e *Error
		if !errors.As(err, &e) || len(e.Problems) != 1 || err.Error() != "config.toml: reading the configuration: "+want {
			t.Errorf("Load = %v, want one problem without a line: %s", err, want)
		}
	}
}

// A rule that does nothing needs no file: a restart after its last day, when the
// file may be gone too, is no time to refuse the configuration.
func TestUnreadable_rule_file(t *testing.T) {
	for line, want := range map[string]int{"": 1, "enabled = false": 0, "expires = 2026-11-20": 0, "expires = 2026-11-21": 1} {
		_, err := Parse("c.toml", "[zone.a]\n[allow.x]\nfile = 'gone.txt'\n"+line, testOptions(t))
		var e *Error
		if errors.As(err, &e); want == 0 && err != nil || want > 0 && (e == nil || len(e.Problems) != want) {
			t.Errorf("with %q: Parse = %v, want %d problems", line, err, want)
		}
	}
}

func TestLine(t *testing.T) {
	c := parse(t, "[zone.a]\n[allow.x]\ncidr = [\n'192.0.2.1',\n'192.0.2.2']\n[zone.'B.']\nprobe = false\n")
	for _, tt := range []struct {
		path    []any
		line    int
		defined bool
	}{
		{[]any{"allow", "x", "cidr", 1}, 5, true},
		{[]any{"allow", "x", "cidr", 2}, 3, false},
		{[]any{"allow", "x", "spf"}, 2, false},
		{[]any{"deny"}, 1, false},
		{[]any{"zone", "b", "probe"}, 7, true},
		{[]any{"zone", "b", "via"}, 6, false},
	} {
		if got := c.Line(tt.path...); got != tt.line || c.Defined(tt.path...) != tt.defined {
			t.Errorf("Line(%v) = %d, %t, want %d, %t", tt.path, got, c.Defined(tt.path...), tt.line, tt.defined)
		}
	}
	if got, want := c.Problem("a", "b", "allow", "x", "cidr", 0).String(), c.Path+":4: a; b"; got != want {
		t.Errorf("Problem = %s, want %s", got, want)
	}
}

// examplePath is the file that users start from.
const examplePath = "../../../../config.example.toml"

var settingLine = regexp.MustCompile(`(?m)^#([a-z_0-9]+ *=|\[)`)

// TestExample loads the file as it is, and with every commented setting.
func TestExample(t *testing.T) {
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	if c := parse(t, string(text)); len(c.Warnings) != 0 || len(c.Zones) == 0 || len(c.Allow) == 0 || len(c.Deny) == 0 {
		t.Errorf("the example as it is: warnings %v, %d zones, %d allow, %d deny", c.Warnings, len(c.Zones), len(c.Allow), len(c.Deny))
	}
	dir := t.TempDir()
	for _, f := range []string{"zen.ip4", "zen.ip6", "allow.d/efax.txt"} {
		p := filepath.Join(dir, f)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	o := testOptions(t)
	o.LookupEnv = func(name string) (string, bool) { return "value-of-" + strings.ToLower(name[:1]), true }
	if _, err := Parse(filepath.Join(dir, "config.toml"), uncommented(text), o); err != nil {
		t.Errorf("with every setting un-commented:\n%v", err)
	}
}

// uncommented turns the commented settings into real ones.
func uncommented(text []byte) string { return settingLine.ReplaceAllString(string(text), "$1") }

// TestExampleIsComplete holds that the example shows every key of the schema,
// those with a default at their default, and says why on the same line.
func TestExampleIsComplete(t *testing.T) {
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if _, err := toml.Decode(uncommented(text), &doc); err != nil {
		t.Fatal(err)
	}
	for _, k := range Schema() {
		path := strings.Join(k.Path, ".")
		shown := valuesAt(doc, k.Path)
		if k.Path[0] == "deny" { // deny rules have the sources of allow rules
			shown = append(shown, valuesAt(doc, append([]string{"allow"}, k.Path[1:]...))...)
		}
		if len(shown) == 0 {
			t.Errorf("%s is not shown", path)
			continue
		}
		if k.Default == "" || k.Default == `""` || k.Default == "[]" {
			continue // shown at a value that says more
		}
		var def map[string]any
		if _, err := toml.Decode("v = "+k.Default, &def); err != nil {
			t.Fatalf("%s: default %s: %v", path, k.Default, err)
		}
		found := false
		for _, v := range shown {
			found = found || reflect.DeepEqual(v, def["v"])
		}
		if !found {
			t.Errorf("%s is shown as %v, never at its default %s", path, shown, k.Default)
		}
	}
	for i, line := range strings.Split(string(text), "\n") {
		setting := settingLine.MatchString(line) || line != "" && line[0] != '#'
		if setting && !strings.HasPrefix(strings.TrimPrefix(line, "#"), "[") && !strings.Contains(line[1:], "# ") && !obvious(line) {
			t.Errorf("line %d does not say why: %s", i+1, line)
		}
	}
}

// obvious settings are explained by the line of their table, or before.
func obvious(line string) bool {
	key, _, _ := strings.Cut(strings.TrimPrefix(line, "#"), " ")
	return strings.Contains("source upstream no_override codes weights cidr comment", key)
}

// valuesAt collects what the document has at a path of the schema.
func valuesAt(at any, path []string) []any {
	m, ok := at.(map[string]any)
	if len(path) == 0 {
		return []any{at}
	}
	if !ok {
		return nil
	}
	if path[0] != "NAME" {
		if v, ok := m[path[0]]; ok {
			return valuesAt(v, path[1:])
		}
		return nil
	}
	var all []any
	for _, v := range m {
		all = append(all, valuesAt(v, path[1:])...)
	}
	return all
}

func TestResolvConf(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"none means this machine", "search example.com\n", "127.0.0.1:53 line 0"},
		{"comments, blanks and junk", "# x\n\n nameserver\t192.0.2.1 # y\nnameserver nowhere\nnameserver 2001:db8::1", "192.0.2.1:53 line 3, [2001:db8::1]:53 line 5"},
		{"three count", strings.Repeat("nameserver 192.0.2.1\n", 5), "192.0.2.1:53 line 1, 192.0.2.1:53 line 2, 192.0.2.1:53 line 3"},
		{"a zone of an interface", "nameserver fe80::1%eth0\n", "[fe80::1%eth0]:53 line 1"},
	} {
		var got []string
		for _, ns := range resolvConf(tt.text) {
			got = append(got, fmt.Sprintf("%s line %d", ns.addr, ns.line))
		}
		if got := strings.Join(got, ", "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:53", "127.0.0.1:53", true},
		{"127.0.0.1:53", "127.0.0.1:54", false},
		{"127.0.0.1:53", "0.0.0.0:53", true},
		{"[::]:53", "0.0.0.0:53", false},
		{"[::]:53", "127.0.0.1:53", false},
		{"[::]:53", "[::1]:53", true},
	} {
		a, b := netip.MustParseAddrPort(tt.a), netip.MustParseAddrPort(tt.b)
		if overlap(a, b) != tt.want || overlap(b, a) != tt.want {
			t.Errorf("overlap(%s, %s) = %t, want %t", a, b, !tt.want, tt.want)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"timeout", "deadline", "via", "url"}
	for _, tt := range []struct{ in, want string }{
		{"timeuot", "timeout"}, {"TIMEOUT", "timeout"}, {"time_out", "timeout"}, {"vai", "via"},
		{"uri", "url"}, {"ab", ""}, {"dead", ""}, {strings.Repeat("x", 1000), ""},
	} {
		if got := nearest(tt.in, words); got != tt.want {
			t.Errorf("nearest(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
