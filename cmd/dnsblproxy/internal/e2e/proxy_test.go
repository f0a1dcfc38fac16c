package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// projectRoot is where go.mod stands, seen from this package, in whose folder
// its tests run.
const projectRoot = "../../../.."

// binaryVariable names the built program; TestMain sets it.
const binaryVariable = "DNSBLPROXY_E2E_BINARY"

func program() string { return os.Getenv(binaryVariable) }

// ProxyOptions are what differs between the proxies of the tests.
type ProxyOptions struct {
	Config   string            // the tables: zones, rules, cache
	Top      string            // more lines above the first table
	Resolver []netip.AddrPort  // [resolver] servers; empty: one that nobody listens at
	Hurried  bool              // wait for servers as long as by default, for tests of silent ones; else patiently
	Port53   bool              // listen on port 53 too, for a resolv.conf
	Env      []string          // NAME=value
	Files    map[string]string // beside the configuration
}

// Proxy is a running dnsblproxy.
type Proxy struct {
	*Process
	Addr  netip.AddrPort // DNS
	admin string         // http://ADDR
	dir   string
	o     ProxyOptions
}

// startProxy serves the configuration and waits until it answers. However the
// test ends, the proxy must leave with status 0 and without a data race.
func startProxy(t testing.TB, o ProxyOptions) *Proxy {
	t.Helper()
	p := prepareProxy(t, o)
	p.launch(t)
	return p
}

// prepareProxy writes the configuration of a proxy without starting it.
func prepareProxy(t testing.TB, o ProxyOptions) *Proxy {
	t.Helper()
	if o.Port53 {
		needRoot(t)
	}
	ip := freeIP(t)
	p := &Proxy{
		Addr:  netip.AddrPortFrom(ip, 5353),
		admin: fmt.Sprintf("http://%s:9353", ip),
		dir:   folder(t),
		o:     o,
	}
	for name, text := range o.Files {
		write(t, p.dir, name, text)
	}
	p.writeConfig(t, o.Config)
	return p
}

func (p *Proxy) launch(t testing.TB) {
	t.Helper()
	env := append([]string{"GORACE=halt_on_error=1 exitcode=66"}, p.o.Env...)
	// Registered before the process is started, so it runs after it was stopped.
	t.Cleanup(func() {
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("dnsblproxy left with status %d", code)
		}
		if strings.Contains(p.Output(), "DATA RACE") {
			t.Errorf("data race in dnsblproxy:\n%s", p.Output())
		}
	})
	p.Process = startProcess(t, env, program(), "serve", "--config", p.configFile())
	p.ready(t, func() error {
		_, err := p.get("/readyz")
		return err
	})
}

func (p *Proxy) configFile() string { return filepath.Join(p.dir, "config.toml") }

// writeConfig puts the tables into the configuration, below what every proxy
// of these tests has. The running proxy learns of it by reload.
func (p *Proxy) writeConfig(t testing.TB, tables string) {
	t.Helper()
	servers := p.o.Resolver
	if len(servers) == 0 {
		servers = []netip.AddrPort{netip.AddrPortFrom(p.Addr.Addr(), 9)}
	}
	patience := "timeout = \"10s\"\ndeadline = \"30s\"" // so that a machine that stands still makes no list fail
	if p.o.Hurried {
		patience = ""
	}
	listen := strconv.Quote(p.Addr.String())
	if p.o.Port53 {
		listen += fmt.Sprintf(`, "%s:53"`, p.Addr.Addr())
	}
	write(t, p.dir, "config.toml", fmt.Sprintf(`listen = [%s]
%s
[admin]
listen = %q
[resolver]
servers = %s
%s
%s`, listen, p.o.Top, strings.TrimPrefix(p.admin, "http://"), quoted(servers...), patience, tables))
}

// quoted is a TOML array of addresses.
func quoted(addrs ...netip.AddrPort) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = strconv.Quote(a.String())
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// reload changes the tables and has the proxy read them.
func (p *Proxy) reload(t testing.TB, tables string) {
	t.Helper()
	p.writeConfig(t, tables)
	p.Signal(t, syscall.SIGHUP)
}

// get returns a page of the admin server.
func (p *Proxy) get(path string) (string, error) {
	client := http.Client{Timeout: clientTimeout}
	resp, err := client.Get(p.admin + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return string(body), err
}

// page is get for a page that must be there.
func (p *Proxy) page(t testing.TB, path string) string {
	t.Helper()
	body, err := p.get(path)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// metric adds up the samples of a metric whose labels hold all of the given
// ones, each written name="value".
func (p *Proxy) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	var sum float64
line:
	for line := range strings.Lines(p.page(t, "/metrics")) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(rest, label) {
				continue line
			}
		}
		fields := strings.Fields(line)
		value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			t.Fatalf("metric line %q: %v", line, err)
		}
		sum += value
	}
	return sum
}

// quarantined waits until the zone's list is believed no more.
func (p *Proxy) quarantined(t testing.TB, zone string) {
	t.Helper()
	eventually(t, soon, zone+" to be quarantined", func() error {
		if p.metric(t, "dnsblproxy_list_state", fmt.Sprintf("zone=%q", zone), `state="quarantined"`) != 1 {
			return errors.New("it is not")
		}
		return nil
	})
}

// command runs a subcommand with this proxy's configuration to its end, a
// minute at most.
func (p *Proxy) command(t testing.TB, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, program(), append(args, "--config", p.configFile())...)
	cmd.Env = append(os.Environ(), p.o.Env...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("dnsblproxy %q: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// succeed runs a subcommand that must work, and returns what it printed.
func (p *Proxy) succeed(t testing.TB, args ...string) string {
	t.Helper()
	status, stdout, stderr := p.command(t, args...)
	if status != 0 {
		t.Fatalf("dnsblproxy %q: status %d\n%s%s", args, status, stdout, stderr)
	}
	return stdout
}

// zone is the configuration of a zone of the same name at the given servers.
func zone(name string, lines string, via ...netip.AddrPort) string {
	return fmt.Sprintf("[zone.%q]\nvia = %s\n%s\n", name, quoted(via...), lines)
}
