package resolver

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/dataset"
	"dnsblproxy/resolver/rbl"
)

// BenchmarkRespond_file answers from a million entries of our own, to be held
// against BenchmarkRespond/hit.
func BenchmarkRespond_file(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("$SOA 3600 ns.test root.test 1 600 300 86400 300\n:127.0.0.2:listed $\n")
	for i := range 1_000_000 {
		// Every other of the addresses that are asked about is listed.
		fmt.Fprintf(&text, "10.%d.%d.%d\n", i>>15&255, i>>7&255, i<<1&255)
	}
	path := filepath.Join(b.TempDir(), "data")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	store := dataset.NewStore([]dataset.Spec{{Kind: dataset.IP4Set, Files: []string{path}}}, slog.New(slog.DiscardHandler))
	if err := store.Open(b.Context()); err != nil {
		b.Fatal(err)
	}
	s := newScene(b, []ZoneOptions{{
		Name: "file.test", Source: SourceFile, Holds: rbl.HoldsIP4, Listed: rbl.DefaultListed(), File: store, Fingerprint: "file",
	}})
	queries := benchQueries(b, "file.test", dns.TypeA, benchNames)
	sc := NewScratch(0)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, done := s.r.Respond(sc, queries[i&(benchNames-1)], testClient, false); !done {
			b.Fatal("not answered at once")
		}
		i++
	}
}
