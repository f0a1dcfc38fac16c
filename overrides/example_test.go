package overrides_test

import (
	"fmt"
	"net/netip"
	"time"

	"dnsblproxy/overrides"
)

// An engine whose rules are typed needs no network and no Run.
func ExampleOpen() {
	engine, err := overrides.Open([]overrides.Rule{{
		Name:    "customers",
		Enabled: true,
		CIDR:    []string{"192.0.2.0/24", "203.0.113.10-203.0.113.20"},
		Except:  []string{"192.0.2.9"},
	}}, overrides.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	table := engine.Table()
	now := time.Now().Unix()
	for _, addr := range []string{"203.0.113.15", "192.0.2.9"} {
		hit, ok := table.Lookup(netip.MustParseAddr(addr)).Allow("zen.example", now)
		if !ok {
			fmt.Println(addr, "is not exempt")
			continue
		}
		fmt.Println(addr, "is exempt by", hit.Rule.Name, "entry", hit.Line, "of", hit.Source)
	}
	// Output:
	// 203.0.113.15 is exempt by customers entry 2 of cidr
	// 192.0.2.9 is not exempt
}
