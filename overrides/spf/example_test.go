package spf_test

import (
	"context"
	"fmt"
	"time"

	"dnsblproxy/overrides/spf"
)

// records is a Resolver over a few TXT records.
type records map[string]string

func (r records) Lookup(_ context.Context, name string, t spf.Type) (spf.Answer, error) {
	text, ok := r[name]
	if !ok {
		return spf.Answer{NXDOMAIN: true, TTL: time.Minute}, nil
	}
	if t != spf.TypeTXT {
		return spf.Answer{TTL: time.Minute}, nil
	}
	return spf.Answer{Strings: []string{text}, TTL: time.Hour}, nil
}

func ExampleCompile() {
	dns := records{
		"example.com":      "v=spf1 include:_spf.example.net -ip4:192.0.2.8 ip4:192.0.2.0/28 ~all",
		"_spf.example.net": "v=spf1 ip6:2001:db8::/32 ip4:192.0.2.8/31 -all",
	}
	m, err := spf.Compile(context.Background(), dns, "example.com", spf.CompileOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for r := range m.Ranges() {
		fmt.Println(r.First, r.Last, r.Result)
	}
	fmt.Println(m.Pass4, m.Lookups, m.TTL)
	// Output:
	// 0.0.0.0 192.0.1.255 softfail
	// 192.0.2.0 192.0.2.15 pass
	// 192.0.2.16 255.255.255.255 softfail
	// :: 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff softfail
	// 2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff pass
	// 2001:db9:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff softfail
	// 16 1 1h0m0s
}
