package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Errors of a Reply.
var (
	ErrSilent   = errors.New("no answer")
	ErrServfail = errors.New("SERVFAIL")
)

const resolvConfPath = "/etc/resolv.conf"

// nameservers reads the servers of a resolv.conf. The stub knows no ports.
func (e *examination) nameservers(path string) []Server {
	var all []Server
	for place, text := range e.lines(path) {
		words := strings.Fields(text)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil {
			all = append(all, Server{netip.AddrPortFrom(a.Unmap(), 53), place})
		}
	}
	return all
}

// resolvConf checks the files that say whom to ask.
func (e *examination) resolvConf() {
	servers := e.nameservers(resolvConfPath)
	if len(servers) == 0 {
		e.bad("resolv.conf", resolvConfPath+": write one line, nameserver 127.0.0.1, with a resolver there",
			"%s names no server, so that programs ask 127.0.0.1:53", resolvConfPath)
	}
	if len(servers) > 1 {
		e.bad("resolv.conf", servers[1].Place+": take this line out, and those below it",
			"%s has %d nameserver lines: when the first server is slow or says SERVFAIL, the next one is asked, past us",
			resolvConfPath, len(servers))
	}
	queue := e.postfixQueue()
	chroot := queue + "/etc/resolv.conf"
	if e.exists(chroot) {
		if copied := e.nameservers(chroot); !slices.EqualFunc(copied, servers, func(a, b Server) bool { return a.Addr == b.Addr }) {
			e.bad("resolv.conf", fmt.Sprintf("cp %s %s && postfix reload", resolvConfPath, chroot),
				"Postfix's daemons ask as %s says (%s), which is an old copy: %s has %s",
				chroot, places(copied), resolvConfPath, places(servers))
		}
	}
	e.fine("resolv.conf", "%s names one server, %s", resolvConfPath, places(servers))
}

func places(servers []Server) string {
	if len(servers) == 0 {
		return "none"
	}
	var all []netip.Addr
	for _, s := range servers {
		all = append(all, s.Addr.Addr())
	}
	return list(all)
}

// path checks that what the mail server and its filters ask arrives here, and
// that answers get back.
func (e *examination) path(zones []Zone, others []string) {
	for i, w := range e.ways {
		e.way(w, zones, e.tries[i])
	}
	unasked := ""
	if len(others) > 0 {
		unasked = "; nobody was found to ask " + strings.Join(others, ", ")
	}
	e.fine("path", "questions for our zones asked at %s arrive here%s", wayNames(e.ways), unasked)
	if slices.ContainsFunc(e.found, func(f Finding) bool { return f.Check == "path" && !f.OK }) {
		e.fine("rebind", "not to be tried before questions arrive here")
	}
	if len(e.Listen) == 0 {
		e.fine("rebind", "not to be tried: systemd alone knows where dnsblproxy answers")
	}
	e.fine("rebind", "listings get through")
}

func wayNames(ways []Server) string {
	var all []netip.AddrPort
	for _, w := range ways {
		if !slices.Contains(all, w.Addr) {
			all = append(all, w.Addr)
		}
	}
	return list(all)
}

// resolvers are those that are asked: that of the system, unless all that use
// lists have one of their own.
func (e *examination) resolvers() []Server {
	ways := e.ownResolvers()
	system := len(ways) == 0
	for _, u := range e.uses {
		folder := "/" + strings.ToLower(u.who) + "/" // of Postfix and Exim never: they have no option for it
		system = system || !slices.ContainsFunc(ways, func(w Server) bool { return strings.Contains(w.Place, folder) })
	}
	if system {
		servers := e.nameservers(resolvConfPath)
		if len(servers) == 0 {
			servers = []Server{{netip.MustParseAddrPort("127.0.0.1:53"), resolvConfPath}}
		}
		ways = append(ways, servers[:min(len(servers), 3)]...) // the stub looks at three
	}
	return ways
}

// tried is what came of asking a resolver for one zone.
type tried struct {
	reply    Reply
	stripped bool // listings do not come through
}

// asked are the zones whose way matters: those that the mail server and its
// filters ask, or all where they are not found to ask any. A zone may well be
// served for nobody yet, as one of the packaged configuration is. others are
// the names of the rest.
func (e *examination) asked() (zones []Zone, others []string) {
	for _, z := range e.Zones {
		if slices.ContainsFunc(e.uses, func(u use) bool { return z.has(u.zone) }) {
			zones = append(zones, z)
		} else {
			others = append(others, z.Name)
		}
	}
	if len(zones) == 0 {
		return e.Zones, nil
	}
	return zones, others
}

// try asks a resolver for every zone, some at a time. One that is silent is
// asked once.
func (e *examination) try(ctx context.Context, at netip.AddrPort, zones []Zone) []tried {
	all := make([]tried, len(zones))
	one := func(i int) {
		z, t := &zones[i], &all[i]
		t.reply = e.mark(ctx, at, z)
		t.stripped = t.reply.Ours && e.strips(ctx, at, z)
	}
	one(0)
	if all[0].reply.Err != nil && !errors.Is(all[0].reply.Err, ErrServfail) {
		return all[:1]
	}
	const atOnce = 8
	places := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i := 1; i < len(all); i++ {
		places <- struct{}{}
		wait.Go(func() {
			one(i)
			<-places
		})
	}
	wait.Wait()
	return all
}

// way checks one resolver by what came of asking it for these zones.
func (e *examination) way(w Server, zones []Zone, tries []tried) {
	var astray, failing, stripped []string
	for i, t := range tries {
		name := zones[i].Name
		switch err := t.reply.Err; {
		case errors.Is(err, ErrServfail):
			failing = append(failing, name)
		case err != nil:
			fix := w.Place + ": name a resolver that runs"
			if w.Addr.Port() == 53 && w.Addr.Addr().IsLoopback() {
				fix = fmt.Sprintf("start a resolver at %s that forwards to us, or have us listen there (resolv.conf knows no ports): %s: listen = [..., %q]",
					w.Addr, e.Config, w.Addr)
			}
			e.bad("path", fix, "%s: %s does not answer for %s: %v", w.Place, w.Addr, name, err)
			return
		case !t.reply.Ours:
			astray = append(astray, name)
		case t.stripped:
			stripped = append(stripped, name)
		}
	}
	if len(astray) > 0 {
		e.bad("path", w.forward(e, astray[0]), "%s: questions asked at %s do not arrive at dnsblproxy, in %s",
			w.Place, w.Addr, zoneText(astray, len(zones)))
	}
	if len(failing) > 0 {
		e.bad("path", fmt.Sprintf("%s; and except the zone from DNSSEC validation, in unbound by domain-insecure: %q (and do-not-query-localhost: no), in BIND by validate-except", w.forward(e, failing[0]), failing[0]),
			"%s: %s answers SERVFAIL in %s: it cannot reach us, or it validates and our answers are not signed",
			w.Place, w.Addr, zoneText(failing, len(zones)))
	}
	if len(stripped) > 0 {
		e.bad("rebind", fmt.Sprintf("except the zones from its protection against rebinding: unbound: private-domain: %q; dnsmasq: rebind-domain-ok=/%s/",
			stripped[0], stripped[0]),
			"%s: %s takes listings (127.0.0.2) out of the answers, in %s: everybody is unlisted",
			w.Place, w.Addr, zoneText(stripped, len(zones)))
	}
}

// forward is how to have a resolver forward a zone to us.
func (w *Server) forward(e *examination, zone string) string {
	if len(e.Listen) == 0 {
		return w.Place + ": name a resolver that forwards our zones to us"
	}
	at := Reachable(e.Listen[0])
	if w.Addr.Addr() == resolvedStub() {
		return fmt.Sprintf("systemd-resolved, version 258 or later: write [Delegate] DNS=%s Domains=~%s to /etc/systemd/dns-delegate.d/dnsbl.dns-delegate; or name another resolver in %s",
			at, zone, w.Place)
	}
	us, resolver := at.String(), "have "+w.Addr.String()
	if strings.HasPrefix(w.Place, resolvConfPath) { // the stub knows no ports
		us = "a listener of ours with port 53"
	}
	if public(w.Addr.Addr()) != "" {
		resolver = "name a resolver of your own in " + w.Place + " and have it"
	}
	return fmt.Sprintf("%s forward the zone to %s: unbound: forward-zone: name: %q forward-addr: %s@%d; dnsmasq: server=/%s/%s#%d; or name %s in %s",
		resolver, at, zone, at.Addr(), at.Port(), zone, at.Addr(), at.Port(), us, w.Place)
}

// resolvedStub is where systemd-resolved listens.
func resolvedStub() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 53}) }

func zoneText(zones []string, all int) string {
	if len(zones) == all && all > 1 {
		return fmt.Sprintf("all %d zones", all)
	}
	return strings.Join(zones, ", ")
}

// strips reports whether a listing that we answer does not come through.
func (e *examination) strips(ctx context.Context, resolver netip.AddrPort, z *Zone) bool {
	if len(e.Listen) == 0 {
		return false
	}
	direct := e.Ask(ctx, Reachable(e.Listen[0]), z.listed())
	if direct.Err != nil || len(direct.Addrs) == 0 {
		return false // the list does not answer; that is another check's
	}
	through := e.Ask(ctx, resolver, z.listed())
	return len(through.Addrs) == 0
}

// publicResolvers checks that we do not ask lists by way of resolvers that
// they refuse.
func (e *examination) publicResolvers() {
	var through, asked []Server
	for _, z := range e.Zones {
		if z.Public {
			continue
		}
		if z.Servers == nil {
			if through = e.Resolvers; len(through) == 0 {
				through = e.nameservers(resolvConfPath)
			}
		}
		asked = append(asked, z.Servers...)
	}
	asked = append(asked, through...)
	for _, s := range through {
		asked = append(asked, e.behind(s)...)
	}
	seen := map[Server]bool{}
	for _, s := range asked {
		if whose := public(s.Addr.Addr()); whose != "" && !seen[s] {
			seen[s] = true
			e.bad("public-resolver", s.Place+`: name a resolver of your own, such as unbound on this machine; or set via = "direct" in the zones`,
				"%s is the public resolver of %s: most lists do not answer it, or answer that everything is listed", s.Addr.Addr(), whose)
		}
	}
	e.fine("public-resolver", "no list is asked by way of a public resolver")
}

// behind returns the servers that a resolver on this machine passes questions
// on to, as far as its configuration is understood.
func (e *examination) behind(s Server) []Server {
	if !s.Addr.Addr().IsLoopback() {
		return nil
	}
	if s.Addr.Addr() == resolvedStub() {
		return e.nameservers("/run/systemd/resolve/resolv.conf")
	}
	var all []Server
	files := e.glob("/etc/unbound/*.conf", "/etc/unbound/*.d/*.conf", "/etc/dnsmasq.conf", "/etc/dnsmasq.d/*")
	for place, text := range e.lines(files...) {
		text = strings.TrimSpace(text)
		rest, ok := strings.CutPrefix(text, "forward-addr:")
		if !ok {
			rest, ok = strings.CutPrefix(text, "server=")
		}
		rest = strings.TrimSpace(rest)
		addr, _, _ := strings.Cut(rest, "@")
		addr, _, _ = strings.Cut(addr, "#")
		if a, err := netip.ParseAddr(addr); ok && err == nil {
			all = append(all, Server{netip.AddrPortFrom(a, 53), place})
		}
	}
	return all
}

// public names the operator of a public resolver; "" for another address.
func public(a netip.Addr) string {
	for _, p := range []struct{ prefix, whose string }{
		{"8.8.8.8/32", "Google"}, {"8.8.4.4/32", "Google"}, {"2001:4860:4860::/48", "Google"},
		{"1.1.1.0/24", "Cloudflare"}, {"1.0.0.0/24", "Cloudflare"}, {"2606:4700:4700::/48", "Cloudflare"},
		{"9.9.9.0/24", "Quad9"}, {"149.112.112.0/24", "Quad9"}, {"2620:fe::/48", "Quad9"},
		{"208.67.222.0/24", "OpenDNS"}, {"208.67.220.0/24", "OpenDNS"}, {"2620:119:35::/48", "OpenDNS"}, {"2620:119:53::/48", "OpenDNS"},
		{"64.6.64.0/23", "Vercara"}, {"4.2.2.0/29", "Level 3"}, {"8.26.56.0/24", "Comodo"}, {"8.20.247.0/24", "Comodo"},
		{"94.140.14.0/23", "AdGuard"}, {"2a10:50c0::/32", "AdGuard"}, {"76.76.2.0/24", "Control D"}, {"76.76.10.0/24", "Control D"},
		{"77.88.8.0/24", "Yandex"}, {"185.228.168.0/23", "CleanBrowsing"}, {"45.90.28.0/22", "NextDNS"}, {"193.110.81.0/24", "DNS0"},
		{"114.114.114.0/24", "114DNS"}, {"223.5.5.0/24", "AliDNS"}, {"223.6.6.0/24", "AliDNS"},
	} {
		if netip.MustParsePrefix(p.prefix).Contains(a.Unmap()) {
			return p.whose
		}
	}
	return ""
}
