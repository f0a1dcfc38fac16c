package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"dnsblproxy/overrides/spf"
	"dnsblproxy/resolver/rbl"
	"dnsblproxy/resolver/upstream"
)

// dnsResolver answers the questions of SPF records and of rules by way of
// resolver/upstream, the one sender of DNS questions. A reload may exchange it.
type dnsResolver func() *upstream.Exchanger

// Response code 3, RFC 1035, section 4.1.1.
const rcodeNXDomain = 3

var errRData = errors.New("a record of the answer is damaged")

// Lookup implements spf.Resolver.
func (d dnsResolver) Lookup(ctx context.Context, name string, t spf.Type) (spf.Answer, error) {
	// A macro of SPF may have put any bytes but a dot into a label.
	wire, err := rbl.AppendName(nil, name)
	if err != nil {
		return spf.Answer{}, fmt.Errorf("%q is no domain name: %w", name, err)
	}
	o := d().Exchange(ctx, upstream.Question{Name: wire, Type: uint16(t)})
	if o.Err != nil {
		return spf.Answer{}, fmt.Errorf("asking %s: %w", o.Server, o.Err)
	}
	a := spf.Answer{
		TTL:      time.Duration(o.Response.TTL) * time.Second,
		NXDOMAIN: o.Response.Rcode == rcodeNXDomain,
	}
	return a, fill(&a, t, o.Response.Records)
}

// fill reads the RDATA of the records.
func fill(a *spf.Answer, t spf.Type, records [][]byte) error {
	if t == spf.TypeMX { // by their preference, which comes first
		preference := func(data []byte) []byte { return data[:min(2, len(data))] }
		slices.SortStableFunc(records, func(a, b []byte) int { return bytes.Compare(preference(a), preference(b)) })
	}
	for _, data := range records {
		switch t {
		case spf.TypeA, spf.TypeAAAA:
			addr, ok := netip.AddrFromSlice(data)
			if !ok || addr.Is4() != (t == spf.TypeA) {
				return errRData
			}
			a.Addrs = append(a.Addrs, addr)
		case spf.TypeTXT:
			s, err := joined(data)
			if err != nil {
				return err
			}
			a.Strings = append(a.Strings, s)
		case spf.TypeMX, spf.TypePTR:
			if t == spf.TypeMX {
				data = data[min(2, len(data)):]
			}
			name, err := textName(data)
			if err != nil {
				return err
			}
			a.Hosts = append(a.Hosts, name)
		}
	}
	return nil
}

// joined puts the character-strings of a TXT record together without a space
// (RFC 7208, section 3.3).
func joined(data []byte) (string, error) {
	var b strings.Builder
	for len(data) > 0 {
		n := int(data[0])
		if len(data) < 1+n {
			return "", errRData
		}
		b.Write(data[1 : 1+n])
		data = data[1+n:]
	}
	return b.String(), nil
}

// textName is the inverse of rbl.AppendName, for names that are not compressed.
func textName(wire []byte) (string, error) {
	var labels []string
	for {
		if len(wire) == 0 {
			return "", errRData
		}
		n := int(wire[0])
		if n == 0 {
			return strings.Join(labels, "."), nil
		}
		if n > 63 || len(wire) < 1+n {
			return "", errRData
		}
		labels = append(labels, string(wire[1:1+n]))
		wire = wire[1+n:]
	}
}
