package config

import (
	"net/netip"
	"time"
)

// defaults holds what is used where the file is silent: for the fixed tables
// in Config, and for each table that the file names.
type defaults struct {
	Config Config
	Zone   Zone
	Rule   Rule
	Watch  Watch
}

// newDefaults is the one place where a default stands.
func newDefaults() defaults {
	return defaults{
		Config: Config{
			Listen:  []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5353")},
			Clients: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
			Others:  "forward",
			Admin:   Admin{Listen: netip.MustParseAddrPort("127.0.0.1:9353")},
			Log:     Log{Level: "info", Format: "text"},
			Resolver: Resolver{
				Timeout:  time.Second,
				Deadline: 4 * time.Second, // glibc's stub gives up after 5 s
			},
			Cache: Cache{
				Size:           64 << 20,
				MaxTTL:         time.Hour,
				MaxNegativeTTL: 15 * time.Minute,
				Stale:          time.Hour,
				Prefetch:       true,
				Shared:         Shared{Timeout: 20 * time.Millisecond},
			},
		},
		Zone: Zone{
			Via:       Via{Mode: "resolver"},
			Source:    "upstream",
			Kind:      "block",
			Holds:     []string{"ip4", "ip6", "domain"},
			Mode:      "enforce",
			OnFailure: "unlisted",
			Verify:    true,
			Probe:     true,
		},
		Rule: Rule{
			Refresh: time.Hour,
			Enabled: true,
			MaxV4:   12,
			MaxV6:   28,
			Code:    "127.0.0.2",
		},
		Watch: Watch{Every: 15 * time.Minute},
	}
}

// Defaults returns the configuration of a file that says nothing. It serves
// no zone, so Load refuses it.
func Defaults() *Config {
	c, _ := Parse("", "", Options{})
	return c
}
