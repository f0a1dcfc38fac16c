package doctor

import (
	"strings"
	"testing"
	"testing/fstest"
)

// FuzzLists wants names that can be put into a sentence, whatever the files
// hold.
func FuzzLists(f *testing.F) {
	f.Add("smtpd_client_restrictions = reject_rbl_client zen.spamhaus.org\n", "nameserver 127.0.0.1\n")
	f.Add("rbls { own { rbl = x.y; enabled = off } sem { rbl: \"a.b\" } }\n", "\n")
	f.Add("a = $b\nb = $a\npostscreen_dnsbl_sites = $a, x.y*2 =\n", "nameserver\nnameserver x\n")
	f.Fuzz(func(t *testing.T, text, resolv string) {
		files := fstest.MapFS{}
		for _, name := range []string{"etc/postfix/main.cf", "etc/postfix/master.cf", "etc/exim4/exim4.conf", "etc/rspamd/modules.d/rbl.conf", "etc/rspamd/override.d/rbl.conf", "etc/spamassassin/local.cf"} {
			files[name] = &fstest.MapFile{Data: []byte(text)}
		}
		files["etc/resolv.conf"] = &fstest.MapFile{Data: []byte(resolv)}
		e := &examination{Input: Input{Files: files}}
		for _, u := range e.lists() {
			if again, ok := zoneName(u.zone); !ok || again != u.zone || !strings.Contains(u.place, ":") {
				t.Errorf("%+v is no list", u)
			}
		}
		for _, s := range e.nameservers(resolvConfPath) {
			if !s.Addr.IsValid() || s.Addr.Port() != 53 {
				t.Errorf("server %v", s)
			}
		}
	})
}
