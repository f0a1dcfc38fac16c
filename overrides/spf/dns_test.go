package spf

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// fakeDNS answers from memory. A name that is not in it does not exist.
type fakeDNS struct {
	names map[string]*fakeName // lower case, no trailing dot
	asked map[question]int
}

type fakeName struct {
	txt   []string
	addrs []netip.Addr
	mx    []string
	ptr   []string
	cname string
	fails bool // whatever is not there times out
	ttl   time.Duration
}

var errFake = errors.New("fake timeout")

func newFakeDNS() *fakeDNS {
	return &fakeDNS{names: make(map[string]*fakeName), asked: make(map[question]int)}
}

func (d *fakeDNS) at(name string) *fakeName {
	name = queryName(name)
	n := d.names[name]
	if n == nil {
		n = &fakeName{ttl: time.Hour}
		d.names[name] = n
	}
	return n
}

// zone reads lines "name TYPE value"; TXT values run to the end of the line.
func zone(text string) *fakeDNS {
	d := newFakeDNS()
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(f) < 2 {
			continue
		}
		n := d.at(f[0])
		switch f[1] {
		case "TXT":
			n.txt = append(n.txt, f[2])
		case "A", "AAAA":
			n.addrs = append(n.addrs, netip.MustParseAddr(f[2]))
		case "MX":
			n.mx = append(n.mx, f[2])
		case "PTR":
			n.ptr = append(n.ptr, f[2])
		case "CNAME":
			n.cname = f[2]
		case "TTL":
			ttl, err := time.ParseDuration(f[2])
			if err != nil {
				panic(err)
			}
			n.ttl = ttl
		case "FAIL":
			n.fails = true
		default:
			panic(line)
		}
	}
	return d
}

func (d *fakeDNS) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	if name != queryName(name) || !askable(name) {
		panic("asked for a bad name: " + name)
	}
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	d.asked[question{name, t}]++
	for range 8 {
		n := d.names[name]
		if n == nil {
			return Answer{NXDOMAIN: true, TTL: 5 * time.Minute}, nil
		}
		if n.cname != "" {
			name = queryName(n.cname)
			continue
		}
		return n.answer(t)
	}
	return Answer{}, errFake
}

func (n *fakeName) answer(t Type) (Answer, error) {
	a := Answer{TTL: n.ttl}
	switch t {
	case TypeTXT:
		a.Strings = n.txt
	case TypeMX:
		a.Hosts = n.mx
	case TypePTR:
		a.Hosts = n.ptr
	case TypeA, TypeAAAA:
		for _, x := range n.addrs {
			if x.Is4() == (t == TypeA) {
				a.Addrs = append(a.Addrs, x)
			}
		}
	}
	if n.fails && len(a.Strings) == 0 && len(a.Hosts) == 0 && len(a.Addrs) == 0 {
		return Answer{}, errFake
	}
	return a, nil
}
