//go:build !race

package wire

import (
	"testing"

	"github.com/miekg/dns"
)

// TestParseResponse_allocs holds that an answer costs its own copy and the
// slice of its records, however long the list of other records is.
func TestParseResponse_allocs(t *testing.T) {
	q := Question{mustName(t, "q.bl.example"), dns.TypeA}
	tests := []struct {
		name string
		pkt  []byte
		want float64
	}{
		{"listed", answer(t, "q.bl.example.", dns.TypeA, 0, []string{"q.bl.example. 300 A 127.0.0.2", "q.bl.example. 300 A 127.0.0.4"}), 2},
		{"alias", answer(t, "q.bl.example.", dns.TypeA, 0, []string{"q.bl.example. 30 CNAME b.test.", "b.test. 300 A 127.0.0.2"}), 2},
		{"unlisted", answer(t, "q.bl.example.", dns.TypeA, 3, nil, []string{soa}), 1},
	}
	for _, tt := range tests {
		if n := testing.AllocsPerRun(200, func() { _, _ = ParseResponse(tt.pkt, q, nil) }); n > tt.want {
			t.Errorf("%s: ParseResponse allocates %v times, want %v", tt.name, n, tt.want)
		}
	}
}
