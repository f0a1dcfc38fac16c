package load

import (
	"testing"

	"github.com/miekg/dns"
)

func TestAddr(t *testing.T) {
	seen := map[uint32]bool{}
	listed := 0
	const n = 300_000
	for i := range uint32(n) {
		a := Addr(i)
		if first := a >> 24; first == 0 || first == 127 || first >= 224 {
			t.Fatalf("Addr(%d) = %v", i, IP(a))
		}
		if seen[a] {
			t.Fatalf("Addr(%d) = %v, for the second time", i, IP(a))
		}
		seen[a] = true
		if Listed(a) {
			listed++
		}
	}
	if share := float64(listed) / n; share < 0.28 || share > 0.32 {
		t.Errorf("%.3f of the addresses are listed, want 0.3", share)
	}
}

func TestZone_Append(t *testing.T) {
	z := NewZone("bl.example.org")
	for i := range uint32(10_000) {
		a := Addr(i)
		var m dns.Msg
		if err := m.Unpack(z.Append(nil, uint16(i), a, TypeTXT)); err != nil {
			t.Fatal(err)
		}
		want := Question(a, "bl.example.org.")
		if q := m.Question[0]; m.Id != uint16(i) || !m.RecursionDesired || q.Name != want || q.Qtype != dns.TypeTXT || q.Qclass != dns.ClassINET {
			t.Fatalf("question about %v: %v", IP(a), &m)
		}
	}
}

func TestRow(t *testing.T) {
	r := Row{From: 7, Len: 3}
	for i := range uint32(9) {
		if got, want := r.Next(), Addr(7+i%3); got != want {
			t.Errorf("element %d = %v, want %v", i, IP(got), IP(want))
		}
	}
	endless := Row{From: 7}
	for i := range uint32(9) {
		if got, want := endless.Next(), Addr(7+i); got != want {
			t.Errorf("element %d without end = %v, want %v", i, IP(got), IP(want))
		}
	}
}
