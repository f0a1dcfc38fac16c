// Package rdns judges the reverse DNS of an address, as a blocklist would: a
// server that sends mail should have a name, and the name should lead back.
//
//	verdict, ttl, err := rdns.Check(ctx, netip.MustParseAddr("192.0.2.1"), resolver)
//	if err == nil && verdict.Code != 0 {
//		// listed; verdict.Text() tells the sender's administrator what to do
//	}
//
// A name leads back whose A or AAAA records hold the address. Listed is an address
// without a name (127.0.0.2), or with names of which none leads back (127.0.0.3),
// unless these are more than anyone may be made to ask for. The package errs on
// the side of the sender: a name that cannot be resolved might be the good one,
// so a timeout or SERVFAIL is an error and never a listing.
//
// Classless delegation (RFC 2317) needs nothing here: the Resolver follows
// CNAME records. The package does no I/O of its own, caches nothing, and does
// not know the test entries of RFC 5782, section 5.
package rdns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"dnsblproxy/resolver/rbl"
)

// Types of the questions that Check asks (RFC 1035, section 3.2.2, and
// RFC 3596, section 2.1).
const (
	TypeA    uint16 = 1
	TypePTR  uint16 = 12
	TypeAAAA uint16 = 28
)

// Answer is what DNS says about one name and type. A name that does not exist,
// or has no record of the type, is an Answer without records.
type Answer struct {
	Names []string     // of PTR records, with or without the final dot
	Addrs []netip.Addr // of A and AAAA records
	TTL   uint32       // seconds: the least of the records and of the CNAMEs before them, or how long the absence holds
}

// Resolver asks recursive DNS. The name is text with a final dot. It follows
// CNAMEs, gives up when ctx ends, and returns an error for everything but an
// answer: timeout, SERVFAIL, REFUSED. It is called from several goroutines.
type Resolver interface {
	Lookup(ctx context.Context, name string, qtype uint16) (Answer, error)
}

// MaxNames is how many names of one address are asked for. More are not judged:
// whoever owns the reverse zone could make us ask for any number.
const MaxNames = 10

// Codes of the listings.
const (
	CodeNameless    rbl.Code = 0x7f000002 // 127.0.0.2
	CodeUnconfirmed rbl.Code = 0x7f000003 // 127.0.0.3
)

// Verdict is what Check found.
type Verdict struct {
	Addr  netip.Addr // unmapped
	Code  rbl.Code   // of the listing; 0 when the address is not listed
	Names []string   // of the address, in lower case with a final dot, each once
}

// Check looks at the reverse DNS of addr. An IPv4-mapped address is judged as
// IPv4. ttl, in seconds, is the least of the answers that took part. Check
// returns when all of its questions have come to an end; it stops them once
// the verdict is clear.
func Check(ctx context.Context, addr netip.Addr, r Resolver) (v Verdict, ttl uint32, err error) {
	v.Addr = addr.Unmap().WithZone("")
	if !v.Addr.IsValid() {
		return v, 0, errors.New("no address to check")
	}
	name := Name(v.Addr)
	ptr, err := r.Lookup(ctx, name, TypePTR)
	if err != nil {
		return v, 0, fmt.Errorf("asking PTR of %s: %w", name, err)
	}
	v.Names = distinct(ptr.Names)
	switch n := len(v.Names); {
	case n == 0:
		v.Code = CodeNameless
		return v, ptr.TTL, nil
	case n > MaxNames:
		return v, ptr.TTL, nil
	}
	return confirm(ctx, v, ptr.TTL, r)
}

// distinct folds names and drops repeated ones.
func distinct(names []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, name := range names {
		if name = fold(strings.TrimSuffix(name, ".")) + "."; !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// fold lowers ASCII letters only: other bytes of a name have no case
// (RFC 4343, section 3).
func fold(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// forward is what one name resolves to.
type forward struct {
	name string
	ans  Answer
	err  error
}

// confirm asks for all names at once and waits for the first that leads back.
func confirm(ctx context.Context, v Verdict, ttl uint32, r Resolver) (Verdict, uint32, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // before the wait

	qtype := TypeA
	if v.Addr.Is6() {
		qtype = TypeAAAA
	}
	results := make(chan forward, len(v.Names))
	asked := 0
	for _, name := range v.Names {
		if name == "." { // a way to say that there is no name
			continue
		}
		asked++
		wg.Go(func() {
			ans, err := r.Lookup(ctx, name, qtype)
			results <- forward{name, ans, err}
		})
	}
	var failed error
	least := ttl
	for range asked {
		f := <-results
		if f.err != nil {
			failed = fmt.Errorf("asking for the address of %q: %w", f.name, f.err)
			continue
		}
		if slices.ContainsFunc(f.ans.Addrs, func(a netip.Addr) bool { return a.Unmap() == v.Addr }) {
			return v, min(ttl, f.ans.TTL), nil
		}
		least = min(least, f.ans.TTL)
	}
	if failed != nil { // that one may lead back
		return v, 0, failed
	}
	v.Code = CodeUnconfirmed
	return v, least, nil
}

// Name returns the name that holds an address's PTR records, with a final dot:
// below in-addr.arpa (RFC 1035, section 3.5) or ip6.arpa (RFC 3596, section
// 2.5).
func Name(addr netip.Addr) string {
	zone := "ip6.arpa."
	if addr = addr.Unmap(); addr.Is4() {
		zone = "in-addr.arpa."
	}
	return rbl.AddrSubject(addr).Name(zone)
}
