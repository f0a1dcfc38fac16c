package dataset

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

const million = 1_000_000

// bigFile writes n entries of the shape that real lists have: addresses spread
// over the space that is in use, /64s in a few thousand /32s, domains of
// spammers. It returns the names of every 16th entry beside the text.
func bigFile(kind Kind, n int, texts bool) (text string, names []string) {
	r := rand.New(rand.NewPCG(1, 2))
	var s strings.Builder
	s.WriteString(":127.0.0.2:Listed, see https://example.com/lookup?$\n")
	for i := range n {
		var key, name string
		switch kind {
		case IP6Trie, IP6TSet:
			a := addr6{hi: uint64(0x20010000+r.IntN(4000)*16)<<32 | uint64(r.IntN(1<<20))<<8 | uint64(r.IntN(256))}
			key, name = fmt.Sprintf("%x:%x:%x:%x", a.hi>>48, a.hi>>32&0xffff, a.hi>>16&0xffff, a.hi&0xffff), reverse6(a)
		case DNSet:
			name = fmt.Sprintf("%x-%d.%s", r.Uint32(), r.IntN(100), []string{"com", "net", "example.org", "shop"}[r.IntN(4)])
			key = "." + name
		default:
			a := r.Uint32N(223<<24) + 1<<24
			key, name = text4(a), reverse4(a)
		}
		s.WriteString(key)
		if texts {
			fmt.Fprintf(&s, " :%d:case %d", 2+i%9, i)
		}
		s.WriteByte('\n')
		if i%16 == 0 {
			names = append(names, name)
		}
	}
	return s.String(), names
}

// heap returns the bytes in use after a collection.
func heap() uint64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// residentKiB reads VmRSS of a process.
func residentKiB(b *testing.B, pid int) (kib float64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("no /proc here")
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Sscan(rest, &kib)
		}
	}
	return kib
}

// BenchmarkLoad reads a million entries, and compares what they cost resident
// in bytes each, and the time, with what rbldnsd needs for the same file.
func BenchmarkLoad(b *testing.B) {
	for _, c := range []struct {
		kind  Kind
		texts bool
	}{{IP4Set, false}, {IP4Set, true}, {IP4TSet, false}, {IP4Trie, false}, {IP6Trie, false}, {IP6TSet, false}, {DNSet, false}} {
		b.Run(fmt.Sprintf("%s/texts=%t/entries=%d", c.kind, c.texts, million), func(b *testing.B) {
			text, _ := bigFile(c.kind, million, c.texts)
			dir := dataDir(b)
			path := writeFile(b, dir, "data", text)
			specs := []Spec{{c.kind, []string{path}}}
			before := heap()
			var z *Zone
			for b.Loop() {
				var err error
				if z, _, err = Load(context.Background(), specs, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(heap()-before)/million, "heap-B/entry")
			b.ReportMetric(float64(z.Size())/million, "size-B/entry")
			empty := residentKiB(b, startDaemon(b, "test:"+string(c.kind)+":"+writeFile(b, dir, "empty", "")).cmd.Process.Pid)
			start := time.Now()
			full := residentKiB(b, startDaemon(b, "test:"+string(c.kind)+":"+path).cmd.Process.Pid)
			b.ReportMetric(float64(time.Since(start).Milliseconds()), "rbldnsd-ms")
			b.ReportMetric((full-empty)*1024/million, "rbldnsd-B/entry")
			runtime.KeepAlive(z)
		})
	}
}

// BenchmarkZone_Lookup asks A questions of a million entries in an order that
// caches cannot follow, hits and misses apart.
func BenchmarkZone_Lookup(b *testing.B) {
	for _, kind := range []Kind{IP4Set, IP4TSet, IP4Trie, IP6Trie, IP6TSet, DNSet} {
		text, names := bigFile(kind, million, false)
		z, _, err := Load(context.Background(), []Spec{{kind, []string{writeFile(b, b.TempDir(), "data", text)}}}, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		_, others := bigFile(kind, million+16, false)
		r := rand.New(rand.NewPCG(3, 4))
		hits, misses := make([][]byte, len(names)), make([][]byte, len(others))
		for i, n := range r.Perm(len(names)) {
			hits[i] = wireName(names[n])
		}
		for i, n := range r.Perm(len(others)) {
			misses[i] = missing(kind, wireName(others[n]), r)
		}
		for _, c := range []struct {
			name  string
			names [][]byte
		}{{"hit", hits}, {"miss", misses}} {
			b.Run(fmt.Sprintf("%s/entries=%d/%s", kind, million, c.name), func(b *testing.B) {
				b.ReportAllocs()
				var ans Answer
				i, listed := 0, 0
				for b.Loop() {
					lookup(z, c.names[i], TypeA, &ans)
					listed += len(ans.Codes)
					if i++; i == len(c.names) {
						i = 0
					}
				}
				if hit := c.name == "hit"; hit && listed != b.N || !hit && listed > b.N/50 {
					b.Errorf("%d of %d names were listed", listed, b.N)
				}
			})
		}
	}
}

// missing turns a listed name into a neighbor that most likely is not.
func missing(kind Kind, name []byte, r *rand.Rand) []byte {
	switch kind {
	case IP6Trie, IP6TSet:
		name[33+2*r.IntN(4)] = "0123456789abcdef"[r.IntN(16)]
		name[47] = "0123456789abcdef"[r.IntN(16)]
		return name
	case DNSet:
		return append([]byte{3, 'w', 'w', 'w', 4, 'm', 'a', 'i', 'l'}, name[1+int(name[0]):]...)
	}
	return wireName(reverse4(r.Uint32N(223<<24) + 1<<24))
}
