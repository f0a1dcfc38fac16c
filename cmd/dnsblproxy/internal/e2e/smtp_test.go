package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// smtpTimeout bounds a whole session: postscreen's greeting pause and the
// proxy's deadline for each list fit in.
const smtpTimeout = time.Minute

// accepts is a readiness check: the server takes connections.
func accepts(server netip.AddrPort) func() error {
	return func() error {
		conn, err := net.DialTimeout("tcp", server.String(), time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	}
}

// deliver hands a message from the client address to smtpd, which believes
// the address by XCLIENT, and returns the reply that decided: the first one
// that refuses, else the one to the end of the message.
func (p *Postfix) deliver(t testing.TB, client string) string {
	t.Helper()
	addr := client
	if netip.MustParseAddr(client).Is6() {
		addr = "IPV6:" + client
	}
	reply, err := session(p.SMTPD, "", "EHLO client.example.net", "XCLIENT ADDR="+addr+" NAME=[UNAVAILABLE]", "EHLO client.example.net")
	if err != nil {
		t.Fatalf("smtp session as %s: %v", client, err)
	}
	return reply
}

// deliverScreened does the same through postscreen, which believes the
// address by the PROXY protocol.
func (p *Postfix) deliverScreened(t testing.TB, client string) string {
	t.Helper()
	reply, err := session(p.Screen, proxyHeader(client), "EHLO client.example.net")
	if err != nil {
		t.Fatalf("smtp session as %s: %v", client, err)
	}
	return reply
}

// proxyHeader claims a connection from client (PROXY protocol, version 1).
func proxyHeader(client string) string {
	family, server := "TCP4", "198.51.100.25"
	if netip.MustParseAddr(client).Is6() {
		family, server = "TCP6", "2001:db8::25"
	}
	return fmt.Sprintf("PROXY %s %s %s 40000 25\r\n", family, client, server)
}

// session sends the header before anything else, then the opening commands,
// then a message.
func session(server netip.AddrPort, header string, opening ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", server.String(), clientTimeout)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(smtpTimeout)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte(header)); err != nil {
		return "", err
	}
	text := textproto.NewConn(conn)
	if code, line, err := text.ReadResponse(220); err != nil {
		return reply(code, line), nil
	}
	commands := append(opening, "MAIL FROM:<sender@example.net>", "RCPT TO:<user@example.org>", "DATA",
		"Subject: a test\r\n\r\nHello.\r\n.")
	var last string
	for _, command := range commands {
		if err := text.PrintfLine("%s", command); err != nil {
			return last, fmt.Errorf("%q: %w", command, err)
		}
		code, line, err := text.ReadResponse(0)
		last = reply(code, line)
		if code == 0 && err != nil {
			return last, fmt.Errorf("%q: %w", command, err)
		}
		if code >= 400 {
			break
		}
	}
	text.PrintfLine("QUIT")
	return last, nil
}

func reply(code int, line string) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, line))
}

// accepted fails the test unless the reply takes the message.
func accepted(t testing.TB, client, reply string) {
	t.Helper()
	if !strings.HasPrefix(reply, "250 ") {
		t.Errorf("mail from %s: %q, want it accepted", client, reply)
	}
}

// rejected fails the test unless the reply is a permanent refusal that holds
// all of the texts.
func rejected(t testing.TB, client, reply string, texts ...string) {
	t.Helper()
	if !strings.HasPrefix(reply, "55") {
		t.Errorf("mail from %s: %q, want it rejected", client, reply)
		return
	}
	for _, text := range texts {
		if !strings.Contains(reply, text) {
			t.Errorf("mail from %s: %q, want %q in it", client, reply, text)
		}
	}
}
