//go:build !race

package rbl

import "testing"

// Every question goes through these, so they allocate nothing.
func TestParseLabels_allocs(t *testing.T) {
	for _, name := range []string{"2.0.0.127", "2.0.0.0.0.0.f.7.f.f.f.f" + zeros, "www.example.com", "1.2.3", "256.1.1.1"} {
		labels := wire(name)
		if n := testing.AllocsPerRun(1000, func() { ParseLabels(labels, HoldsAll) }); n != 0 {
			t.Errorf("ParseLabels(%q) allocates %v times, want 0", name, n)
		}
	}
	set := DefaultListed()
	if n := testing.AllocsPerRun(1000, func() { set.Contains(CodeListed) }); n != 0 {
		t.Errorf("Contains allocates %v times, want 0", n)
	}
}

func BenchmarkParseLabels(b *testing.B) {
	for _, name := range []string{"99.2.0.192", "2.0.0.0.0.0.f.7.f.f.f.f" + zeros, "www.example.com"} {
		labels := wire(name)
		b.Run(name[:4], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ParseLabels(labels, HoldsAll)
			}
		})
	}
}
