package main

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"dnsblproxy/resolver/rbl"
)

// TestIncidents asks a list that cuts every answer off, and takes no TCP.
func TestIncidents(t *testing.T) {
	via := fakeList(t, func(question []byte) []byte {
		question[2] |= 0x82 // an answer, truncated
		return question
	})
	d, h := adminOf(t, "[admin]\nlisten = \"\"\n[resolver]\nservers = [\"127.0.0.1:1\"]\n[zone.\"bl.example\"]\nprobe = false\nvia = [\""+via+"\"]\n")
	count := func() (truncated, unmatched bool) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1:9353/metrics", nil))
		const name = `dnsblproxy_upstream_incidents_total{incident="`
		return !strings.Contains(w.Body.String(), name+`truncated"} 0`), !strings.Contains(w.Body.String(), name+`unmatched"} 0`)
	}
	if truncated, unmatched := count(); truncated || unmatched {
		t.Errorf("before any question: truncated %t, unmatched %t", truncated, unmatched)
	}
	d.lookup(t.Context(), rbl.AddrSubject(netip.MustParseAddr("192.0.2.1")))
	if truncated, unmatched := count(); !truncated || unmatched {
		t.Errorf("after a truncated answer: truncated %t, unmatched %t", truncated, unmatched)
	}
}
