//go:build !race

package dataset

import (
	"context"
	"testing"
	"time"
)

// TestZone_Lookup_allocs holds the promise that A questions about addresses
// and domains cost no allocation.
func TestZone_Lookup_allocs(t *testing.T) {
	dir := t.TempDir()
	z, _, err := Load(context.Background(), []Spec{
		{IP4Set, []string{writeFile(t, dir, "4", "10/8 :2:x\n10.0.0.1 :3:y\n10.0.0.1 :4:z\n")}},
		{IP6Trie, []string{writeFile(t, dir, "6", "2001:db8::/32\n")}},
		{DNSet, []string{writeFile(t, dir, "n", ".example.com\n")}},
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var ans Answer
	for _, name := range []string{"1.0.0.10", "1.0.0.11", "www.example.com", reverse6(addr6{hi: 0x20010db8 << 32}), ""} {
		labels := wireName(name)
		lookup(z, labels, TypeA, &ans)
		if n := testing.AllocsPerRun(100, func() { lookup(z, labels, TypeA, &ans) }); n != 0 {
			t.Errorf("Lookup(%s, A) allocates %v times, want 0", name, n)
		}
	}
}
