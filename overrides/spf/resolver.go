package spf

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Type is a DNS record type, by its number in the protocol.
type Type uint16

// The record types that an evaluation asks for.
const (
	TypeA    Type = 1
	TypePTR  Type = 12
	TypeMX   Type = 15
	TypeTXT  Type = 16
	TypeAAAA Type = 28
)

// String returns the type's mnemonic.
func (t Type) String() string {
	names := map[Type]string{TypeA: "A", TypePTR: "PTR", TypeMX: "MX", TypeTXT: "TXT", TypeAAAA: "AAAA"}
	return names[t]
}

// Resolver answers one DNS question, following CNAME records.
//
// name is lower case and absolute, without the trailing dot. Its labels are
// raw bytes between the dots, never escaped: a macro may put a space or a
// percent sign into one. Each label has 1 to 63 bytes, the name at most 253.
//
// "No such name" and "no such record" are answers, not errors. Any error means
// that the question could not be answered for now (SERVFAIL, REFUSED, timeout,
// a damaged message) and becomes a temperror. Lookup is called from one
// goroutine at a time for each evaluation.
type Resolver interface {
	Lookup(ctx context.Context, name string, t Type) (Answer, error)
}

// Answer is what one DNS question gave. Its slices are not written to.
type Answer struct {
	// Strings has one element for each TXT record, its character-strings
	// joined without a space, RFC 7208, section 3.3.
	Strings []string
	// Addrs has the addresses of A or AAAA records.
	Addrs []netip.Addr
	// Hosts has the targets of MX records by preference, or of PTR records as
	// they came; with or without the trailing dot, raw like names asked.
	// A null MX (RFC 7505) is "" or ".".
	Hosts []string
	// TTL is the least TTL of the records, or the negative TTL of RFC 2308,
	// section 5, if there are none.
	TTL time.Duration
	// NXDOMAIN says that the name does not exist (RCODE 3).
	NXDOMAIN bool
}

// ErrBudget is what a Resolver returns that has no question left for anybody.
var ErrBudget = errors.New("no DNS questions left")
