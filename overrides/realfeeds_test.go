package overrides

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// feedCase is a real feed, a way of reading it and the addresses that another
// program (Python's ipaddress) counted.
type feedCase struct {
	name, file, jq string
	v4, v6         float64
	refused        bool // by the guard of a rule that sets none
}

func (c feedCase) run(t *testing.T, dir string) {
	path, err := filepath.Abs(filepath.Join(dir, c.file))
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{}
	r := allow(func(r *Rule) { r.URL, r.JQ = "file://"+path, c.jq })
	got := e.newFeedFetcher(&r).fetch(t.Context(), known{})
	if (got.err != nil) != c.refused {
		t.Fatalf("fetch = %v, want a refusal: %t", got.err, c.refused)
	}
	if c.refused {
		r.MaxV4, r.MaxV6 = NoLimit, NoLimit
		got = e.newFeedFetcher(&r).fetch(t.Context(), known{})
	}
	if got.err != nil {
		t.Fatal(got.err)
	}
	n4, n6 := got.content.counts()
	if n4.float() != c.v4 || n6.float() != c.v6 {
		t.Errorf("%s holds %.0f and %.0f addresses, want %.0f and %.0f", c.file, n4.float(), n6.float(), c.v4, c.v6)
	}
}

func TestFeed_excerpts(t *testing.T) {
	for _, c := range []feedCase{
		{"aws by service and region", "feed-aws.json", `.prefixes[] | select(.service == "WORKSPACES_GATEWAYS" and .region == "us-west-2") | .ip_prefix`, 4096, 0, false},
		{"aws both families", "feed-aws.json", `(.prefixes[].ip_prefix), (.ipv6_prefixes[].ipv6_prefix)`, 6528, 1232537652028977400774656, false},
		{"oracle by region", "feed-oracle.json", `.regions[] | select(.region == "us-phoenix-1") | .cidrs[].cidr`, 7168, 0, false},
		{"github by key", "feed-github.json", `.hooks[]`, 6144, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, "testdata") })
	}
}

// TestFeed_real reads the whole feeds, where they lie beside the project.
func TestFeed_real(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "data", "feeds")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the folder with real feeds is not there: %v", err)
	}
	for _, c := range []feedCase{
		{"aws by service and region", "aws-ip-ranges.json", `.prefixes[] | select(.service == "WORKSPACES_GATEWAYS" and .region == "us-west-2") | .ip_prefix`, 4096, 0, false},
		{"aws whole", "aws-ip-ranges.json", "", 94988347, 1420237187931466851867070300173, true},
		{"oracle whole", "oracle-cloud-ip-ranges.json", "", 3697802, 0, true},
		{"oracle by region", "oracle-cloud-ip-ranges.json", `.regions[] | select(.region == "ap-tokyo-1") | .cidrs[].cidr`, 157952, 0, false},
		{"github whole", "github-ip-ranges.json", "", 23998263, 713193024163893322716240936960, true},
		{"github by key", "github-ip-ranges.json", ".hooks[]", 10240, 713053462628379038341895553024, false},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) { c.run(t, dir) })
	}
}
