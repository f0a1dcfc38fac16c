package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// problemsOf parses a text that must be refused.
func problemsOf(t *testing.T, text string, o Options) string {
	t.Helper()
	_, err := Parse("config.toml", text, o)
	if err == nil {
		t.Fatalf("Parse(%q) accepts it", text)
	}
	return err.Error()
}

// TestInherited holds that sockets handed over by systemd count like listen.
func TestInherited(t *testing.T) {
	o := testOptions(t)
	const systemd = "listen = [\"systemd\"]\n[zone.a]\n"
	if _, err := Parse("config.toml", "clients = [\"0.0.0.0/0\"]\n"+systemd, o); err == nil {
		t.Error("an open ACL is accepted while nobody knows where systemd listens")
	}
	o.Inherited = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5353")}
	if _, err := Parse("config.toml", "clients = [\"0.0.0.0/0\"]\n"+systemd, o); err != nil {
		t.Errorf("an open ACL on loopback: %v", err)
	}
	o.Inherited = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}
	got := problemsOf(t, "clients = [\"0.0.0.0/0\"]\n"+systemd+"via = [\"192.0.2.1\"]\n", o)
	if !strings.Contains(got, "ask a server on 192.0.2.1:53") || !strings.Contains(got, "via 192.0.2.1:53 is our own listener") {
		t.Errorf("problems:\n%s", got)
	}
}

// TestOptions_zero holds that nothing of the machine needs to be handed in.
func TestOptions_zero(t *testing.T) {
	o := Options{Syntax: testOptions(t).Syntax}
	if _, err := Parse("config.toml", "[zone.a]\n[resolver]\nservers = [\"192.0.2.53\"]\n[watch.x]\ncidr = [\"192.0.2.1\"]\nnotify = [\"true\"]\n", o); err != nil {
		t.Errorf("what is in order: %v", err)
	}
	if got := problemsOf(t, "[zone.a]\n[allow.x]\nfile = \"none\"\n[admin]\ntoken = \"${DNSBLPROXY_UNSET}\"\n", o); strings.Count(got, "\n") < 1 {
		t.Errorf("the zero Options open no file or read no environment:\n%s", got)
	}
}

// TestEnvironmentFile has commands know the keys that systemd starts the
// server with.
func TestEnvironmentFile(t *testing.T) {
	folder := t.TempDir()
	text := "# keys\n; of lists\nDQS_KEY = 'k1=k2'\nSET=\"of the file\"\n#OFF=x\nODD\nEMPTY=\n"
	if err := os.WriteFile(filepath.Join(folder, "environment"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := testOptions(t)
	o.LookupEnv = func(name string) (string, bool) {
		text, ok := map[string]string{"SET": "of the process", "LINE": "of a mounted file\n", "EMPTY": "\n"}[name]
		return text, ok
	}
	token := func(name string) (string, error) {
		c, err := Parse(filepath.Join(folder, "config.toml"), "[admin]\ntoken = \"${"+name+"}\"\n[zone.a]\n", o)
		return c.Admin.Token.Reveal(), err
	}
	for name, want := range map[string]string{"DQS_KEY": "k1=k2", "SET": "of the process", "LINE": "of a mounted file"} {
		if got, err := token(name); got != want || err != nil {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"OFF", "ODD", "EMPTY", "NONE"} {
		if _, err := token(name); err == nil {
			t.Errorf("%s is taken for set", name)
		}
	}
}

// TestEnvironmentFile_unreadable has the server reload a configuration that
// names a new key: the administrator has written it where it belongs.
func TestEnvironmentFile_unreadable(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "environment"), 0o700); err != nil { // no file, which root cannot read either
		t.Fatal(err)
	}
	_, err := Parse(filepath.Join(folder, "config.toml"), "[admin]\ntoken = \"${NEW}\"\n[zone.a]\n", testOptions(t))
	if err == nil || !strings.HasSuffix(err.Error(), `write NEW=... into the file "environment" beside the configuration and restart the server: systemd reads it then, and this user cannot`) {
		t.Errorf("it says %v, want that a restart is needed", err)
	}
}

func TestShown(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
	}{
		{"the zone itself", "[zone.\"bl.example.org\"]\n", "bl.example.org"},
		{"an alias of a known list", "[zone.a]\nupstream = \"k.dq.known.example\"\n", "bl.known.example"},
		{"an alias of an unknown list may hold a key", "[zone.a]\nupstream = \"abcd.bl.example.org\"\n", ""},
		{"a key that makes the zone's own name", "[zone.abcd1234]\nupstream = \"${KEY}\"\n", ""},
	} {
		z := parse(t, tt.text).Zones[0]
		if got := z.Shown(testKnown); got != tt.want {
			t.Errorf("%s: Shown = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestLocalAddrs(t *testing.T) {
	addrs, err := localAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if a.IsLoopback() {
			return
		}
	}
	t.Errorf("localAddrs = %v, want the loopback interface among them", addrs)
}

func TestJoin(t *testing.T) {
	if err := Join([]Problem{}); err != nil {
		t.Errorf("Join of nothing = %v, want nil", err)
	}
	err := Join([]Problem{{File: "b", Line: 1, What: "x"}, {File: "a", Line: 9, What: "y", Instead: "z"}, {File: "a", Line: 2, What: "w"}, {File: "b", Line: 1, What: "x"}, {File: "a", What: "v"}})
	want := "a: v\na:2: w\na:9: y; z\nb:1: x"
	var e *Error
	if !errors.As(err, &e) || err.Error() != want {
		t.Errorf("Join = %v, want\n%s", err, want)
	}
}
