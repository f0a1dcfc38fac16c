package overrides

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func items(t *testing.T, lines ...string) []Item {
	t.Helper()
	got, problems := ReadItems("args", FormatText, []byte(strings.Join(lines, "\n")))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for i := range got {
		got[i].Entry.Line = 0
	}
	return got
}

func TestAddItems(t *testing.T) {
	const before = "# Fax senders, do not sort\n\n192.0.2.7   # the old one\n198.51.100.0/24 until 2027-03-31\n.example.com"
	for _, tt := range []struct {
		name   string
		before string
		add    []string
		after  string // "" if refused
		want   string // in the refusal
	}{
		{"new file", "", []string{"192.0.2.1 # first"}, "192.0.2.1 # first\n", ""},
		{"appended", before, []string{"192.0.2.8 until 2028-01-01 # new", "10.0.0.1 - 10.0.0.4"}, before + "\n192.0.2.8 until 2028-01-01 # new\n10.0.0.1-10.0.0.4\n", ""},
		{"CRLF stays", "192.0.2.7\r\n", []string{"192.0.2.8"}, "192.0.2.7\r\n192.0.2.8\r\n", ""},
		{"there already", before, []string{"192.0.2.7/32"}, "", "f.txt:3: 192.0.2.7 is there already"},
		{"longer than before", before, []string{"198.51.100.0/24"}, before + "\n198.51.100.0/24\n", ""},
		{"longer than all before", "192.0.2.7 until 2027-03-31\n", []string{"192.0.2.7"}, "192.0.2.7 until 2027-03-31\n192.0.2.7\n", ""},
		{"shorter than before", before, []string{"198.51.100.0/24 until 2027-01-01"}, "", "f.txt:4: 198.51.100.0/24 until 2027-01-01 is there already"},
		{"within another", "10.0.0.0/8\n", []string{"10.1.0.0/16"}, "", "f.txt:1: 10.1.0.0/16 is covered already by 10.0.0.0/8"},
		{"within one of which others have a part", "192.0.2.9\n192.0.2.0/24\n", []string{"192.0.2.5"}, "", "f.txt:2: 192.0.2.5 is covered already by 192.0.2.0/24"},
		{"within two", "10.0.0.0/25\n10.0.0.128/25\n", []string{"10.0.0.0/24"}, "", "f.txt:1: 10.0.0.0/24 is covered already"},
		{"half within", "10.0.0.0/25\n", []string{"10.0.0.0/24"}, "10.0.0.0/25\n10.0.0.0/24\n", ""},
		{"within one that ends", "10.0.0.0/8 until 2027-01-01\n", []string{"10.1.0.0/16"}, "10.0.0.0/8 until 2027-01-01\n10.1.0.0/16\n", ""},
		{"below a domain", before, []string{"a.example.com"}, "", "f.txt:5: a.example.com is covered already by .example.com"},
		{"beside a domain", before, []string{"aexample.com"}, before + "\naexample.com\n", ""},
		{"given twice", "", []string{"192.0.2.1", "192.0.2.1/32"}, "", "192.0.2.1 is given twice"},
		{"broken file", "192.0.2.5/24\n", []string{"192.0.2.1"}, "", "f.txt:1: 192.0.2.5/24 has host bits set"},
		{"IPv6", "2001:db8::/32\n", []string{"2001:db8:1::/48"}, "", "f.txt:1: 2001:db8:1::/48 is covered already"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.txt")
			if tt.before != "" {
				write(t, path, tt.before)
			}
			n, err := AddItems(path, items(t, tt.add...), false)
			data, _ := os.ReadFile(path)
			if tt.after == "" {
				if err == nil || n != 0 || !strings.Contains(err.Error(), tt.want) || string(data) != tt.before {
					t.Fatalf("AddItems = %d, %v, want %q; the file is %q", n, err, tt.want, data)
				}
				if n, err := AddItems(path, items(t, tt.add...), true); tt.name != "broken file" && tt.name != "given twice" && (n != 0 || err != nil) {
					t.Errorf("AddItems with skip = %d, %v, want 0", n, err)
				}
				return
			}
			if err != nil || n != len(tt.add) || string(data) != tt.after {
				t.Fatalf("AddItems = %d, %v; the file is\n%q, want\n%q", n, err, data, tt.after)
			}
		})
	}
}

func TestEntry_Overlaps(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"192.0.2.7", "192.0.2.0/24", true},
		{"192.0.2.0-192.0.2.9", "192.0.2.9-192.0.2.20", true},
		{"192.0.2.0-192.0.2.8", "192.0.2.9", false},
		{"::/0", "192.0.2.9", false},
		{"example.com", "example.com", true},
		{"a.example.com", ".example.com", true},
		{"a.example.com", "example.com", false},
		{"aexample.com", ".example.com", false},
		{".a.example.com", ".example.com", true},
		{"0.0.0.0/0", ".example.com", false},
	} {
		a, errA := ParseEntry(tt.a)
		b, errB := ParseEntry(tt.b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a.Overlaps(b) != tt.want || b.Overlaps(a) != tt.want {
			t.Errorf("%s and %s: %t and %t, want %t", a, b, a.Overlaps(b), b.Overlaps(a), tt.want)
		}
	}
}

// What two lines hold together is within neither of them.
func TestRemoveItems_of_two(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.txt")
	write(t, path, "192.0.2.0/25\n192.0.2.128/25\n")
	_, err := RemoveItems(path, []Entry{items(t, "192.0.2.0/24")[0].Entry})
	if err == nil || !strings.Contains(err.Error(), "192.0.2.0/24 is not in the file") {
		t.Errorf("RemoveItems = %v", err)
	}
}

func TestRemoveItems(t *testing.T) {
	const before = "\ufeff# keep\r\n192.0.2.7 # gone\r\n10.0.0.0/8\r\n10.0.0.0-10.255.255.255 until 2027-01-01\r\n.example.com\r\n172.16.0.0/12 until 2027-01-01"
	for _, tt := range []struct {
		name   string
		remove []string
		after  string // "" if refused
		want   string
	}{
		{"one", []string{"192.0.2.7/32"}, "\ufeff# keep\r\n10.0.0.0/8\r\n10.0.0.0-10.255.255.255 until 2027-01-01\r\n.example.com\r\n172.16.0.0/12 until 2027-01-01", ""},
		{"all spellings", []string{"10.0.0.0/255.0.0.0"}, "\ufeff# keep\r\n192.0.2.7 # gone\r\n.example.com\r\n172.16.0.0/12 until 2027-01-01", ""},
		{"last lines", []string{".Example.com.", "172.16.0.0/12"}, "\ufeff# keep\r\n192.0.2.7 # gone\r\n10.0.0.0/8\r\n10.0.0.0-10.255.255.255 until 2027-01-01\r\n", ""},
		{"not there", []string{"192.0.2.7", "192.0.2.9"}, "", "192.0.2.9 is not in the file"},
		{"within another", []string{"10.0.0.1"}, "", `f.txt:3: 10.0.0.1 does not stand there by itself but is within 10.0.0.0/8; write except = ["10.0.0.1"]`},
		{"within one that ends", []string{"172.16.0.1"}, "", `f.txt:6: 172.16.0.1 does not stand there by itself but is within 172.16.0.0/12 until 2027-01-01; write except`},
		{"other domain", []string{"example.com"}, "", "example.com is not in the file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.txt")
			write(t, path, before)
			var entries []Entry
			for _, it := range items(t, tt.remove...) {
				entries = append(entries, it.Entry)
			}
			n, err := RemoveItems(path, entries)
			data, _ := os.ReadFile(path)
			if tt.after == "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || string(data) != before {
					t.Fatalf("RemoveItems = %v, want %q; the file is %q", err, tt.want, data)
				}
				return
			}
			if lines := strings.Count(before, "\n") - strings.Count(strings.TrimSuffix(tt.after, "\r\n"), "\n"); err != nil || n != lines || string(data) != tt.after {
				t.Fatalf("RemoveItems = %d, %v; the file is\n%q, want %d lines less:\n%q", n, err, data, lines, tt.after)
			}
		})
	}
}

func TestEdit_keeps_mode_and_link(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real.txt"), filepath.Join(dir, "link.txt")
	if err := os.WriteFile(file, []byte("192.0.2.1\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if _, err := AddItems(link, items(t, "192.0.2.2"), false); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	if info, err = os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode is %v, %v, want 0640", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
	// A share that is not mounted: the entries that it holds are not forgotten.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := AddItems(link, items(t, "192.0.2.3"), false); err == nil || !strings.Contains(err.Error(), "a link to "+file) {
		t.Errorf("AddItems to a link that leads nowhere: %v", err)
	}
	if target, err := os.Readlink(link); err != nil || target != file {
		t.Errorf("the link leads to %q, %v", target, err)
	}
}

func TestEdit_loses_nothing_to_another(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.txt")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := AddItems(path, []Item{{Entry: Entry{Range: Range{v4(i).addr(), v4(i).addr()}}}}, false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	data, err := os.ReadFile(path)
	if n := bytes.Count(data, []byte{'\n'}); err != nil || n != 20 {
		t.Errorf("%d lines, %v, want 20", n, err)
	}
}

func TestItems_round_trip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	d := dice{func() byte { return byte(rnd.Uint32()) }}
	comments := []string{"", "fax", `a "quoted", b`, "#1 of two # three", "ümlaut <b> & more", "=1+1"}
	for range 200 {
		var want []Item
		for range d.n(6) {
			e := d.entry(0)
			if !e.Until.IsZero() {
				e.Until = dayOf(endOf(e.Until))
			}
			want = append(want, Item{Entry: e, Comment: comments[d.n(len(comments))]})
		}
		for _, f := range []Format{FormatText, FormatCSV, FormatJSON} {
			var b bytes.Buffer
			if err := WriteItems(&b, f, want); err != nil {
				t.Fatal(err)
			}
			got, problems := ReadItems("x", f, b.Bytes())
			for i := range got {
				got[i].Entry.Line = 0
			}
			if len(problems) > 0 || !slices.Equal(got, want) {
				t.Fatalf("%s: %v, %v, want %v\n%s", f, got, problems, want, b.Bytes())
			}
		}
	}
}

func TestReadItems_of_others(t *testing.T) {
	for _, tt := range []struct {
		name   string
		format Format
		in     string
		want   string // items as lines, or what the problems hold
	}{
		{"csv without header", FormatCSV, "192.0.2.1\n192.0.2.2,2027-03-31,two\n", "192.0.2.1|192.0.2.2 until 2027-03-31 # two"},
		{"csv of a product", FormatCSV, "\ufeffDescription,IP\r\n\"fax, old\",192.0.2.1\r\n", "192.0.2.1 # fax, old"},
		{"csv without header, a comment like one", FormatCSV, "192.0.2.1,,network\n192.0.2.2,,ip\n", "192.0.2.1 # network|192.0.2.2 # ip"},
		{"csv of a spreadsheet", FormatCSV, "Network,Expires,Comment,\n192.0.2.0/24,2027-03-31,office,\n", "192.0.2.0/24 until 2027-03-31 # office"},
		{"csv with empty rows", FormatCSV, ",,\nNetwork,Expires,Comment\n192.0.2.0/24,2027-03-31,office\n,,\n, ,\n192.0.2.1,,\n,,\n", "192.0.2.0/24 until 2027-03-31 # office|192.0.2.1"},
		{"csv with semicolons", FormatCSV, "\ufeffIP;Expires;Comment\r\n192.0.2.1;2027-03-31;a, b\r\n192.0.2.2;;\"c; d\"\r\n", "192.0.2.1 until 2027-03-31 # a, b|192.0.2.2 # c; d"},
		{"csv with semicolons, the first late", FormatCSV, "192.0.2.1\n192.0.2.2;;two, of three\n", "192.0.2.1|192.0.2.2 # two, of three"},
		{"csv with a comment that has one", FormatCSV, "192.0.2.1,,a; b\n", "192.0.2.1 # a; b"},
		{"csv with another column", FormatCSV, "ip,expiry\n192.0.2.1,2027-03-31\n", `x:1: unknown column "expiry"; name it entry, until or comment, or take it out`},
		{"csv with a column twice", FormatCSV, "ip,Network\n192.0.2.1,192.0.2.0/24\n", `x:1: "Network" is a second column for the same`},
		{"csv with more cells than heads", FormatCSV, "IP,,Expires,,\n192.0.2.1,,2027-03-31,,,more\n", "192.0.2.1 until 2027-03-31"},
		{"csv with a head in the middle", FormatCSV, "ip\n192.0.2.1\nip\n", `x:3: "ip"`},
		{"csv with a head that names no entry", FormatCSV, "host,comment\n192.0.2.1,office\n", `x:1: "host"`},
		{"csv with a fault", FormatCSV, "entry\n192.0.2.1\n192.0.2.5/24\n", "x:3: 192.0.2.5/24 has host bits set"},
		{"csv in UTF-16", FormatCSV, "\xff\xfee\x00n\x00", "x:1: the file is UTF-16; save it as UTF-8"},
		{"json in UTF-16", FormatJSON, "\xff\xfe[\x00]\x00", "x:1: the file is UTF-16; save it as UTF-8"},
		{"csv broken", FormatCSV, "a\"b,\"c\n", "no CSV"},
		{"json", FormatJSON, `[{"entry":"192.0.2.1","until":"2027-03-31","comment":"a\nb\u007fc"}]`, "192.0.2.1 until 2027-03-31 # a b c"},
		{"json with a fault", FormatJSON, `[{"entry":"192.0.2.1"},{"entry":"x"}]`, "object 2: "},
		{"json with another key", FormatJSON, `[{"entry":"192.0.2.1","til":"2027-03-31"}]`, `unknown field "til"`},
		{"json of something else", FormatJSON, `{"entry":"192.0.2.1"}`, "no JSON array"},
		{"json of nothing", FormatJSON, "null", "no JSON array"},
		{"json twice", FormatJSON, `[][]`, "something follows"},
		{"bad date", FormatJSON, `[{"entry":"192.0.2.1","until":"soon"}]`, `"soon" is no date`},
		{"text", FormatText, "192.0.2.1 # a # b\n", "192.0.2.1 # a # b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, problems := ReadItems("x", tt.format, []byte(tt.in))
			var lines []string
			for _, it := range got {
				lines = append(lines, lineOf(it))
			}
			if len(problems) > 0 {
				if s := fmt.Sprint(problems); !strings.Contains(s, tt.want) {
					t.Errorf("problems = %s, want %q", s, tt.want)
				}
				return
			}
			if s := strings.Join(lines, "|"); s != tt.want {
				t.Errorf("items = %q, want %q", s, tt.want)
			}
		})
	}
	if f, err := ParseFormat("yaml"); err == nil {
		t.Errorf("ParseFormat(yaml) = %s", f)
	}
}

func TestExemptions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.txt")
	write(t, path, "10.0.0.0/24 # all\n\n192.0.2.1 until 2001-01-01\n192.0.2.2 until 2100-01-01\n.example.com\n")
	rules := []Rule{
		{Name: "a", Enabled: true, CIDR: []string{"2001:db8::/126"}, File: path,
			Except: []string{"10.0.0.0", "10.0.0.4/30", "10.0.0.255", "2001:db8::3", "10.0.1.0/24"}},
		{Name: "off", CIDR: []string{"192.0.2.9"}},
		{Name: "over", Enabled: true, CIDR: []string{"192.0.2.9"}, Expires: time.Date(2001, 1, 1, 0, 0, 0, 0, time.Local)},
		{Name: "soon", Enabled: true, CIDR: []string{"192.0.2.10"}, Expires: time.Date(2099, 12, 31, 0, 0, 0, 0, time.Local)},
		{Name: "deny", Enabled: true, Action: Deny, Zones: []string{"z.example"}, CIDR: []string{"192.0.2.9"}},
		// Parts beside ::ffff:0:0/96, in which no entry can begin or end.
		{Name: "beside", Enabled: true, CIDR: []string{"::/80", "::/0"}, Except: []string{"::1:0:0:0/80"}},
		{Name: "above", Enabled: true, CIDR: []string{"::/0"}, Except: []string{"::/80"}},
	}
	e, err := Open(rules, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for x := range e.Exemptions(Allow) {
		got = append(got, fmt.Sprintf("%s %s:%d %s", x.Rule.Name, x.Source.Kind, x.Entry.Line, x.Entry))
	}
	want := []string{
		"a cidr:1 2001:db8::-2001:db8::2",
		"a file:1 10.0.0.1-10.0.0.3", "a file:1 10.0.0.8-10.0.0.254",
		"a file:4 192.0.2.2 until 2100-01-01", "a file:5 .example.com",
		"soon cidr:1 192.0.2.10 until 2099-12-31",
		"beside cidr:1 ::-::fffe:ffff:ffff", "beside cidr:2 ::2:0:0:0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"above cidr:1 ::1:0:0:0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	}
	if !slices.Equal(got, want) {
		t.Errorf("Exemptions =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for range e.Exemptions(Allow) {
		break // must not panic
	}
}

func TestEdit_remove_undoes_add(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 9))
	d := dice{func() byte { return byte(rnd.Uint32()) }}
	path := filepath.Join(t.TempDir(), "f.txt")
	for range 100 {
		before := "# head\r\n\r\n"
		for i := range d.n(5) {
			before += d.entry(0).String() + " # no. " + fmt.Sprint(i) + "\r\n"
		}
		write(t, path, before)
		old, problems := ParseRuleFile(path, []byte(before))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		var add []Item
		var entries []Entry
		for range 1 + d.n(4) {
			e := d.entry(0)
			if same := func(o Entry) bool { return o.sameAs(e) }; slices.ContainsFunc(old, same) || slices.ContainsFunc(entries, same) {
				continue // removing it would take both
			}
			add, entries = append(add, Item{Entry: e, Comment: "new"}), append(entries, e)
		}
		if _, err := AddItems(path, add, false); err != nil {
			continue // covered already, which other tests look at
		}
		if _, err := RemoveItems(path, entries); err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != before {
			t.Fatalf("after adding and removing %v the file is %q, %v, want %q", entries, after, err, before)
		}
	}
}
