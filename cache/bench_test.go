package cache

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// nxdomain stands for a packed NXDOMAIN with a SOA: about 100 bytes.
var nxdomain = strings.Repeat("n", 100)

// fill stores n IPv4 answers, 70 % the same NXDOMAIN and the rest one of ten
// listings, with lives from 300 to 899 s.
func fill(c *Cache, z Zone, n uint32) {
	for i := range n {
		data := nxdomain
		if i%10 >= 7 {
			data = fmt.Sprintf("listed as %d%s", i/10%10, strings.Repeat("l", 40))
		}
		c.Set(z.IP4(1, addr(i*2654435761)), data, 300+i%600, 3600)
	}
	settle(c)
}

func BenchmarkCache_Get(b *testing.B) {
	for _, n := range []uint32{1000, 1_000_000} {
		c, _ := newCache(b, Options{MaxBytes: 400 << 20})
		z := c.Zone("zen.example", "")
		fill(c, z, n)
		for _, kind := range []string{"hit", "miss"} {
			asked := z
			if kind == "miss" {
				asked = c.Zone("other.example", "")
			}
			b.Run(fmt.Sprintf("%s/entries=%d", kind, n), func(b *testing.B) {
				b.ReportAllocs()
				i := uint32(0)
				for b.Loop() {
					if _, ok := c.Get(asked.IP4(1, addr(i%n*2654435761))); ok != (kind == "hit") {
						b.Fatal("wrong outcome")
					}
					i++
				}
			})
		}
	}
}

func BenchmarkCache_GetName(b *testing.B) {
	c, _ := newCache(b, Options{})
	z := c.Zone("dbl.example", "")
	name := []byte("\x03www\x07example\x03com")
	c.Set(z.Name(1, name), nxdomain, 60, 0)
	settle(c)
	b.ReportAllocs()
	for b.Loop() {
		c.Get(z.Name(1, name))
	}
}

func BenchmarkCache_GetParallel(b *testing.B) {
	c, _ := newCache(b, Options{})
	z := c.Zone("zen.example", "")
	fill(c, z, 10_000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := uint32(0); pb.Next(); i++ {
			c.Get(z.IP4(1, addr(i%10_000*2654435761)))
		}
	})
}

// BenchmarkCache_Set counts the whole work, the drainer's included.
func BenchmarkCache_Set(b *testing.B) {
	c, _ := newCache(b, Options{MaxBytes: 64 << 20})
	z := c.Zone("zen.example", "")
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		c.Set(z.IP4(1, addr(i)), nxdomain, 300, 3600)
		i++
	}
	settle(c)
}

// BenchmarkCache_memory fills a cache with a million IPv4 answers once and
// reports what each takes, everything included: in the heap after a
// collection, and in resident memory as it is then and after the runtime gave
// back what it does not use. Run it alone with -benchtime=1x.
func BenchmarkCache_memory(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		debug.FreeOSMemory()
		heap0, rss0 := heapBytes(), rss(b)
		c, _ := newCache(b, Options{MaxBytes: n * 200})
		z := c.Zone("zen.example", "")
		fill(c, z, n)
		peak := rss(b)
		runtime.GC()
		heap1 := heapBytes()
		debug.FreeOSMemory()
		if got := c.Len(); got < n*99/100 {
			b.Fatalf("Len = %d, want %d", got, n)
		}
		b.ReportMetric(float64(heap1-heap0)/n, "heap-B/entry")
		b.ReportMetric(float64(peak-rss0)/n, "rss-after-fill-B/entry")
		b.ReportMetric(float64(rss(b)-rss0)/n, "rss-B/entry")
		b.ReportMetric(float64(c.Bytes())/n, "counted-B/entry")
		c.Close()
	}
}

func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// rss returns the resident memory of this process, in bytes.
func rss(tb testing.TB) int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		tb.Skip("no /proc here")
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
