package resolver

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/overrides"
	"dnsblproxy/resolver/dataset"
	"dnsblproxy/resolver/internal/wire"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// fileZone is a zone that serves text as an ip4set.
func fileZone(t *testing.T, name, text string) ZoneOptions {
	t.Helper()
	return dataZone(t, dataset.IP4Set, name, text)
}

func dataZone(t *testing.T, kind dataset.Kind, name, text string) ZoneOptions {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	store := dataset.NewStore([]dataset.Spec{{Kind: kind, Files: []string{path}}}, slog.New(slog.DiscardHandler))
	if err := store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return ZoneOptions{Name: name, Source: SourceFile, Holds: rbl.HoldsAll, Listed: rbl.DefaultListed(), File: store, Fingerprint: name}
}

func TestApex(t *testing.T) {
	observed := testZone("observed.test", spamhaus())
	observed.Mode = Observe
	quiet := spamhaus()
	off := testZone("off.test", quiet)
	off.Mode = Off
	s := newScene(t, []ZoneOptions{
		testZone("bl.test", spamhaus()), observed, off,
		fileZone(t, "file.test", "$SOA 3000 ns.file.test root.file.test 1 600 300 86400 300\n$NS 3000 ns.file.test\n10.0.0.1\n"),
		fileZone(t, "bare.test", "10.0.0.1\n"),
	})
	for ask, want := range map[string]string{
		"bl.test A":         "NOERROR",
		"bl.test ANY":       "NOERROR HINFO",
		"observed.test ANY": "NOERROR HINFO",
		"off.test SOA":      "NOERROR SOA",
		"off.test A":        "NOERROR",
		"file.test SOA":     "NOERROR SOA",
		"file.test NS":      "NOERROR NS",
		"file.test ANY":     "NOERROR HINFO",
		"bare.test SOA":     "NOERROR SOA",
		"bare.test NS":      "NOERROR NS",
		"bare.test A":       "NOERROR",
	} {
		name, typ, _ := strings.Cut(ask, " ")
		m := s.ask(name, dns.StringToType[typ])
		if got := brief(m); got != want {
			t.Errorf("%s: got %s, want %s", ask, got, want)
		}
		if len(m.Answer)+len(m.Ns) != 1 {
			t.Errorf("%s: answer %v with authority %v, want one of them", ask, m.Answer, m.Ns)
		}
	}
	if quiet.questions() > 0 {
		t.Errorf("a list that is off was asked %q", quiet.asked)
	}
}

// TestApex_distrust: no error of a list that must not be believed turns into
// SERVFAIL: who asks on behalf of others would take the whole zone for broken.
func TestApex_distrust(t *testing.T) {
	s := newScene(t, []ZoneOptions{
		testZone("lying.test", &fakeList{lies: "lists the world"}),
		testZone("blocked.test", &fakeList{err: &upstream.CodeError{Name: "blocked"}}),
		testZone("dead.test", &fakeList{err: upstream.ErrTimeout}),
	})
	for ask, want := range map[string]string{
		"lying.test SOA": "NOERROR SOA",
		"lying.test NS":  "NOERROR NS",
		"lying.test A":   "NOERROR",
		"blocked.test A": "NOERROR",
		"dead.test SOA":  "SERVFAIL",
	} {
		name, typ, _ := strings.Cut(ask, " ")
		m := s.ask(name, dns.StringToType[typ])
		if code, _ := ede(m); brief(m) != want || code != edeUnreachable {
			t.Errorf("%s: got %s, extended error %d, want %s", ask, brief(m), code, want)
		}
	}
}

// TestFile_otherRecords: a name without a code is no listing, but what a
// generic data set holds of it is answered as rbldnsd does.
func TestFile_otherRecords(t *testing.T) {
	const text = "info TXT about\nmail MX 5 mx.example\nbad A 127.0.0.2\nbad TXT spam\nour.example TXT about\n"
	kept := dataZone(t, dataset.Generic, "kept.test", text)
	kept.NoOverride = codes(t, "127.0.0.3")
	s := newScene(t, []ZoneOptions{dataZone(t, dataset.Generic, "file.test", text), kept},
		overrides.Rule{Name: "office", Domains: []string{"our.example"}, Zones: []string{"kept.test"}})
	for ask, want := range map[string]string{
		"info.file.test A":          "NOERROR",
		"info.file.test TXT":        "NOERROR about",
		"info.file.test MX":         "NOERROR",
		"info.file.test ANY":        "NOERROR",
		"mail.file.test MX":         "NOERROR MX",
		"bad.file.test TXT":         "NOERROR spam",
		"none.file.test TXT":        "NXDOMAIN",
		"our.example.file.test TXT": "NOERROR about",
		"our.example.kept.test TXT": "NOERROR", // exempt
	} {
		name, typ, _ := strings.Cut(ask, " ")
		if got := brief(s.ask(name, dns.StringToType[typ])); got != want {
			t.Errorf("%s: got %s, want %s", ask, got, want)
		}
	}
}

// TestHoldFor: an error code is forgotten within a minute, whatever its TTL.
func TestHoldFor(t *testing.T) {
	code := &upstream.CodeError{Name: "blocked"}
	for ttl, want := range map[uint32]time.Duration{7: 7 * time.Second, 3600: time.Minute} {
		if got := holdFor(&upstream.Outcome{Err: code, Response: wire.Response{TTL: ttl}}); got != want {
			t.Errorf("an error code with a TTL of %d s is remembered for %v, want %v", ttl, got, want)
		}
	}
}

// TestLimits_life: what a list says without an SOA is kept only on demand.
func TestLimits_life(t *testing.T) {
	bare := &wire.Response{Rcode: wire.RcodeNXDomain}
	negative := &wire.Response{Rcode: wire.RcodeNXDomain, TTL: 3000}
	listed := &wire.Response{Records: [][]byte{{127, 0, 0, 2}}, TTL: 3000}
	byDefault := newLimits(&Settings{MaxTTL: time.Hour, MaxNegativeTTL: 15 * time.Minute})
	lowered := newLimits(&Settings{MaxTTL: time.Minute, MaxNegativeTTL: 15 * time.Minute})
	raised := newLimits(&Settings{MinTTL: time.Minute, MaxTTL: 20 * time.Minute, MaxNegativeTTL: 10 * time.Minute})
	for _, tt := range []struct {
		name   string
		limits limits
		r      *wire.Response
		want   uint32
	}{
		{"listed", byDefault, listed, 3000},
		{"listed, capped", raised, listed, 1200},
		{"negative, capped", byDefault, negative, 900},
		{"negative, capped by max_ttl alone", lowered, negative, 60},
		{"negative without an SOA", byDefault, bare, 0},
		{"negative without an SOA, raised", raised, bare, 60},
	} {
		if got := tt.limits.life(tt.r); got != tt.want {
			t.Errorf("%s: %d s, want %d", tt.name, got, tt.want)
		}
	}
}
