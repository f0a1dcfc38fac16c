package load

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// TestPlay has a server answer some questions, refuse some, and keep silent
// about the rest.
func TestPlay(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	order := make(chan byte, 9)
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			order <- buf[1]
			buf[2], buf[3] = 0x80, []byte{0, 3, 5}[buf[1]%3]
			if buf[1] < 6 {
				_, _ = c.WriteToUDPAddrPort(buf[:n], from)
			}
		}
	}()
	var all []Due
	for i := range 9 {
		all = append(all, Due{At: time.Duration(8-i) * time.Millisecond, Zone: NewZone("z"), Addr: uint32(i), Type: TypeA})
	}
	addr := c.LocalAddr().(*net.UDPAddr).AddrPort()
	lost, err := Play(t.Context(), addr, all)
	if err != nil || lost != 5 { // two refused, three without an answer
		t.Errorf("%d lost, %v; want 5", lost, err)
	}
	for i := range 9 {
		if got := <-order; got != byte(i) || all[i].Addr != uint32(8-i) {
			t.Errorf("question %d came as number %d, about %d", got, i, all[i].Addr)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Play(ctx, addr, []Due{{At: time.Hour, Zone: NewZone("z")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Play to the end of its context: %v", err)
	}
}
