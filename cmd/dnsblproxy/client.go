package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/cmd/dnsblproxy/internal/doctor"
)

// errNoServer means that no server of ours answers at the admin address of
// the configuration.
var errNoServer = errors.New("no server answers")

// client asks the running server by its API.
type client struct {
	base  url.URL
	token string
	http  *http.Client
}

// aliveTime is how long a server may take to say that it is alive. One that
// hangs takes the connection, and would be waited for as for a long answer.
const aliveTime = 5 * time.Second

// running is the server of the configuration, or errNoServer.
func running(ctx context.Context, c *config.Config) (*client, error) {
	cl, err := newClient(c)
	if err != nil {
		return nil, err
	}
	return cl, cl.alive(ctx)
}

// askRunning asks the server of the configuration one thing.
func askRunning(ctx context.Context, c *config.Config, name string, query url.Values, into any) error {
	cl, err := running(ctx, c)
	if err != nil {
		return err
	}
	return cl.get(ctx, name, query, into)
}

// newClient finds the server by the configuration. It is errNoServer when
// admin is off.
func newClient(c *config.Config) (*client, error) {
	addr := c.Admin.Listen
	if !addr.IsValid() {
		return nil, fmt.Errorf("%w (admin.listen is off)", errNoServer)
	}
	// A log has thousands of addresses to ask about. No proxy of the environment.
	transport := &http.Transport{MaxIdleConnsPerHost: lookupsAtOnce}
	cl := &client{
		base:  url.URL{Scheme: "http", Host: doctor.Reachable(addr).String()},
		token: c.Admin.Token.Reveal(),
		http:  &http.Client{Transport: transport, Timeout: time.Minute},
	}
	if c.Admin.TLSCert != "" {
		text, err := config.ReadFile(c.Admin.TLSCert)
		if err != nil {
			return nil, err
		}
		cl.base.Scheme = "https"
		transport.TLSClientConfig = pinned(text)
	}
	return cl, nil
}

// pinned trusts the one certificate of the configuration: it is our own
// server, whatever name the certificate is for and whoever has signed it.
func pinned(pemText []byte) *tls.Config {
	block, rest := pem.Decode(pemText)
	for block != nil && block.Type != "CERTIFICATE" { // the key may stand above
		block, rest = pem.Decode(rest)
	}
	return &tls.Config{
		InsecureSkipVerify: true, // VerifyPeerCertificate compares the whole certificate
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if block == nil || len(raw) == 0 || !bytes.Equal(raw[0], block.Bytes) {
				return errors.New("the server has another certificate than admin.tls_cert")
			}
			return nil
		},
	}
}

// alive is errNoServer if nobody answers.
func (cl *client) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, aliveTime, fmt.Errorf("it is silent for %v", aliveTime))
	defer cancel()
	resp, err := cl.ask(ctx, "/healthz", nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// ask sends one question. The caller closes the body.
func (cl *client) ask(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	u := cl.base
	u.Path, u.RawQuery = path, query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if cl.token != "" {
		req.Header.Set("Authorization", "Bearer "+cl.token)
	}
	resp, err := cl.http.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) { // its text repeats the address with the question
			err = ue.Err
		}
		return nil, fmt.Errorf("%w at %s: %w", errNoServer, cl.base.Host, err)
	}
	return resp, nil
}

// get asks /api/v1/NAME and decodes the answer.
func (cl *client) get(ctx context.Context, name string, query url.Values, into any) error {
	return cl.read(ctx, name, query, func(answer *json.Decoder) error { return answer.Decode(into) })
}

// each asks /api/v1/NAME for an array, however long, and hands on one element
// after the other.
func each[T any](ctx context.Context, cl *client, name string, f func(T)) error {
	return cl.read(ctx, name, nil, func(answer *json.Decoder) error {
		if begin, err := answer.Token(); err != nil || begin != json.Delim('[') {
			return cmp.Or(err, errors.New("it sends no array"))
		}
		for answer.More() {
			var v T
			if err := answer.Decode(&v); err != nil {
				return err
			}
			f(v)
		}
		_, err := answer.Token()
		return err
	})
}

// read asks /api/v1/NAME and hands the answer on.
func (cl *client) read(ctx context.Context, name string, query url.Values, decode func(*json.Decoder) error) error {
	resp, err := cl.ask(ctx, "/api/v1/"+name, query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := json.NewDecoder(resp.Body)
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return fmt.Errorf("the server at %s was started with another admin.token than this configuration has; restart it", cl.base.Host)
	default:
		var refusal struct{ Error string }
		if answer.Decode(&refusal) != nil || refusal.Error == "" {
			refusal.Error = resp.Status
		}
		return fmt.Errorf("the server at %s says: %s", cl.base.Host, refusal.Error)
	}
	err = decode(answer)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body) // the connection is used again
	}
	if err == nil {
		return nil
	}
	if _, network := errors.AsType[net.Error](err); network || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("asking the server at %s: %w", cl.base.Host, err)
	}
	return fmt.Errorf("what answers at %s is no server of ours: %w", cl.base.Host, err)
}
