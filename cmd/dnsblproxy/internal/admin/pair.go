package admin

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// pair is a certificate that follows its files, so that a renewal needs no
// restart. A renewal that is broken leaves the last good one in use.
type pair struct {
	certFile, keyFile string

	mu     sync.Mutex
	cert   *tls.Certificate
	stamps [2]time.Time // modification times of what cert was read from
}

func newPair(certFile, keyFile string) (*pair, error) {
	p := &pair{certFile: certFile, keyFile: keyFile}
	p.stamps = p.stat()
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("reading tls_cert and tls_key: %w", err)
	}
	p.cert = &cert
	return p, nil
}

func (p *pair) stat() (stamps [2]time.Time) {
	for i, name := range []string{p.certFile, p.keyFile} {
		if info, err := os.Stat(name); err == nil {
			stamps[i] = info.ModTime()
		}
	}
	return stamps
}

// get is tls.Config.GetCertificate.
func (p *pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.stat(); now != p.stamps {
		if cert, err := tls.LoadX509KeyPair(p.certFile, p.keyFile); err == nil {
			p.cert, p.stamps = &cert, now
		}
	}
	return p.cert, nil
}
