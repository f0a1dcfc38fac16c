package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
)

var (
	errFolder    = errors.New("is a folder")
	errIrregular = errors.New("is no regular file")
)

// check applies the rules between keys. The order does not matter: problems
// are sorted by line.
func (r *reader) check() {
	c := r.c
	r.checkListen()
	r.checkAdmin()
	r.checkState()
	r.checkTimes()
	r.checkCache()
	r.checkResolver()
	if c.Dnstap.Socket != "" && c.Dnstap.File != "" {
		r.bad(place{"dnstap", "file"}, "dnstap has both a socket and a file", "keep one of them")
	}
	if len(c.Zones) == 0 && !r.reported(place{"zone"}) {
		r.bad(nil, "no zone at all", `write what the mail server asks, such as [zone."zen.spamhaus.org"]`)
	}
	for _, z := range c.Zones {
		r.checkZone(z)
	}
	for _, u := range c.Allow {
		r.checkRule(u, "allow")
		r.checkAllow(u)
	}
	for _, u := range c.Deny {
		r.checkRule(u, "deny")
		r.checkDeny(u)
	}
	r.checkDenied()
	for _, w := range c.Watch {
		r.checkWatch(w)
	}
}

// readable reports a file that cannot be opened.
func (r *reader) readable(path place, file string) {
	err := r.Readable(file)
	if err == nil {
		return
	}
	shown := r.c.Shown(file)
	instead := "name a file that the server may read"
	if rule := path[0] == "allow" || path[0] == "deny"; rule && errors.Is(err, fs.ErrNotExist) {
		// "allow add" would, but not before the configuration is right.
		instead = "create it (an empty one will do), or name another"
	}
	if shown != file {
		instead += "; relative paths start at the folder of the configuration"
	}
	r.bad(path, fmt.Sprintf("%s: reading %q: %v", dotted(path), shown, cause(err)), instead)
}

// cause is the error without the path, which the message has.
func cause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (r *reader) checkListen() {
	c := r.c
	if len(c.Listen) == 0 && !c.Systemd && !r.reported(place{"listen"}) {
		r.bad(place{"listen"}, "listen names no address", `write one, such as ["127.0.0.1:5353"]`)
	}
	if len(c.Clients) == 0 && !r.reported(place{"clients"}) {
		r.bad(place{"clients"}, "clients is empty, so that nobody may ask", `write who may, such as ["127.0.0.0/8", "::1"]`)
	}
	reach := slices.Concat(c.Listen, r.Inherited)
	public := ""
	for _, l := range reach {
		if !l.Addr().IsLoopback() {
			public = l.String()
		}
	}
	if public == "" && c.Systemd && len(r.Inherited) == 0 {
		public = "sockets of systemd"
	}
	if public == "" || !open(c.Clients...) {
		return
	}
	var whole []string
	for _, p := range c.Clients {
		if open(p) {
			whole = append(whole, p.String())
		}
	}
	r.bad(place{"clients"}, fmt.Sprintf("clients lets the whole internet (%s) ask a server on %s", cmp.Or(strings.Join(whole, ", "), "in parts"), public),
		"write the addresses of the mail servers; an open resolver is used for attacks and spends the lists' quota")
}

// open says whether prefixes hold together half of IPv4, or all of IPv6 that is
// in use.
func open(prefixes ...netip.Prefix) bool {
	shares := map[bool]float64{} // of the family that is IPv4, or is not
	for i, p := range prefixes {
		inside := slices.ContainsFunc(prefixes[:i], func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) }) ||
			slices.ContainsFunc(prefixes[i+1:], func(o netip.Prefix) bool { return o.Bits() < p.Bits() && o.Contains(p.Addr()) })
		if !inside {
			shares[p.Addr().Is4()] += math.Ldexp(1, -p.Bits())
		}
	}
	return shares[true] >= 1./2 || shares[false] >= 1./8
}

// checkState refuses a file. A folder that is not there yet is made by who
// writes into it first.
func (r *reader) checkState() {
	if info, err := os.Stat(r.c.State); r.c.State != "" && err == nil && !info.IsDir() {
		r.bad(place{"state"}, fmt.Sprintf("state: %q is no folder", r.c.Shown(r.c.State)), "name a folder that the server may write")
	}
}

func (r *reader) checkAdmin() {
	a := r.c.Admin
	path := place{"admin"}
	if (a.TLSCert == "") != (a.TLSKey == "") {
		key, other := "tls_cert", "tls_key"
		if a.TLSCert == "" {
			key, other = other, key
		}
		r.bad(path.at(key), fmt.Sprintf("admin has %s without %s", key, other), "write both, or neither")
	}
	for key, file := range map[string]string{"tls_cert": a.TLSCert, "tls_key": a.TLSKey} {
		if file != "" {
			r.readable(path.at(key), file)
		}
	}
	if t := a.Token.Reveal(); t != strings.TrimSpace(t) || strings.ContainsFunc(t, unicode.IsControl) {
		r.bad(path.at("token"), "admin.token has a blank at an end, or a newline, which no request can send", "write one line without them")
	}
	if !a.Listen.IsValid() {
		return
	}
	for _, l := range r.c.Listen {
		if overlap(a.Listen, l) {
			which := path.at("listen")
			if !r.c.Defined(which...) {
				which = place{"listen"}
			}
			r.bad(which, fmt.Sprintf("admin.listen: %s overlaps with the DNS listener %s", a.Listen, l), "give one of them another port")
		}
	}
	if a.Listen.Addr().IsLoopback() {
		return
	}
	if a.Token == "" && !r.reported(path.at("token")) {
		r.bad(path.at("listen"), fmt.Sprintf("admin listens on %s without a token", a.Listen),
			`write token = "${ADMIN_TOKEN}", or listen on 127.0.0.1`)
	}
	if a.TLSCert == "" && a.TLSKey == "" {
		r.bad(path.at("listen"), fmt.Sprintf("admin listens on %s without TLS", a.Listen),
			"write tls_cert and tls_key, or listen on 127.0.0.1")
	}
}

// reported says whether the key, which is in the file, has a problem already.
func (r *reader) reported(path place) bool {
	return r.c.Defined(path...) && slices.ContainsFunc(r.problems, func(p Problem) bool {
		return p.Line == r.c.Line(path...)
	})
}

// stubTimeout is what glibc's and most other stubs wait for an answer.
const stubTimeout = 5 * time.Second

func (r *reader) checkTimes() {
	res := r.c.Resolver
	path := place{"resolver"}
	if res.Timeout > res.Deadline {
		key := "timeout"
		if !r.c.Defined(path.at(key)...) {
			key = "deadline"
		}
		r.bad(path.at(key), fmt.Sprintf("resolver.timeout (%s, one attempt) is longer than resolver.deadline (%s, all attempts)",
			shortDuration(res.Timeout), shortDuration(res.Deadline)), "write a timeout of half the deadline or less")
	}
	if res.Deadline >= stubTimeout {
		r.warn(path.at("deadline"), fmt.Sprintf("resolver.deadline is %s: stub resolvers give up after 5s and ask again", shortDuration(res.Deadline)),
			`write "4s" unless the mail server is known to wait longer`)
	}
}

func (r *reader) checkCache() {
	c := r.c.Cache
	for _, top := range []struct {
		key string
		ttl time.Duration
	}{{"max_ttl", c.MaxTTL}, {"max_negative_ttl", c.MaxNegativeTTL}} {
		if c.MinTTL <= top.ttl {
			continue
		}
		key := top.key
		if !r.c.Defined("cache", key) {
			key = "min_ttl"
		}
		r.bad(place{"cache", key}, fmt.Sprintf("cache.min_ttl (%s) is longer than cache.%s (%s)",
			shortDuration(c.MinTTL), top.key, shortDuration(top.ttl)), "lower the one or raise the other")
	}
	shared := place{"cache", "shared"}
	if c.Shared.URL == "" {
		if c.Shared.Secret != "" && !r.reported(shared.at("url")) {
			r.bad(shared.at("secret"), "cache.shared has a secret without a url", `write url = "redis://127.0.0.1:6379/0", or remove the table`)
		}
		return
	}
	if err := r.Shared(c.Shared.URL.Reveal()); err != nil {
		r.badErr(shared.at("url"), err)
	}
	if c.Shared.Secret == "" && !r.reported(shared.at("secret")) {
		r.bad(shared.at("url"), "cache.shared has no secret, so that whoever writes to the store decides what is listed",
			`write secret = "${CACHE_SECRET}", the same on every server`)
	}
}

// checkResolver refuses servers that are our own listeners: the server would
// ask itself for ever.
func (r *reader) checkResolver() {
	c := r.c
	for i, s := range c.Resolver.Servers {
		if r.own(s) {
			r.bad(place{"resolver", "servers", i}, fmt.Sprintf("resolver.servers: %s is our own listener, so we would ask ourselves for ever", s),
				"name the resolver behind us")
		}
	}
	for _, z := range c.Zones {
		for i, s := range z.Via.Servers {
			if r.own(s) {
				r.bad(place{"zone", z.Name, "via", i}, fmt.Sprintf("zone %q: via %s is our own listener, so we would ask ourselves for ever", z.Name, s),
					"name the list's own server, or the resolver behind us")
			}
		}
	}
	c.Nameservers = c.Resolver.Servers
	if len(c.Nameservers) > 0 || r.reported(place{"resolver", "servers"}) {
		return
	}
	r.systemServers(readResolvConf(r.ResolvConf))
}

// systemServers takes what resolv.conf names.
func (r *reader) systemServers(found []nameserver) {
	for _, ns := range found {
		r.c.Nameservers = append(r.c.Nameservers, ns.addr)
		if r.own(ns.addr) {
			names := fmt.Sprintf("%s:%d names", r.ResolvConf, ns.line)
			if ns.line == 0 {
				names = r.ResolvConf + " names no server, which means"
			}
			r.bad(place{"listen"}, fmt.Sprintf("resolver.servers is empty and %s %s, our own listener, so we would ask ourselves for ever", names, ns.addr), `write servers = ["192.0.2.53"] in [resolver], with the resolver behind us`)
		}
	}
}

// own says whether s is one of our listeners: its address, or any address of
// this machine when the listener is a wildcard.
func (r *reader) own(s netip.AddrPort) bool {
	for _, l := range slices.Concat(r.c.Listen, r.Inherited) {
		if l.Port() != s.Port() || l.Addr().Is4() != s.Addr().Is4() {
			continue
		}
		if l.Addr() == s.Addr() {
			return true
		}
		if !l.Addr().IsUnspecified() {
			continue
		}
		local, err := r.LocalAddrs()
		if s.Addr().IsLoopback() || err == nil && slices.Contains(local, s.Addr()) {
			return true
		}
	}
	return false
}
