package shared

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// freePort is a port that nobody listens at, and none of those that the kernel
// gives to others meanwhile.
func freePort(t testing.TB) int {
	t.Helper()
	for {
		port := 10000 + mathrand.N(20000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
}

// onPort is what a server needs to listen on loopback.
func onPort(port int) []string {
	return []string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--protected-mode", "no"}
}

// TestCache_tcp: the usual server, with a user, a password and a database.
func TestCache_tcp(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	s := startRedis(t, append(onPort(port), "--user", "proxy", "on", ">let me in", "~dnsblproxy:*", "+getrange", "+set", "+select", "+ping")...)
	a := ready(t, fmt.Sprintf("redis://proxy:let%%20me%%20in@127.0.0.1:%d/3", port))
	a.gives(a, "q", "data", 300)
	if got := s.do("INFO", "keyspace"); !strings.Contains(got, "db3:keys=1,") {
		t.Errorf("the key is not in database 3: %q", got)
	}
}

// TestCache_tls: by rediss:// the server has to show a certificate that the
// machine trusts, unless the URL says otherwise.
func TestCache_tls(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	cert, key := certificate(t)
	startRedis(t, append(onPort(0), "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "no")...)
	url := fmt.Sprintf("rediss://127.0.0.1:%d", port)
	a := ready(t, url+"?skip_verify=true")
	a.gives(a, "q", "data", 300)
	b := openClient(t, url)
	eventually(t, "the certificate to be refused", func() bool { return strings.Contains(b.log.String(), "certificate") })
	if got := b.get("q"); got != "not asked" {
		t.Errorf("behind a certificate that nobody knows there is %q", got)
	}
}

// certificate makes one for 127.0.0.1 that signs itself.
func certificate(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"},
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert"), filepath.Join(dir, "key")
}

// TestCache_cluster: a cluster is found by one of its nodes, and knows which
// node has what.
func TestCache_cluster(t *testing.T) {
	t.Parallel()
	ports := []int{freePort(t), freePort(t)}
	var nodes []*redisServer
	for i, port := range ports {
		n := startRedis(t, append(onPort(port), "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(freePort(t)))...)
		if i == 0 {
			n.do("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
		} else {
			n.do("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
		}
		n.do("CONFIG", "SET", "cluster-require-full-coverage", "no")
		nodes = append(nodes, n)
	}
	bus := strings.TrimSpace(nodes[0].do("CONFIG", "GET", "cluster-port"))
	nodes[1].do("CLUSTER", "MEET", "127.0.0.1", fmt.Sprint(ports[0]), strings.Fields(bus)[1])
	for _, n := range nodes {
		eventually(t, "the cluster to meet", func() bool {
			info := n.do("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_assigned:16384")
		})
	}
	a := ready(t, fmt.Sprintf("redis://127.0.0.1:%d?addr=127.0.0.1:%d", ports[0], ports[1]))
	b := ready(t, fmt.Sprintf("redis://127.0.0.1:%d", ports[1]))
	for i := range 20 {
		q := fmt.Sprintf("q%d", i)
		a.gives(b, q, q, 300)
	}
	for _, n := range nodes {
		if n.do("DBSIZE") == "0" {
			t.Error("one node has all the keys")
		}
	}
}

// TestCache_sentinel: the Sentinels name the server, and after it has died
// the next one.
func TestCache_sentinel(t *testing.T) {
	t.Parallel()
	ports := []int{freePort(t), freePort(t), freePort(t)}
	user := []string{"--user", "proxy", "on", ">secret", "~dnsblproxy:*", "+getrange", "+set", "+select", "+ping", "+role"}
	master := startRedis(t, append(onPort(ports[0]), user...)...)
	replica := startRedis(t, slices.Concat(onPort(ports[1]), user, []string{"--replicaof", "127.0.0.1", fmt.Sprint(ports[0])})...)
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	err := os.WriteFile(conf, fmt.Appendf(nil, `sentinel monitor mail 127.0.0.1 %d 1
sentinel down-after-milliseconds mail 500
sentinel failover-timeout mail 2000
`, ports[0]), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	sentinel := startRedisFrom(t, conf, append(onPort(ports[2]), "--sentinel")...)
	// One whose machine stands still only looks on for half a minute after it.
	sentinel.do("SENTINEL", "DEBUG", "TILT-TRIGGER", "600000")
	eventually(t, "the replica to be known", func() bool {
		return strings.Contains(sentinel.do("SENTINEL", "REPLICAS", "mail"), fmt.Sprint(ports[1])) &&
			strings.Contains(replica.do("INFO", "replication"), "master_link_status:up")
	})
	// The first one named is not there.
	a := ready(t, fmt.Sprintf("redis://proxy:secret@127.0.0.1:%d?addr=127.0.0.1:%d&master_set=mail", freePort(t), ports[2]))
	a.gives(a, "q", "data", 300)
	master.kill()
	eventually(t, "the replica to take over", func() bool {
		a.Set([]byte("r"), "data", 300)
		return strings.HasPrefix(a.get("r"), "data ")
	})
}
