package upstream

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestPrompt holds a prompt socket to what other code expects of a net.Conn:
// whole datagrams, deadlines, refusals, and an end to a pending Read by Close.
func TestPrompt(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	at := server.LocalAddr().(*net.UDPAddr).AddrPort()
	c, err := systemNetwork{}.DialUDP(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	if err != nil {
		t.Fatal(err)
	}
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
