package overrides

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// oneALine is a feed as Spamhaus publishes DROP.
const oneALine = `{"cidr":"192.0.2.0/24","rir":"a"}
{"cidr":"198.51.100.0/24","rir":"b"}
{"type":"metadata","timestamp":1795000000,"records":2}
`

func TestFeed_formats(t *testing.T) {
	for _, tt := range []struct {
		name, body, jq, want string // want: ranges, or what the error holds
	}{
		{"text", goodFeed, "", "192.0.2.0/24 198.51.100.1-198.51.100.9 2001:db8::/48"},
		{"array", ` ["192.0.2.1", "x", 3, null, "2001:db8::/48"]`, "", "192.0.2.1 2001:db8::/48"},
		{"one string", `"192.0.2.1"`, "", "192.0.2.1"},
		{"keys do not count", `{"192.0.2.1": "192.0.2.2"}`, "", "192.0.2.2"},
		{"text around does not count", `["see 192.0.2.1", "192.0.2.1:25", "192.0.2.3"]`, "", "192.0.2.3"},
		{"host bits", `["192.0.2.0/24", {"prefix": "198.51.100.5/24"}]`, "", "198.51.100.5/24 has host bits set"},
		{"too long a prefix", `["192.0.2.0/24", "198.51.100.0/33"]`, "", "has a prefix length above 32"},
		{"no prefix after all", `["192.0.2.0/24", "1.2/3", "2026/11/22", "10.1.2.3-4"]`, "", "192.0.2.0/24"},
		{"more values than memory", "[" + strings.Repeat("[],", maxValues/2) + `"192.0.2.1"]`, "", "more than 2097152 values"},
		{"more lines than memory", strings.Repeat("::\n", maxValues+1), "", "more than 2097152 lines"},
		{"JSON a line", oneALine, "", "192.0.2.0/24 198.51.100.0/24"},
		{"jq on JSON a line", oneALine, "select(.rir == \"b\").cidr", "198.51.100.0/24"},
		{"byte order mark", "\ufeff[\"192.0.2.1\"]", "", "192.0.2.1"},
		{"jq", `{"a":["192.0.2.1"],"b":["192.0.2.2"]}`, ".b[]", "192.0.2.2"},
		{"jq gives text", `{"a":["192.0.2.1"],"b":"no"}`, ".b", "jq gave no range"},
		{"jq gives a number", `{"a":1}`, ".a", "jq gave number"},
		{"jq gives null", `{"a":1}`, ".b", "null"},
		{"jq fails", `{"a":1}`, ".a[]", "cannot iterate"},
		{"jq gives nothing", `{"a":[]}`, ".a[]", "holds no address"},
		{"jq on text", goodFeed, ".a", "not JSON"},
		{"numbers that no float holds", `{"n":[9007199254740993,1e400],"a":"192.0.2.1"}`, `select(.n[0] == 9007199254740993 and .n[1] > 1e300) | .a`, "192.0.2.1"},
		{"a number without end", `{"n":` + strings.Repeat("7", 300_000) + `,"a":"192.0.2.1"}`, `select(.n > 1) | .a`, "more than 1000 digits"},
		{"deep", strings.Repeat("[", 2_000) + `"192.0.2.1"` + strings.Repeat("]", 2_000), ".. | strings", "192.0.2.1"},
		{"jq computes", `{"n":[1,2]}`, `.n[] | "192.0.2.\(.)"`, "192.0.2.1-192.0.2.2"},
		{"jq does not see the environment", `{}`, "env.PATH // empty", "holds no address"},
		{"jq without end", `{}`, `repeat("192.0.2.1")`, "more than 200000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &feedFetcher{}
			if tt.jq != "" {
				code, err := compileJQ(tt.jq)
				if err != nil {
					t.Fatal(err)
				}
				f.code = code
			}
			var ranges []Range
			var err error
			synctest.Test(t, func(t *testing.T) { // how long jq may take is not what is tested
				ranges, err = readFeed(t.Context(), []byte(tt.body), f.code)
			})
			got := fmt.Sprint(err)
			if err == nil {
				var texts []string
				for _, r := range contentOfRanges(ranges, nil).ranges() {
					texts = append(texts, r.String())
				}
				got = strings.Join(texts, " ")
			}
			if err == nil && got != tt.want || err != nil && !strings.Contains(got, tt.want) {
				t.Errorf("readFeed = %s, want %s", got, tt.want)
			}
		})
	}
}

// FuzzReadFeed checks that what a feed is read as, written down as text, is
// read as the same.
func FuzzReadFeed(f *testing.F) {
	f.Add([]byte(goodFeed))
	f.Add([]byte(`{"prefixes":[{"ip_prefix":"192.0.2.0/24"},{"x":["2001:db8::1-2001:db8::9",1e400]}]}`))
	f.Add([]byte("\ufeff[\"::ffff:192.0.2.1\"]"))
	f.Fuzz(func(t *testing.T, body []byte) {
		ranges, err := readFeed(t.Context(), body, nil)
		if err != nil {
			return
		}
		want := contentOfRanges(ranges, nil)
		var text strings.Builder
		for _, r := range want.ranges() {
			fmt.Fprintln(&text, r)
		}
		again, err := readFeed(t.Context(), []byte(text.String()), nil)
		if err != nil || !contentOfRanges(again, nil).equal(want) {
			t.Fatalf("readFeed(%q) = %v; as text it is %v, %v", body, ranges, again, err)
		}
	})
}
