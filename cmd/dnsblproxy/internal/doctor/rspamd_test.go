package doctor

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// shipped is in the form of what rspamd 3.4 comes with.
const shipped = `# Please don't modify this file
rbl {
  url_whitelist = [
    "https://maps.rspamd.com/rspamd/surbl-whitelist.inc.zst",
  ];
  rbls {

    spamhaus {
      symbol = "SPAMHAUS"; # Augmented by prefixes
      rbl = "zen.spamhaus.org";
      checks = ['received', 'from'];
      returncodes {
        SPAMHAUS_XBL = ["127.0.0.4", "127.0.0.5",
            "127.0.0.6"];
      }
    }
    "SPAMHAUS_ZEN_URIBL" {
      enabled = false;
      rbl = "dbl.spamhaus.org";
    }
    #"RBL_SARBL_BAD" {
    #  rbl = "public.sarbl.org";
    #}
    sem { rbl = "sem.example.net"; ipv6 = false }
  }
  .include(try=true,priority=1,duplicate=merge) "$LOCAL_CONFDIR/local.d/rbl.conf"
}
`

func TestRspamd(t *testing.T) {
	tests := []struct {
		name, local, override, want string
	}{
		{"as it comes", "", "", "sem:24 zen:10"},
		{"one disabled on its line", "rbls { sem { enabled = false; } }", "", "zen:10"},
		{"one disabled by a word", "rbls {\n  spamhaus {\n    enabled = off\n  }\n}\n", "", "sem:24"},
		{"one disabled without a semicolon", "rbls { spamhaus { enabled = false }\n sem { enabled = \"no\" } }", "", ""},
		{"one enabled", "rbls { SPAMHAUS_ZEN_URIBL { enabled = true; } }", "", "dbl:19 sem:24 zen:10"},
		{"another list in its place", "rbls { sem {\n rbl = \"bl.example\"; } }", "", "bl:2 zen:10"},
		{"one more", "/* rbl = \"old.example\"; */ rbls\n{ own { rbl: 'bl.example', enabled = true } }", "", "bl:2 sem:24 zen:10"},
		{"one more, disabled", "rbls { own { rbl = \"bl.example\"; enabled = false; } }", "", "sem:24 zen:10"},
		{"the module disabled", "enabled = false;", "", ""},
		{"all replaced", "rbls { own { rbl = \"bl.example\"; } }", "rbls { sem { rbl = \"bl2.example\"; } }", "bl2:1"},
		{"override of something else", "", "default_unknown = false;\n", "sem:24 zen:10"},
		{"cut off", "rbls { own { rbl = \"bl.example", "", "bl:1 sem:24 zen:10"},
		{"closed too often", "} } rbls { own { rbl = \"bl.example\" } }", "", "bl:1 sem:24 zen:10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &examination{Input: Input{Files: fstest.MapFS{
				"etc/rspamd/modules.d/rbl.conf":  {Data: []byte(shipped)},
				"etc/rspamd/local.d/rbl.conf":    {Data: []byte(tt.local)},
				"etc/rspamd/override.d/rbl.conf": {Data: []byte(tt.override)},
			}}}
			var got []string
			for _, u := range e.rspamd() {
				first, _, _ := strings.Cut(u.zone, ".")
				got = append(got, first+u.place[strings.LastIndex(u.place, ":"):])
				if u.shipped != strings.HasPrefix(u.place, rspamdShipped) {
					t.Errorf("%+v", u)
				}
			}
			slices.Sort(got)
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("lists %s, want %s", got, tt.want)
			}
		})
	}
}

// TestExamine_shipped: what rspamd comes with is said, and is nothing wrong. It
// asks the system's resolver, whatever another filter asks.
func TestExamine_shipped(t *testing.T) {
	m := newMachine()
	delete(m.files, "etc/postfix/main.cf")
	m.files["etc/rspamd/modules.d/rbl.conf"] = shipped
	m.files["etc/spamassassin/local.cf"] = "dns_server 127.0.0.1:5353\n"
	for _, f := range m.examine() {
		if !f.OK {
			t.Errorf("%+v", f)
		}
		if f.Check == "zones" && !strings.HasSuffix(f.Finding, "know no exemption: sem.example.net") {
			t.Errorf("%+v, want the list that is not served", f)
		}
		if f.Check == "path" && !strings.Contains(f.Finding, "127.0.0.1:53 ") {
			t.Errorf("%+v, want the system's resolver tried", f)
		}
	}
	m.servers["127.0.0.1:53"] = elsewhere
	said := false
	for _, f := range m.examine() {
		said = said || f.Check == "path" && !f.OK && strings.HasPrefix(f.Finding, "/etc/resolv.conf")
	}
	if !said {
		t.Error("nothing is said of rspamd's way past us")
	}
}

// TestExamine_filterAlone: filters that ask us by an option of their own, on a machine
// with another resolver and no mail server.
func TestExamine_filterAlone(t *testing.T) {
	const options, override = "etc/rspamd/local.d/options.inc", "etc/rspamd/override.d/options.inc"
	for name, files := range map[string]map[string]string{
		"with its kind":         {options: "dns { \n nameserver = \"master-slave:127.0.0.1:5353\"; }\n"},
		"as README has it":      {options: "# dns { nameserver = \"192.0.2.44\"; }\ndns { nameserver = \"127.0.0.1:5353\"; }\n"},
		"of IPv6":               {options: "dns { nameserver = [\"[::1]\", \"[::1]:5353:10\"]; }\n"},
		"on lines of their own": {options: "dns {\n  nameserver = [\n    \"127.0.0.1:5353\", # us\n    \"127.0.0.2\"\n  ];\n}\n"},
		"replaced":              {options: "dns { nameserver = \"192.0.2.44\"; }\n", override: "dns { nameserver = \"127.0.0.1:5353\"; }\n"},
		"SpamAssassin":          {"etc/spamassassin/local.cf": "dns_server [127.0.0.1]:5353\n"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine()
			delete(m.files, "etc/postfix/main.cf")
			m.servers["127.0.0.1:53"] = elsewhere
			m.servers["[::1]:53"], m.servers["[::1]:5353"] = forwards, forwards
			maps.Copy(m.files, files)
			wantSound(t, m)
		})
	}
}
