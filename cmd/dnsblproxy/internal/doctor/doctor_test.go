package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// manner is how a fake DNS server treats questions for our zones.
type manner int

const (
	forwards  manner = iota // to us, or is us
	strips                  // like a resolver that fears rebinding
	elsewhere               // asks the lists itself
	zenOnly                 // forwards one zone to us, asks other lists itself
	validates               // and finds no signatures
	silent
)

func TestExamine_sound(t *testing.T) {
	var checks []string
	for _, f := range newMachine().examine() {
		if !f.OK || f.Fix != "" || f.Finding == "" {
			t.Errorf("%+v, want nothing wrong", f)
		}
		checks = append(checks, f.Check)
	}
	want := "server resolv.conf path rebind zones keys public-resolver clients lists sources clock"
	if got := strings.Join(checks, " "); got != want {
		t.Errorf("checks %s, want %s", got, want)
	}
}

// TestExamine_wrong breaks one thing at a time. Nothing else may be reported.
func TestExamine_wrong(t *testing.T) {
	const key = "abcdefghijklmnopqrstuvwxy2"
	tests := []struct {
		name         string
		breaks       func(m *machine)
		check        string
		finding, fix string // parts
		others       string // checks that fail with it
		secret       bool   // a key is in the files
	}{
		{
			name:   "not running",
			breaks: func(m *machine) { m.down = errors.New("no server answers at 127.0.0.1:9353") },
			check:  "server", finding: "no server answers", fix: "systemctl restart dnsblproxy",
		},
		{
			name:   "listener silent",
			breaks: func(m *machine) { m.in.Listen = append(m.in.Listen, netip.MustParseAddrPort("127.0.0.9:53")) },
			check:  "server", finding: "127.0.0.9:53 does not answer", fix: "config.toml",
		},
		{
			name: "somebody else at our address",
			breaks: func(m *machine) {
				m.servers["127.0.0.9:53"] = elsewhere
				m.in.Listen = append(m.in.Listen, netip.MustParseAddrPort("127.0.0.9:53"))
			},
			check: "server", finding: "something else", fix: "another address",
		},
		{
			name: "second nameserver",
			breaks: func(m *machine) {
				m.files["etc/resolv.conf"] += "nameserver 127.0.0.2\n"
				m.files["var/spool/postfix/etc/resolv.conf"] += "nameserver 127.0.0.2\n"
			},
			check: "resolv.conf", finding: "2 nameserver lines", fix: "/etc/resolv.conf:3: take this line out",
		},
		{
			name: "no nameserver",
			breaks: func(m *machine) {
				m.files["etc/resolv.conf"] = "search example.com\n"
				delete(m.files, "var/spool/postfix/etc/resolv.conf")
			},
			check: "resolv.conf", finding: "names no server", fix: "nameserver 127.0.0.1",
		},
		{
			name:   "old copy in the chroot",
			breaks: func(m *machine) { m.files["var/spool/postfix/etc/resolv.conf"] = "nameserver 192.0.2.9\n" },
			check:  "resolv.conf", finding: "(192.0.2.9), which is an old copy",
			fix: "cp /etc/resolv.conf /var/spool/postfix/etc/resolv.conf && postfix reload",
		},
		{
			name: "old copy in another chroot",
			breaks: func(m *machine) {
				m.files["etc/postfix/main.cf"] += "queue_directory = /srv/postfix\n"
				m.files["srv/postfix/etc/resolv.conf"] = ""
			},
			check: "resolv.conf", finding: "/srv/postfix/etc/resolv.conf says (none)", fix: "cp ",
		},
		{
			name:   "no resolver there",
			breaks: func(m *machine) { m.servers["127.0.0.1:53"] = silent },
			check:  "path", finding: "/etc/resolv.conf:2: 127.0.0.1:53 does not answer for zen.spamhaus.org", fix: `listen = [..., "127.0.0.1:53"]`,
		},
		{
			name:   "resolver asks the lists itself",
			breaks: func(m *machine) { m.servers["127.0.0.1:53"] = elsewhere },
			check:  "path", finding: "do not arrive at dnsblproxy, in all 2 zones", fix: "forward-addr: 127.0.0.1@5353",
		},
		{
			name: "systemd-resolved asks the lists itself",
			breaks: func(m *machine) {
				m.files["etc/resolv.conf"] = "nameserver 127.0.0.53\n"
				m.files["var/spool/postfix/etc/resolv.conf"] = "nameserver 127.0.0.53\n"
				m.servers["127.0.0.53:53"] = elsewhere
			},
			check: "path", finding: "do not arrive", fix: "DNS=127.0.0.1:5353 Domains=~zen.spamhaus.org",
		},
		{
			name:   "resolver forwards one zone of two",
			breaks: func(m *machine) { m.servers["127.0.0.1:53"] = zenOnly },
			check:  "path", finding: "do not arrive at dnsblproxy, in local.rbl.internal", fix: `name: "local.rbl.internal"`,
		},
		{
			name:   "resolver validates",
			breaks: func(m *machine) { m.servers["127.0.0.1:53"] = validates },
			check:  "path", finding: "SERVFAIL", fix: `domain-insecure: "zen.spamhaus.org"`,
		},
		{
			name:   "rebind protection",
			breaks: func(m *machine) { m.servers["127.0.0.1:53"] = strips },
			check:  "rebind", finding: "takes listings (127.0.0.2) out", fix: "rebind-domain-ok=/zen.spamhaus.org/",
		},
		{
			name: "the system asks a public resolver",
			breaks: func(m *machine) {
				m.servers["8.8.8.8:53"] = elsewhere
				m.files["etc/resolv.conf"] = "nameserver 8.8.8.8\n"
				m.files["var/spool/postfix/etc/resolv.conf"] = "nameserver 8.8.8.8\n"
			},
			check: "path", finding: "/etc/resolv.conf:1: questions asked at 8.8.8.8:53", fix: "name a resolver of your own in /etc/resolv.conf:1 and have it forward",
		},
		{
			name: "rspamd asks past us",
			breaks: func(m *machine) {
				m.servers["192.0.2.44:53"] = elsewhere
				m.files["etc/rspamd/local.d/options.inc"] = "dns {\n  nameserver = [\"192.0.2.44\"];\n}\n"
			},
			check: "path", finding: "/etc/rspamd/local.d/options.inc:2: questions asked at 192.0.2.44:53", fix: "; or name 127.0.0.1:5353 in /etc/rspamd",
		},
		{
			name:   "list that we do not serve",
			breaks: func(m *machine) { m.files["etc/postfix/main.cf"] += "  bl.spamcop.net\n" },
			check:  "zones", finding: "Postfix asks bl.spamcop.net (/etc/postfix/main.cf:6)", fix: `config.toml: add [zone."bl.spamcop.net"]`,
		},
		{
			name: "list by a parameter, in master.cf",
			breaks: func(m *machine) {
				m.files["etc/postfix/main.cf"] += "mylist = b.barracudacentral.org\n"
				m.files["etc/postfix/master.cf"] = "smtp inet n - y - - smtpd\n  -o smtpd_client_restrictions=permit_mynetworks,reject_rbl_client,$mylist\n"
			},
			check: "zones", finding: "b.barracudacentral.org (/etc/postfix/master.cf:2)", fix: "barracudacentral",
		},
		{
			name: "list of Exim",
			breaks: func(m *machine) {
				m.files["etc/exim4/exim4.conf"] = "acl:\n  deny !dnslists = zen.spamhaus.org!&0.255.255.0 : \\\n    psbl.surriel.com=127.0.0.2/$sender_address_domain\n"
			},
			check: "zones", finding: "Exim asks psbl.surriel.com (/etc/exim4/exim4.conf:3)", fix: "psbl",
		},
		{
			name: "list of rspamd",
			breaks: func(m *machine) {
				m.files["etc/rspamd/local.d/rbl.conf"] = "rbls {\n  own {\n    rbl = \"ix.dnsbl.manitu.net\";\n  }\n}\n"
			},
			check: "zones", finding: "rspamd asks ix.dnsbl.manitu.net (/etc/rspamd/local.d/rbl.conf:3)", fix: "ix.dnsbl",
		},
		{
			name: "list of rspamd on one line",
			breaks: func(m *machine) {
				m.files["etc/rspamd/local.d/rbl.conf"] = "rbls { own { rbl = \"ix.dnsbl.manitu.net\"; # rbl = \"old.example\"\n} }\n# rbls { rbl = \"old.example\"; }\n"
			},
			check: "zones", finding: "rspamd asks ix.dnsbl.manitu.net (/etc/rspamd/local.d/rbl.conf:1)", fix: "ix.dnsbl",
		},
		{
			name: "list of SpamAssassin in double quotes",
			breaks: func(m *machine) {
				m.files["etc/spamassassin/local.cf"] = "header RCVD eval:check_rbl_txt(\"own\", \"bl.mailspike.net.\")\n"
			},
			check: "zones", finding: "SpamAssassin asks bl.mailspike.net (/etc/spamassassin/local.cf:1)", fix: "bl.mailspike.net",
		},
		{
			name: "list of SpamAssassin",
			breaks: func(m *machine) {
				m.files["etc/spamassassin/local.cf"] = "header RCVD eval:check_rbl('own', 'bl.mailspike.net.')\n"
			},
			check: "zones", finding: "SpamAssassin asks bl.mailspike.net", fix: "bl.mailspike.net",
		},
		{
			name: "key in sight", secret: true,
			breaks: func(m *machine) {
				m.files["etc/postfix/main.cf"] += "  " + key + ".zen.dq.spamhaus.net=127.0.0.[2..11]*3\n"
			},
			check: "keys", finding: "/etc/postfix/main.cf:6: the key of zen.spamhaus.org", fix: `upstream = "${KEY}.zen.dq.spamhaus.net"`,
			others: "zones",
		},
		{
			name: "key of a list that nobody knows", secret: true,
			breaks: func(m *machine) {
				m.files["etc/rspamd/local.d/rbl.conf"] = "rbl = \"" + key + ".combined.mail.abusix.zone\";\n"
			},
			check: "keys", finding: "the key of combined.mail.abusix.zone", fix: "KEY", others: "zones",
		},
		{
			name:   "public resolver",
			breaks: func(m *machine) { m.in.Resolvers[0].Addr = netip.MustParseAddrPort("8.8.8.8:53") },
			check:  "public-resolver", finding: "8.8.8.8 is the public resolver of Google", fix: "config.toml:2: name a resolver of your own",
		},
		{
			name: "public resolver of a zone",
			breaks: func(m *machine) {
				m.in.Zones[0].Servers = []Server{{netip.MustParseAddrPort("[2620:fe::fe]:53"), "config.toml:4"}}
			},
			check: "public-resolver", finding: "Quad9", fix: "config.toml:4",
		},
		{
			name: "public resolver behind unbound",
			breaks: func(m *machine) {
				m.in.Resolvers[0].Addr = netip.MustParseAddrPort("127.0.0.1:53")
				m.files["etc/unbound/unbound.conf.d/forward.conf"] = "forward-zone:\n  name: \".\"\n  forward-addr: 1.1.1.1@853#cloudflare-dns.com\n"
			},
			check: "public-resolver", finding: "Cloudflare", fix: "/etc/unbound/unbound.conf.d/forward.conf:3",
		},
		{
			name: "public resolver behind systemd-resolved",
			breaks: func(m *machine) {
				m.in.Resolvers[0].Addr = netip.MustParseAddrPort("127.0.0.53:53")
				m.files["run/systemd/resolve/resolv.conf"] = "nameserver 9.9.9.9\n"
			},
			check: "public-resolver", finding: "Quad9", fix: "/run/systemd/resolve/resolv.conf:1",
		},
		{
			name:   "open to a provider's net",
			breaks: func(m *machine) { m.in.Clients[1].Prefix = netip.MustParsePrefix("192.0.0.0/8") },
			check:  "clients", finding: "192.0.0.0/8", fix: "config.toml:1",
		},
		{
			name: "list in quarantine",
			breaks: func(m *machine) {
				m.status.Zones[0] = ListStatus{Zone: "zen.spamhaus.org", State: "quarantined", Reason: "it lists 127.0.0.1"}
			},
			check: "lists", finding: "zen.spamhaus.org is quarantined: it lists 127.0.0.1", fix: "config.toml:3",
		},
		{
			name: "list out of reach",
			breaks: func(m *machine) {
				m.status.Zones[0] = ListStatus{Zone: "zen.spamhaus.org", State: "unreachable", Reason: "no answer in time"}
			},
			check: "lists", finding: "zen.spamhaus.org is unreachable: no answer in time", fix: "config.toml:3: see that whom it is asked through answers",
		},
		{
			name: "data file that is gone",
			breaks: func(m *machine) {
				m.in.Zones[0].Data = "config.toml:5"
				m.status.Zones[0] = ListStatus{Zone: "zen.spamhaus.org", State: "suspect", Reason: "reading zen: no such file"}
			},
			check: "lists", finding: "zen.spamhaus.org is suspect: reading zen: no such file", fix: "config.toml:5: mend the file",
		},
		{
			name:   "budget that is spent",
			breaks: func(m *machine) { m.status.Zones[0].Budget.Limit, m.status.Zones[0].Budget.Used = 5000, 5000 },
			check:  "lists", finding: "zen.spamhaus.org is asked nothing more today: its budget of 5000 questions is spent", fix: "config.toml:3: raise budget",
		},
		{
			name:   "source that fails",
			breaks: func(m *machine) { m.status.Sources[0].LastError = "no SPF record" },
			check:  "sources", finding: "rule efax: spf efax.com: no SPF record; it was never loaded", fix: "config.toml:9",
		},
		{
			name: "source that has failed for long",
			breaks: func(m *machine) {
				s := &m.status.Sources[0]
				s.LastError, s.LastSuccess = "temperror", time.Date(2026, 11, 19, 12, 0, 0, 0, time.UTC)
			},
			check: "sources", finding: "temperror; nothing of what it said at 2026-11-19T12:00:00Z is in force any more", fix: "config.toml:9",
		},
		{
			name: "source that has begun to fail",
			breaks: func(m *machine) {
				s := &m.status.Sources[0]
				s.LastError, s.LastSuccess, s.InForce = "temperror", time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC), true
			},
			check: "sources", finding: "temperror; what it said at 2026-11-21T11:00:00Z is in force", fix: "config.toml:9",
		},
		{
			name:   "clock",
			breaks: func(m *machine) { m.clock.Synced = false },
			check:  "clock", finding: "not synchronized; it is 2026-11-21T12:00:00Z", fix: "systemd-timesyncd",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine()
			tt.breaks(m)
			found := m.examine()
			said := false
			for _, f := range found {
				switch {
				case f.OK:
				case f.Check == tt.check:
					said = said || strings.Contains(f.Finding, tt.finding) && strings.Contains(f.Fix, tt.fix)
				case f.Check != tt.others:
					t.Errorf("%+v is reported too", f)
				}
			}
			if !said {
				t.Errorf("no finding of %s has %q and the fix %q: %+v", tt.check, tt.finding, tt.fix, found)
			}
			if tt.secret && strings.Contains(strings.ToLower(fmt.Sprint(found)), key) {
				t.Errorf("the key is in the findings: %+v", found)
			}
		})
	}
}

// TestExamine_harmless are machines that look odd and work.
func TestExamine_harmless(t *testing.T) {
	tests := []struct {
		name   string
		breaks func(m *machine)
	}{
		{"key hidden by a reply map", func(m *machine) {
			m.in.Zones = append(m.in.Zones, Zone{Name: "zen.dq.spamhaus.net", Holds: []string{"ip4"}, Public: true})
			m.files["etc/postfix/main.cf"] += "  key.zen.dq.spamhaus.net\npostscreen_dnsbl_reply_map = texthash:/etc/postfix/reply\n"
		}},
		{"public resolver for a list with a key", func(m *machine) {
			m.in.Zones[0].Public = true
			m.in.Resolvers[0].Addr = netip.MustParseAddrPort("8.8.8.8:53")
		}},
		{"zone that nobody asks, not forwarded", func(m *machine) {
			m.servers["127.0.0.1:53"] = zenOnly
			m.files["etc/postfix/main.cf"] = "smtpd_recipient_restrictions = reject_rbl_client zen.spamhaus.org\n"
		}},
		{"clock of a container", func(m *machine) {
			m.clock.Synced = false
			m.files[".dockerenv"] = ""
		}},
		{"list that does not answer us either", func(m *machine) {
			m.in.Zones = m.in.Zones[:1]
			m.files["etc/postfix/main.cf"] = "relayhost = 192.0.2.25\n$broken\n  = x\n"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine()
			tt.breaks(m)
			wantSound(t, m)
		})
	}
}

func wantSound(t *testing.T, m *machine) {
	t.Helper()
	for _, f := range m.examine() {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
}

// TestExamine_systemd: nothing is said to answer that could not be asked.
func TestExamine_systemd(t *testing.T) {
	for admin, want := range map[bool]string{
		true:  "dnsblproxy runs; systemd alone",
		false: "not to be tried: systemd alone",
	} {
		m := newMachine()
		m.in.Listen = nil
		m.servers["127.0.0.1:53"] = strips
		found := m.examineBy(admin)
		for _, f := range found {
			if !f.OK {
				t.Errorf("%+v", f)
			}
			if f.Check == "server" && !strings.HasPrefix(f.Finding, want) {
				t.Errorf("server, with admin %t: %s, want %s", admin, f.Finding, want)
			}
			if f.Check == "rebind" && !strings.HasPrefix(f.Finding, "not to be tried") {
				t.Errorf("rebind: %s", f.Finding)
			}
		}
	}
}

// TestExamine_hangs: of servers that take questions and do not answer, all
// together keep us waiting no longer than the slowest.
func TestExamine_hangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.in.Listen = append(m.in.Listen, netip.MustParseAddrPort("[::1]:5353"))
		m.files["etc/resolv.conf"] += "nameserver 127.0.0.2\n"
		m.files["etc/rspamd/local.d/options.inc"] = "dns { nameserver = \"192.0.2.44\"; }\n"
		m.servers, m.down = nil, errors.New("it is silent")
		in := m.input(true)
		ask, status := in.Ask, in.Status
		in.Ask = func(ctx context.Context, server netip.AddrPort, name string) Reply {
			time.Sleep(6 * time.Second)
			return ask(ctx, server, name)
		}
		in.Status = func(ctx context.Context) (Status, error) {
			time.Sleep(5 * time.Second)
			return status(ctx)
		}
		begin := time.Now()
		var silent []string
		for _, f := range Examine(t.Context(), in) {
			if !f.OK && (f.Check == "server" || f.Check == "path") {
				silent = append(silent, f.Finding)
			}
		}
		if took := time.Since(begin); took != 6*time.Second {
			t.Errorf("took %v, want the 6s of one question", took)
		}
		want := []string{
			"it is silent", "127.0.0.1:5353 does not answer", "[::1]:5353 does not answer",
			"192.0.2.44:53 does not answer", "127.0.0.1:53 does not answer", "127.0.0.2:53 does not answer",
		}
		if !slices.EqualFunc(silent, want, strings.Contains) {
			t.Errorf("silent are %q, want %q", silent, want)
		}
	})
}
