package admin

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// pair is a certificate that follows its files, so that a renewal needs no
// restart. A renewal that is broken leaves the last good one in use, and is a
// line in the log: nobody would know before it runs out.
type pair struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex
	cert   *tls.Certificate
	stamps [2]time.Time // modification times of what cert was read from
	broken [2]time.Time // likewise, of what was reported last
}

func newPair(certFile, keyFile string, log *slog.Logger) (*pair, error) {
	p := &pair{certFile: certFile, keyFile: keyFile, log: log}
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
		cert, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
		switch {
		case err == nil:
			p.cert, p.stamps = &cert, now
		case now != p.broken:
			p.broken = now
			p.log.Warn("admin certificate not renewed; the one before stays in use", slog.Any("error", err))
		}
	}
	return p.cert, nil
}
