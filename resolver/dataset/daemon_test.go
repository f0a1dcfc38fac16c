package dataset

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// daemon is a real rbldnsd that serves zones on loopback.
type daemon struct {
	conn net.Conn
	cmd  *exec.Cmd
}

// startDaemon starts rbldnsd on the given "zone:type:file,..." arguments. The
// test is skipped where there is none, but not under CI.
func startDaemon(tb testing.TB, zones ...string) *daemon {
	tb.Helper()
	path, err := exec.LookPath("rbldnsd")
	if err != nil {
		path = "/usr/sbin/rbldnsd"
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatalf("rbldnsd is needed under CI: %v", err)
		}
		tb.Skip("rbldnsd is not installed")
	}
	addr := freeAddr()
	args := []string{"-n", "-a", "-b", fmt.Sprintf("127.0.0.1/%d", addr.Port)}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	cmd := exec.Command(path, append(args, zones...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	drained := make(chan struct{})
	tb.Cleanup(func() {
		cmd.Process.Kill()
		<-drained
		cmd.Wait()
	})
	started := make(chan string, 1)
	go func() {
		defer close(drained)
		started <- readUntil(out, "started")
		io.Copy(io.Discard, out)
	}()
	if log := <-started; !strings.Contains(log, "started") {
		tb.Fatalf("rbldnsd did not start on %q: %s", zones, log)
	}
	conn, err := net.Dial("udp", addr.String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return &daemon{conn, cmd}
}

// freeAddr is an address that nobody uses. Its port is none of those that the
// kernel gives to others meanwhile.
func freeAddr() *net.UDPAddr {
	for {
		addr := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 10000 + rand.N(20000)}
		if probe, err := net.ListenUDP("udp", addr); err == nil {
			probe.Close()
			return addr
		}
	}
}

// readUntil returns what r says up to and with the line that holds word.
func readUntil(r io.Reader, word string) string {
	var log strings.Builder
	for sc := bufio.NewScanner(r); sc.Scan(); {
		if log.WriteString(sc.Text() + "\n"); strings.Contains(sc.Text(), word) {
			break
		}
	}
	return log.String()
}

// reply is an answer in a form that compares.
type reply struct {
	rcode   int
	records []string // "ttl rdata", sorted
}

func (r reply) String() string { return fmt.Sprintf("%s %q", dns.RcodeToString[r.rcode], r.records) }

// ask puts one question to the daemon.
func (d *daemon) ask(t *testing.T, name string, qtype uint16) reply {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	q.SetEdns0(4096, false)
	pkt, err := q.Pack()
	if err != nil {
		t.Fatalf("packing %q: %v", name, err)
	}
	if _, err := d.conn.Write(pkt); err != nil {
		t.Fatal(err)
	}
	d.conn.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 8192)
	n, err := d.conn.Read(buf)
	if err != nil {
		t.Fatalf("asking rbldnsd %q: %v", name, err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(buf[:n]); err != nil || m.Id != q.Id {
		t.Fatalf("rbldnsd on %q: %v", name, err)
	}
	r := reply{rcode: m.Rcode}
	for _, rr := range m.Answer {
		raw := make([]byte, 1024)
		if _, err := dns.PackRR(rr, raw, 0, nil, false); err != nil {
			t.Fatal(err)
		}
		owner := len(wireName(strings.TrimSuffix(rr.Header().Name, "."))) + 1
		size := int(raw[owner+8])<<8 | int(raw[owner+9])
		rdata := raw[owner+10 : owner+10+size]
		r.records = append(r.records, fmt.Sprintf("%d %q", rr.Header().Ttl, rdata))
	}
	slices.Sort(r.records)
	return r
}
