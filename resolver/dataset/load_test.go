package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dnsblproxy/resolver/rbl"
)

// TestLoad_problems has one bad line for every rule there is.
func TestLoad_problems(t *testing.T) {
	tests := []struct {
		kind Kind
		line string
		want error
	}{
		{IP4Set, "10", errAddress},
		{IP4Set, "10.0.0.1/33", errAddress},
		{IP4Set, "10.0.0.1x", errAddress},
		{IP4Set, "10.0.0.1/24", errHostBits},
		{IP4Set, "10.0.0.9-10.0.0.3", errRange},
		{IP4Set, "10.1-10.2.3", errRange},
		{IP4Set, "0/0", errZeroBits},
		{IP4Set, "10.0.0.1 :300:", errCode},
		{IP4Set, "10.0.0.1 :0:", errCode},
		{IP4Set, "10.0.0.1 :2 text", errAfterA},
		{IP4Set, ":x", errCode},
		{IP4Set, "10.0.0.1 " + strings.Repeat("x", 256), errTextLong},
		{IP4Set, "$MAXRANGE4 x", errMax},
		{IP4Set, "$MAXRANGE4 /0", errMax},
		{IP4Set, "$1", errSpecial},
		{IP4Set, "$FOO bar", errSpecial},
		{IP4Set, "$TTL soon", errTTL},
		{IP4Set, "$SOA 0 ns.example. admin.example. 1 2 3 4", errSOA},
		{IP4Set, "$NS 1h " + strings.Repeat("x", 64), errNS},
		{IP4Set, "$TIMESTAMP 2023:02:29", errStamp},
		{IP4Set, "$TIMESTAMP 0 +1d", errStamp},
		{IP4Trie, "10.0.0.1-10.0.0.2", errAddress},
		{IP4TSet, "!10.0.0.1", errOnlyAddr},
		{IP4TSet, "10.0.0", errOnlyAddr},
		{IP6Trie, "2001", errAddress},
		{IP6Trie, "2001:db8::1/64", errHostBits},
		{IP6Trie, "2001:db8::/129", errAddress},
		{IP6Trie, "::1.2.3.4", errAddress},
		{IP6TSet, "2001:db8::1", errHalf},
		{IP6TSet, "!2001:db8:0:1", errFull},
		{DNSet, ".", errNoName},
		{DNSet, strings.Repeat("x", 64) + ".example", errNoName},
		{DNSet, "<title>404", errNoName},
		{DNSet, "!*.b\u00fccher.example", errNoASCII},
		{Generic, "www AAAA ::1", errType},
		{Generic, "www A", errType},
		{Generic, "www A x", errAddress},
		{Generic, "www 1y A 127.0.0.2", errTTL},
		{Generic, "www MX mail.example.com", errType},
		{Generic, ". A 127.0.0.2", errName},
	}
	good := map[Kind]string{IP4Set: "192.0.2.1", IP4Trie: "192.0.2.1", IP4TSet: "192.0.2.1", IP6Trie: "2001:db8::1",
		IP6TSet: "2001:db8:0:1", DNSet: "example.com", Generic: "www A 127.0.0.2"}
	for _, tt := range tests {
		t.Run(string(tt.kind)+" "+tt.line[:min(len(tt.line), 30)], func(t *testing.T) {
			path := writeFile(t, t.TempDir(), "data", good[tt.kind]+"\n"+tt.line+"\n")
			_, problems, err := Load(context.Background(), []Spec{{tt.kind, []string{path}}}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if want := (Problem{path, 2, tt.want.Error()}); len(problems) != 1 || problems[0] != want {
				t.Errorf("problems = %v, want %v", problems, want)
			}
		})
	}
}

// TestLoad_page: a web page in the list's place is no data, for every kind.
func TestLoad_page(t *testing.T) {
	const page = `<!DOCTYPE html>
<html lang="en">
<head><title>404 Not Found</title></head>
<body>
 <center><h1>404 Not Found</h1></center>
 <hr><center>nginx</center>
</body>
</html>
`
	path := writeFile(t, t.TempDir(), "data", page)
	for _, kind := range []Kind{IP4Set, IP4Trie, IP4TSet, IP6Trie, IP6TSet, DNSet, Generic} {
		if z, _, err := Load(context.Background(), []Spec{{kind, []string{path}}}, time.Now()); !errors.Is(err, ErrMostlyBad) {
			t.Errorf("%s: Load = %v, %v, want %v", kind, z, err, ErrMostlyBad)
		}
	}
}

func TestLoad_tooManyProblems(t *testing.T) {
	path := writeFile(t, t.TempDir(), "data", strings.Repeat("x\n192.0.2.1\n", 50))
	_, problems, err := Load(context.Background(), []Spec{{IP4Set, []string{path}}}, time.Now())
	if err != nil || len(problems) != maxProblems+1 || problems[maxProblems].Text != "30 more lines were skipped" {
		t.Errorf("Load = %v, %v", problems, err)
	}
}

func TestLoad_errors(t *testing.T) {
	dir := t.TempDir()
	mostly := writeFile(t, dir, "mostly", "example.com\nexample.org\n192.0.2.1\n")
	disk := writeFile(t, dir, "disk", "")
	if err := os.Truncate(disk, 1<<40); err != nil { // without a block of its own
		t.Fatal(err)
	}
	tests := []struct {
		name string
		path string
		want error
	}{
		{"missing", filepath.Join(dir, "missing"), os.ErrNotExist},
		{"mostly bad", mostly, ErrMostlyBad},
		{"too large for memory", disk, errHuge},
		{"future", writeFile(t, dir, "future", "192.0.2.1\n$TIMESTAMP 2030:01:01\n"), errFuture},
	}
	now := time.Date(2029, 12, 31, 0, 0, 0, 0, time.UTC)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			z, problems, err := Load(context.Background(), []Spec{{IP4Set, []string{tt.path}}}, now)
			if z != nil || !errors.Is(err, tt.want) || strings.Count(err.Error(), tt.path) != 1 {
				t.Errorf("Load = %v, %v, want %v", z, err, tt.want)
			}
			if tt.path == mostly && len(problems) != 2 {
				t.Errorf("problems = %v, want those of the bad lines", problems)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	long := writeFile(t, dir, "long", strings.Repeat("192.0.2.1\n", 10000))
	if _, _, err := Load(ctx, []Spec{{IP4Set, []string{long}}}, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("Load after cancel = %v", err)
	}
	if _, _, err := Load(context.Background(), []Spec{{"acl", []string{long}}}, time.Now()); err == nil {
		t.Error("Load of an acl dataset is no error")
	}
}

// TestLoad_forms reads the same three entries from files that look different.
func TestLoad_forms(t *testing.T) {
	const text = ":2:text $\n192.0.2.1\n192.0.2.2\n!192.0.2.3\n"
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	zw.Write([]byte(text))
	zw.Close()
	tests := []struct{ name, text string }{
		{"plain", text},
		{"no end of line", strings.TrimSuffix(text, "\n")},
		{"byte order mark", "\xef\xbb\xbf" + text},
		{"CR LF", strings.ReplaceAll(text, "\n", "\r\n")},
		{"indented", "  " + strings.ReplaceAll(text, "\n", " \t\n \t")},
		{"gzip", packed.String()},
		{"a line too long", text + strings.Repeat("x", 3*maxLine) + "\n"},
		{"a text too long", strings.Replace(text, "192.0.2.1\n", "192.0.2.1 "+strings.Repeat("x", 256)+"\n", 1)},
		{"comments", "# one\n;two\n\n" + text + "#three"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeFile(t, t.TempDir(), "data", tt.text)
			z, problems, err := Load(context.Background(), []Spec{{IP4Set, []string{path}}}, time.Now())
			if err != nil || z.Entries() != 3 {
				t.Fatalf("Load = %v, %v, %v", z, problems, err)
			}
			var ans Answer
			lookup(z, wireName("2.2.0.192"), TypeTXT, &ans)
			if !slices.Equal(ans.Texts, []string{"text 192.0.2.2"}) {
				t.Errorf("texts = %q", ans.Texts)
			}
			if lookup(z, wireName("3.2.0.192"), TypeA, &ans); ans.Rcode != NXDomain {
				t.Errorf("the excluded address: %+v", ans)
			}
		})
	}
}

// TestZone_apex: SOA and NS come from the first dataset that has them, and a
// serial of 0 is the time of the newest file.
func TestZone_apex(t *testing.T) {
	dir := t.TempDir()
	a := writeFile(t, dir, "a", "$NS 1h ns.example.com\n192.0.2.1\n")
	b := writeFile(t, dir, "b", "$TTL 5m\n$SOA 0 ns.example.com admin.example.com 0 1h 2h 3h 4h\n$NS 1h other.example.com\n$TIMESTAMP 2020:01:01 +1w\nwww A 192.0.2.1\n")
	newest := time.Unix(1_800_000_000, 0)
	for path, at := range map[string]time.Time{a: newest, b: newest.Add(-time.Hour)} {
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2020, 1, 7, 0, 0, 0, 0, time.UTC)
	z, problems, err := Load(context.Background(), []Spec{{IP4Set, []string{a}}, {Generic, []string{b}}}, now)
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	soa, negative := z.SOA()
	want := append(wireName("ns.example.com"), 0)
	want = append(append(want, wireName("admin.example.com")...), 0)
	for _, n := range []uint32{1_800_000_000, 3600, 7200, 10800, 14400} {
		want = binary.BigEndian.AppendUint32(want, n)
	}
	if string(soa) != string(want) || z.soa.ttl != 300 || negative != 300 {
		t.Errorf("SOA() = %x with %d s, want %x with 300 s", soa, negative, want)
	}
	if len(z.ns) != 1 || string(z.ns[0]) != string(wireName("ns.example.com"))+"\x00" || z.nsTTL != 3600 {
		t.Errorf("the name servers are %q for %d s", z.ns, z.nsTTL)
	}
	if !z.modified.Equal(newest) || !z.expires.Equal(time.Date(2020, 1, 8, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("modified %v, ends %v", z.modified, z.expires)
	}
}

// TestZone_question has the tables asked about the address that a name is, and
// about an embedded one where there are tables of IPv4.
func TestZone_question(t *testing.T) {
	g := newGenerator(9)
	for range 1000 {
		a := addr6{g.r.Uint64() | 1<<63, g.r.Uint64()}
		a4 := uint32(a.lo)
		for name, want := range map[string]question{
			reverse4(a4): {n: 4, a4: a4, is4: true},
			reverse6(a):  {n: 32, a6: a, is6: true},
			reverse6(addr6{lo: 0xffff<<32 | uint64(a4)}):     {n: 32, a4: a4, a6: addr6{lo: 0xffff<<32 | uint64(a4)}, is4: true},
			reverse6(addr6{hi: 0x2002<<48 | uint64(a4)<<16}): {n: 32, a4: a4, a6: addr6{hi: 0x2002<<48 | uint64(a4)<<16}, is4: true, is6: true},
			"www." + reverse4(a4) + ".example":               {n: 6},
		} {
			labels := wireName(name)
			want.labels = labels
			q, ok := (&Zone{has4: true}).question(rbl.ParseLabels(labels, rbl.HoldsAll), labels, 0)
			if !ok || fmt.Sprint(q) != fmt.Sprint(want) {
				t.Fatalf("%s is asked as %+v, want %+v", name, q, want)
			}
		}
	}
}

// TestLoad_manyTexts has so many values that each width of a column is used,
// and some addresses with several.
func TestLoad_manyTexts(t *testing.T) {
	for _, n := range []int{1, 253, 254, 255, 300, 66000} {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, "%s case %d\n", text4(uint32(10<<24+i)), i)
		}
		fmt.Fprintf(&text, "%s another\n%s :3:\n", text4(10<<24), text4(uint32(10<<24+n-1)))
		path := writeFile(t, t.TempDir(), "data", text.String())
		z, _, err := Load(context.Background(), []Spec{{IP4Set, []string{path}}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var ans Answer
		for i := range n {
			lookup(z, wireName(reverse4(uint32(10<<24+i))), TypeTXT, &ans)
			want := []string{fmt.Sprintf("case %d", i)}
			if i == 0 {
				want = append(want, "another")
			}
			if slices.Sort(ans.Texts); !slices.Equal(ans.Texts, slices.Sorted(slices.Values(want))) {
				t.Fatalf("of %d texts, number %d is %q, want %q", n, i, ans.Texts, want)
			}
		}
		lookup(z, wireName(reverse4(uint32(10<<24+n-1))), TypeA, &ans)
		if slices.Sort(ans.Codes); !slices.Equal(ans.Codes, []uint32{0x7f000002, 0x7f000003}) {
			t.Errorf("of %d texts, the last address has codes %x", n, ans.Codes)
		}
	}
}
