package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

// testOptions stands for the packages that own the syntaxes. Its checks are
// no more than the tests here need.
func testOptions(t testing.TB) Options {
	t.Helper()
	env := map[string]string{"KEY": "abcd1234", "SPACED": "a b", "EMPTY": "", "SECRET": "hush"}
	return Options{
		Syntax:     Syntax{Codes: testCodes, Prefix: testPrefix, Watched: testPrefix, Domain: testDomain, JQ: testJQ, Feed: testFeed, Shared: testShared, WellKnown: testKnown, Weights: func(*Zone) error { return nil }},
		LookupEnv:  func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		ResolvConf: "resolv.conf",
		LocalAddrs: func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("10.1.2.3")}, nil },
		LookPath:   func(command string) (string, error) { return command, nil },
		Now:        func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) },
	}
}

func testCodes(s string) error {
	first, last, isRange := strings.Cut(s, "-")
	a, err := netip.ParseAddr(first)
	b := a
	if err == nil && isRange {
		b, err = netip.ParseAddr(last)
	}
	switch {
	case err != nil || a.As4()[0] != 127:
		return fmt.Errorf("%q is no set of codes; write \"127.0.0.2\"", s)
	case b.Less(a):
		return fmt.Errorf("%q runs backwards; write \"%s-%s\"", s, b, a)
	}
	return nil
}

func testPrefix(s string) error {
	if first, last, ok := strings.Cut(s, "-"); ok {
		a, errA := netip.ParseAddr(first)
		b, errB := netip.ParseAddr(last)
		if errA == nil && errB == nil && b.Less(a) {
			return fmt.Errorf("%q runs backwards; write \"%s-%s\"", s, b, a)
		}
		return errors.Join(errA, errB)
	}
	_, err := clientPrefix(s)
	return err
}

var testDomainPattern = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)

func testDomain(s string) error {
	if !testDomainPattern.MatchString(s) {
		return fmt.Errorf("%q is no domain name; write one such as \"example.com\"", s)
	}
	return nil
}

func testJQ(s string) error {
	if strings.Count(s, "[") != strings.Count(s, "]") {
		return fmt.Errorf("%q is no jq filter; close the bracket", s)
	}
	return nil
}

func testFeed(u *Rule) error {
	if !strings.HasPrefix(u.URL.Reveal(), "https://") && !u.Insecure {
		return errors.New("it is not encrypted; write https://")
	}
	return nil
}

func testShared(s string) error {
	if !strings.HasPrefix(s, "redis://") {
		return errors.New("no URL of a server; write \"redis://127.0.0.1:6379/0\"")
	}
	return nil
}

func testKnown(upstream string) Known {
	switch {
	case strings.HasSuffix(upstream, "dnsbl.dead.example"):
		return Known{Name: "dnsbl.dead.example", Kind: "block", Dead: "closed on 2024-06-05, now lists everything"}
	case upstream == "list.dnswl.example":
		return Known{Name: upstream, Kind: "allow"}
	case strings.HasSuffix(upstream, ".dq.known.example"):
		return Known{Name: "bl.known.example", Kind: "block"}
	}
	return Known{}
}
