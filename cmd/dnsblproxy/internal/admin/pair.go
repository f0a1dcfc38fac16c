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
	readFile          func(path string) ([]byte, error)
	log               *slog.Logger

	mu     sync.Mutex
	cert   *tls.Certificate
	stamps [2]time.Time // modification times of what cert was read from
	broken [2]time.Time // likewise, of what was reported last
}

func newPair(o Options) (*pair, error) {
	p := &pair{certFile: o.TLSCert, keyFile: o.TLSKey, readFile: o.ReadFile, log: o.Log}
	p.stamps = p.stat()
	cert, err := p.load()
	if err != nil {
		return nil, fmt.Errorf("reading tls_cert and tls_key: %w", err)
	}
	p.cert = &cert
	return p, nil
}

func (p *pair) load() (tls.Certificate, error) {
	cert, err := p.readFile(p.certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := p.readFile(p.keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
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
		cert, err := p.load()
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
