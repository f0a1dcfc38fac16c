package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// connected returns a server and a prompt socket connected to it.
func connected(t *testing.T) (server *net.UDPConn, c net.Conn) {
	t.Helper()
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	at := server.LocalAddr().(*net.UDPAddr).AddrPort()
	c, err = systemNetwork{}.DialUDP(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Close()
		c.Close()
	})
	return server, c
}

// TestPrompt holds a prompt socket to what other code expects of a net.Conn:
// whole datagrams, deadlines, refusals, and an end to a pending Read by Close.
func TestPrompt(t *testing.T) {
	server, c := connected(t)
	buf := make([]byte, 2000)
	for _, size := range []int{1, 1232, 0} {
		sent := bytes.Repeat([]byte{7}, size)
		if n, err := c.Write(sent); n != size || err != nil {
			t.Fatalf("Write of %d = %d, %v", size, n, err)
		}
		n, from, err := server.ReadFromUDPAddrPort(buf)
		if err != nil || n != size {
			t.Fatalf("%d of %d octets arrived, %v", n, size, err)
		}
		if _, err := server.WriteToUDPAddrPort(sent, from); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); n != size || err != nil || !bytes.Equal(buf[:n], sent) {
			t.Fatalf("Read = %d, %v, want %d", n, err, size)
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read past its deadline: %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(buf); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Read after a refusal: %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(buf)
		ended <- err
	}()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read of a closed socket: %v", err)
	}
	if _, err := c.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write to a closed socket: %v", err)
	}
}

// Each hands over what comes while a datagram is handled and what came with
// it, whether it looks again at once or waits to be told.
func TestPrompt_Each(t *testing.T) {
	for _, more := range []bool{true, false} {
		server, c := connected(t)
		send := func(b byte) {
			if _, err := server.WriteTo([]byte{b}, c.LocalAddr()); err != nil {
				t.Error(err)
			}
		}
		send(0)
		got := make(chan byte)
		ended := make(chan error, 1)
		go func() {
			ended <- each(c, make([]byte, 10), func(pkt []byte) bool {
				if pkt[0]%2 == 0 {
					send(pkt[0] + 1)
				}
				got <- pkt[0]
				return more
			})
		}()
		for i := range byte(100) {
			if i > 0 && i%2 == 0 {
				send(i)
			}
			if b := <-got; b != i {
				t.Fatalf("more %v: datagram %d, want %d", more, b, i)
			}
		}
		if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("more %v: Each past its deadline: %v", more, err)
		}
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		go func() { ended <- each(c, make([]byte, 10), func([]byte) bool { return more }) }()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("more %v: Each of a closed socket: %v", more, err)
		}
	}
}

// One system call reads an answer; none finds out that no other is there.
func TestPrompt_Each_readsOnce(t *testing.T) {
	p := newPool(t)
	p.socketUses = 1 << 30
	e := p.Exchanger([]netip.AddrPort{echo(t)}, patient)
	const asked = 1000
	var before int
	for i := range asked + 100 {
		if i == 100 { // the sockets are open
			before = reads(t)
		}
		if o := e.Exchange(t.Context(), question(t, "9.2.0.192.bl.example", dns.TypeA)); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if n := reads(t) - before; n > asked*11/10 {
		t.Errorf("%d calls of read for %d answers", n, asked)
	}
}

// reads returns how often this process has called read.
func reads(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text[bytes.Index(text, []byte("syscr")):]), "syscr: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Each ends with the ICMP error that a closed port answers with.
func TestPrompt_Each_refused(t *testing.T) {
	server, c := connected(t)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := each(c, make([]byte, 10), func([]byte) bool { return true }); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Each after a refusal: %v", err)
	}
}
