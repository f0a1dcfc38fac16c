package shared

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// TestCache_oddServer: somebody between us and the server answers our questions.
// The client on its own ends the process at nearly each of these answers.
func TestCache_oddServer(t *testing.T) {
	s := startRedis(t)
	for _, answer := range []string{
		"$-5\r\n", "$9223372036854775807\r\n", "$18446744073709551611\r\n", "$99999999999\r\n", "$5\n", "$?\r\n;-1\r\n",
		"*-3\r\n", "*9999999999999\r\n", "%-9\r\n", "%-1\r\n", "~-7\r\n", "|-2\r\n", "!-2\r\n", "=-2\r\n", ">-2\r\n",
		"+OK\r\n+OK\r\n+OK\r\n", "-ERR idle\r\n-ERR idle\r\n-ERR idle\r\n", "*2\r\n$1\r\n*\r\n_\r\n_\r\n_\r\n",
		">2\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n", "_x$-5\r\n", "#txx$-5\r\n", ":\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n",
		strings.Repeat("*1\r\n", 1000), strings.Repeat("*2\r\n+\r\n", 1000), "+" + strings.Repeat("x", maxMessage),
	} {
		t.Run(fmt.Sprintf("%.20q", answer), func(t *testing.T) {
			c := openClient(t, "redis://"+between(t, s.socket, "GETRANGE", answer))
			eventually(t, "the server to be left alone", func() bool { return strings.Contains(c.log.String(), "does not keep to its protocol") })
		})
	}
}

// TestCache_oddSentinel: likewise between us and a Sentinel, or the server that it
// names.
func TestCache_oddSentinel(t *testing.T) {
	s := startRedis(t)
	names := func(at string) string {
		host, port, _ := strings.Cut(at, ":")
		return fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(host), host, len(port), port)
	}
	for _, tt := range []struct{ answer, role, why string }{
		{"*0\r\n", "", "does not name the server"},
		{"*-1\r\n", "", "does not name the server"},
		{"*1\r\n$1\r\nx\r\n", "", "does not name the server"},
		{"*2\r\n:1\r\n:2\r\n", "", "reason="},
		{"+OK\r\n", "", "reason="},
		{"*0\r\n*0\r\n", "", "does not keep to its protocol"},
		{">3\r\n$7\r\nmessage\r\n$9\r\n+sentinel\r\n$1\r\nx\r\n", "", "does not keep to its protocol"},
		{"", "*0\r\n", "only follows another"},
		{"", "*1\r\n:1\r\n", "only follows another"},
		{"", "*2\r\n$5\r\nslave\r\n$1\r\nx\r\n", "only follows another"},
		{"", ":1\r\n", "reason="},
	} {
		t.Run(fmt.Sprintf("%.20q", tt.answer+tt.role), func(t *testing.T) {
			answer := tt.answer
			if answer == "" {
				answer = names(between(t, s.socket, "ROLE", tt.role))
			}
			c := openClient(t, "redis://"+between(t, s.socket, "GET-MASTER", answer)+"?master_set=mail")
			eventually(t, "the server to be left alone", func() bool { return strings.Contains(c.log.String(), tt.why) })
		})
	}
}

// TestCache_oddCluster: likewise what sends us to another node of a cluster.
func TestCache_oddCluster(t *testing.T) {
	s := startRedis(t)
	for _, answer := range []string{"-MOVED\r\n", "-MOVED 1\r\n", "-ASK\r\n", "-ASKED for\r\n", "*1\r\n-MOVED\r\n"} {
		t.Run(fmt.Sprintf("%q", answer), func(t *testing.T) {
			host, port, _ := strings.Cut(between(t, s.socket, "GETRANGE", answer), ":")
			nodes := fmt.Sprintf("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$%d\r\n%s\r\n:%s\r\n", len(host), host, port)
			c := openClient(t, "redis://"+between(t, s.socket, "CLUSTER", nodes))
			eventually(t, "the server to be left alone", func() bool { return strings.Contains(c.log.String(), "does not keep to its protocol") })
		})
	}
}

// between listens and passes everything on to the server and back, but for what
// holds a word: that it answers itself.
func between(t *testing.T, socket, word, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", socket)
			if err != nil {
				client.Close()
				continue
			}
			go func() {
				io.Copy(client, server)
				client.Close()
			}()
			go func() {
				defer server.Close()
				b := make([]byte, 1<<16)
				for {
					n, err := client.Read(b)
					if err != nil {
						return
					}
					if bytes.Contains(b[:n], []byte(word)) {
						io.WriteString(client, answer)
					} else {
						server.Write(b[:n])
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
