package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Rspamd is a mail filter with one list and nothing else to ask.
type Rspamd struct {
	*Process
	url string
}

// startRspamd gives the symbol RBL_TEST to a client that zone lists. Its
// resolver is the recipe's.
func startRspamd(t testing.TB, zone string, proxy netip.AddrPort) *Rspamd {
	t.Helper()
	program := needProgram(t, "rspamd")
	dir := folder(t)
	ip := freeIP(t)
	// The packaged list of top-level domains takes rspamd long to compile.
	write(t, dir, "tld", "example\nnet\norg\n")
	conf := write(t, dir, "rspamd.conf", fmt.Sprintf(`options {
	%[2]s
	filters = "";
	url_tld = "%[1]s/tld";
	tempdir = "%[1]s";
	hs_cache_dir = "%[1]s/";
	cache_file = "%[1]s/symbols.cache";
	control_socket = "%[1]s/control.sock mode=0600";
}
logging { type = "console"; level = "info"; }
worker "normal" { bind_socket = "%[3]s:11333"; count = 1; }
modules { path = "/usr/share/rspamd/plugins/rbl.lua"; }
rbl {
	rbls {
		test { symbol = "RBL_TEST"; rbl = "%[4]s"; checks = ["from"]; ipv4 = true; ipv6 = true; }
	}
}
`, dir, readRecipe(t, "rspamd", zone, proxy).with(t, "dns {"), ip, zone))
	r := &Rspamd{url: fmt.Sprintf("http://%s:11333", ip)}
	r.Process = startProcess(t, nil, program, "-f", "--insecure", "-c", conf, "-p", filepath.Join(dir, "pid"), "--var=DBDIR="+dir, "--var=LOCAL_CONFDIR="+dir)
	r.ready(t, func() error {
		resp, err := http.Get(r.url + "/ping")
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
	return r
}

// lists tells whether rspamd finds the client of a message listed.
func (r *Rspamd) lists(t testing.TB, client string) bool {
	t.Helper()
	message := "From: sender@example.net\r\nTo: user@example.org\r\nSubject: a test\r\n" +
		"Message-ID: <a@example.net>\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\n\r\nHello.\r\n"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/checkv2", strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"IP": client, "From": "sender@example.net", "Rcpt": "user@example.org", "Helo": "client.example.net"} {
		req.Header.Set(name, value)
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var result struct{ Symbols map[string]any }
	if err := json.NewDecoder(resp.Body).Decode(&result); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("rspamd: %s, %v", resp.Status, err)
	}
	_, found := result.Symbols["RBL_TEST"]
	return found
}
