package config

import (
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Options is what Load needs from outside. Apart from Syntax the zero value
// reads this machine's environment, interfaces and /etc/resolv.conf.
type Options struct {
	Syntax

	Flag       string                               // that names the file; "": --config
	ReadFile   func(path string) ([]byte, error)    // of the configuration itself; nil: os.ReadFile, pipes too
	LookupEnv  func(name string) (string, bool)     // nil: os.LookupEnv
	ResolvConf string                               // "": /etc/resolv.conf
	LocalAddrs func() ([]netip.Addr, error)         // nil: those of the interfaces
	Inherited  []netip.AddrPort                     // the sockets behind "systemd", where they are known
	LookPath   func(command string) (string, error) // nil: exec.LookPath
	Readable   func(path string) error              // nil: [Readable]
	Now        func() time.Time                     // nil: time.Now
}

// Syntax holds the checks of those who own a syntax. Each returns nil or an
// error worded "what is wrong; what to write instead".
type Syntax struct {
	Codes   func(s string) error // one element of listed and no_override, or what follows "zone=" in weights
	Prefix  func(s string) error // one element of cidr
	Watched func(s string) error // one element of a watch's cidr
	Domain  func(s string) error // a domain name, lower case, without a trailing dot
	JQ      func(s string) error // a jq filter
	Feed    func(u *Rule) error  // a rule's url, of which the error shows no key
	Shared  func(s string) error // the url of cache.shared, likewise
	Weights func(z *Zone) error  // a combined zone's weights and threshold, good each by itself; may be several errors, joined

	// WellKnown finds the list by what it is asked, keyed forms too.
	WellKnown func(upstream string) Known
}

// Known is what the table of well-known lists says of one. The zero value is
// a list that it does not have.
type Known struct {
	Name  string   // without a key
	Kind  string   // block or allow
	Holds []string // of ip4, ip6, domain
	Dead  string   // since when and why, when the list is no more
}

func (o Options) withDefaults() Options {
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	if o.LocalAddrs == nil {
		o.LocalAddrs = localAddrs
	}
	if o.LookPath == nil {
		o.LookPath = exec.LookPath
	}
	if o.Readable == nil {
		o.Readable = Readable
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Readable opens the file: permissions alone do not tell.
func Readable(path string) error {
	f, err := openRegular(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// ReadFile reads a file that is [Readable].
func ReadFile(path string) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// openRegular opens a regular file: a pipe that nobody writes to would never be
// open, and a device has no end.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = &os.PathError{Op: "read", Path: path, Err: errFolder}
	case !info.Mode().IsRegular():
		err = &os.PathError{Op: "read", Path: path, Err: errIrregular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func localAddrs() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				addrs = append(addrs, ip.Unmap())
			}
		}
	}
	return addrs, nil
}

// nameserver is one line of resolv.conf.
type nameserver struct {
	addr netip.AddrPort
	line int
}

// resolvConf reads the name servers as resolv.conf(5) says: the first three
// count, and without any it is the local machine.
func resolvConf(text string) []nameserver {
	var found []nameserver
	line := 0
	for s := range strings.Lines(text) {
		line++
		words := strings.Fields(s)
		if len(words) < 2 || words[0] != "nameserver" || len(found) == 3 {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil {
			found = append(found, nameserver{netip.AddrPortFrom(a.Unmap(), 53), line})
		}
	}
	if len(found) == 0 {
		return []nameserver{{netip.MustParseAddrPort("127.0.0.1:53"), 0}}
	}
	return found
}

// readResolvConf is resolvConf for a file. An unreadable one means the local
// machine, as it does for every other program.
func readResolvConf(path string) []nameserver {
	text, _ := ReadFile(path)
	return resolvConf(string(text))
}

// Follow returns c with the name servers that resolv.conf names now, beside an
// *Error if one of them is our own listener. It returns c itself when these are
// the same, when [resolver] has servers, and when the file names none: it may be
// just being written.
func (c *Config) Follow(o Options) (*Config, error) {
	r := &reader{Options: o.withDefaults(), file: c.Path}
	found := readResolvConf(r.ResolvConf)
	if len(c.Resolver.Servers) > 0 || found[0].line == 0 {
		return c, nil
	}
	next := *c
	next.Nameservers = nil
	r.c = &next
	r.systemServers(found)
	if slices.Equal(next.Nameservers, c.Nameservers) {
		return c, nil
	}
	return &next, Join(r.problems)
}
