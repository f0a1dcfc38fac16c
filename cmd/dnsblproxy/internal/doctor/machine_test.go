package doctor

import (
	"context"
	"net/netip"
	"strings"
	"testing/fstest"
	"time"
)

// machine is a sound machine; tests break one thing of it.
type machine struct {
	files   map[string]string
	servers map[string]manner // by address
	in      Input
	status  Status
	down    error
	clock   Clock
}

func newMachine() *machine {
	m := &machine{
		files: map[string]string{
			"etc/resolv.conf":                   "# local\nnameserver 127.0.0.1\n",
			"var/spool/postfix/etc/resolv.conf": "nameserver 127.0.0.1\n",
			"etc/postfix/main.cf": "smtpd_recipient_restrictions = permit_mynetworks,\n  # a comment\n" +
				"    reject_rbl_client zen.spamhaus.org=127.0.0.[2..11],\n    permit\n" +
				"postscreen_dnsbl_sites = zen.spamhaus.org*3 local.rbl.internal=127.0.0.2*-2\n",
		},
		servers: map[string]manner{"127.0.0.1:5353": forwards, "127.0.0.1:53": forwards, "127.0.0.2:53": forwards},
		status: Status{
			Zones:   []ListStatus{{Zone: "zen.spamhaus.org", State: "healthy"}, {Zone: "local.rbl.internal"}},
			Sources: []SourceStatus{{Rule: "efax", Action: "allow", Source: "spf efax.com"}},
		},
		clock: Clock{Known: true, Synced: true},
	}
	m.in = Input{
		Config: "config.toml",
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5353")},
		Zones: []Zone{
			{Name: "zen.spamhaus.org", Place: "config.toml:3", Holds: []string{"ip4", "ip6"}},
			{Name: "local.rbl.internal", Place: "config.toml:5", Holds: []string{"ip4"}, Public: true},
		},
		Resolvers: []Server{{netip.MustParseAddrPort("192.0.2.53:53"), "config.toml:2"}},
		Clients:   []Client{{netip.MustParsePrefix("127.0.0.0/8"), "config.toml:1"}, {netip.MustParsePrefix("192.0.2.0/24"), "config.toml:1"}},
		Now:       func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) },
		Nonce:     0x1234,
		Keyed: func(name string) (string, bool) {
			if strings.HasSuffix(name, ".zen.dq.spamhaus.net") {
				return "zen.spamhaus.org", true
			}
			return "", false
		},
	}
	return m
}

// ask is the network. A list that we serve lists its test entry.
func (m *machine) ask(_ context.Context, server netip.AddrPort, name string) Reply {
	how, ok := m.servers[server.String()]
	if !ok {
		how = silent
	}
	test := strings.HasPrefix(name, "2.0.0.127.")
	listed := Reply{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.2")}}
	if how == zenOnly && !strings.HasSuffix(name, ".zen.spamhaus.org") {
		how = elsewhere
	}
	switch how {
	case silent:
		return Reply{Err: ErrSilent}
	case validates:
		return Reply{Err: ErrServfail}
	case elsewhere:
		if test {
			return listed
		}
		return Reply{}
	case strips:
		return Reply{Ours: !test}
	}
	if test {
		return listed
	}
	return Reply{Ours: strings.HasPrefix(name, "18.52.")}
}

func (m *machine) examine() []Finding { return m.examineBy(true) }

// examineBy looks at a machine whose proxy tells of itself, or does not.
func (m *machine) examineBy(admin bool) []Finding {
	return Examine(context.Background(), m.input(admin))
}

func (m *machine) input(admin bool) Input {
	files := fstest.MapFS{}
	for name, text := range m.files {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	in := m.in
	in.Files, in.Ask = files, m.ask
	if admin {
		in.Status = func(context.Context) (Status, error) { return m.status, m.down }
	}
	in.Place = func(action, rule string) string {
		return map[string]string{"allow efax": "config.toml:9"}[action+" "+rule]
	}
	in.Clock = func() Clock { return m.clock }
	return in
}
