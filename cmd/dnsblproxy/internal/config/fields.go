package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// listenField reads listen, and refuses listeners that overlap: the second
// could not be bound. A wildcard overlaps with every address of its family;
// the families are apart, for IPv6 listeners are opened for IPv6 only.
func listenField(c *Config) field {
	const want = `an array of addresses with ports, such as ["127.0.0.1:5353"]`
	return list("listen", want, array(c.Listen), func() { c.Listen = nil }, func(r *reader, v value, s string) {
		if s == "systemd" {
			if c.Systemd {
				r.bad(v.path, `listen names "systemd" twice`, "write it once")
			}
			c.Systemd = true
			return
		}
		ap, ok := r.listener(v, s)
		if !ok {
			return
		}
		for _, other := range c.Listen {
			if overlap(ap, other) {
				r.bad(v.path, fmt.Sprintf("listen: %s overlaps with %s", ap, other), "remove one of them")
			}
		}
		c.Listen = append(c.Listen, ap)
	})
}

// listener reads one "IP:port".
func (r *reader) listener(v value, s string) (netip.AddrPort, bool) {
	ap, err := netip.ParseAddrPort(s)
	if err == nil && ap.Port() != 0 && !ap.Addr().IsMulticast() {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), true
	}
	what := fmt.Sprintf("%s: %q is no address with a port", dotted(v.path), s)
	instead := `write "127.0.0.1:5353", or "[::1]:5353" for IPv6`
	admin := v.path[0] == "admin" // one address, on loopback without more ado
	if admin {
		instead = `write "127.0.0.1:9353", or "[::1]:9353" for IPv6`
	}
	host, port, _ := strings.Cut(s, ":")
	_, fault := strconv.ParseUint(port, 10, 16)
	switch everywhere := host == "" || host == "*"; {
	case err == nil && ap.Port() == 0:
		instead = "write a port from 1 to 65535; a port chosen anew at each start could not be asked"
	case fault != nil:
	case everywhere && !admin:
		instead = fmt.Sprintf(`write "0.0.0.0:%s" and "[::]:%s" for all addresses`, port, port)
	case everywhere || host == "localhost":
		instead = fmt.Sprintf(`write "127.0.0.1:%s"`, port)
	}
	r.bad(v.path, what, instead)
	return ap, false
}

func overlap(a, b netip.AddrPort) bool {
	same := a.Addr() == b.Addr() || (a.Addr().IsUnspecified() || b.Addr().IsUnspecified()) && a.Addr().Is4() == b.Addr().Is4()
	return a.Port() == b.Port() && same
}

// adminListenField reads one address, or "" for none.
func adminListenField(c *Config) field {
	const want = `an address with a port, or "" to turn it off`
	return scalar("listen", want, `"`+c.Admin.Listen.String()+`"`, func(r *reader, v value, s string) {
		if s == "" {
			c.Admin.Listen = netip.AddrPort{}
		} else if ap, ok := r.listener(v, s); ok {
			c.Admin.Listen = ap
		}
	})
}

func clientsField(c *Config) field {
	const want = `an array of addresses and prefixes, such as ["127.0.0.0/8", "::1"]`
	return list("clients", want, array(c.ClientTexts()), func() { c.Clients = nil },
		func(r *reader, v value, s string) {
			p, err := clientPrefix(s)
			if err != nil {
				r.badErr(v.path, err)
				return
			}
			c.Clients = append(c.Clients, p)
		})
}

func clientPrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is neither an address nor a prefix; write \"192.0.2.1\" or \"192.0.2.0/24\"", s)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%q is IPv4 written as IPv6; write it as IPv4", s)
	case p != p.Masked():
		return p, fmt.Errorf("%q has host bits set; write %q or %q", s, p.Masked(), p.Addr())
	}
	return p, nil
}

func serversField(key string, p *[]netip.AddrPort) field {
	return list(key, `an array of addresses, such as ["192.0.2.53"]`, array(*p), func() { *p = nil },
		func(r *reader, v value, s string) {
			if ap, ok := r.server(v, s); ok {
				*p = append(*p, ap)
			}
		})
}

// upstreamField reads the name that the list is asked by. No message repeats
// it: it may hold a key.
func upstreamField(z *Zone) field {
	var text Secret
	return then(required(secret("upstream", &text, &z.Keys)), func(r *reader, v value) {
		name := canonical(text.Reveal())
		switch {
		case v.raw == "":
			r.bad(v.path, dotted(v.path)+" is empty", "remove it to ask the list by the zone's own name")
		case text == "": // reported
		case r.Domain(name) != nil || !asAsked(name):
			r.bad(v.path, dotted(v.path)+" is no domain name", "write the list's zone, such as \"zen.spamhaus.org\"")
		case len(name) > maxName:
			r.bad(v.path, dotted(v.path)+" leaves no room for an address before it", writeShorter)
		default:
			z.Upstream = Secret(name)
		}
	})
}

// viaField reads "resolver", "direct" or an array of servers.
func viaField(via *Via) field {
	const want = `"resolver", "direct" or an array of addresses`
	servers := serversField("via", &via.Servers)
	return field{key: "via", want: want, def: `"` + via.Mode + `"`, read: func(r *reader, v value) bool {
		switch s, ok := v.raw.(string); {
		case ok && (s == "resolver" || s == "direct"):
			via.Mode = s
			return true
		case ok:
			instead := "write " + want
			if _, err := server(s); err == nil {
				instead = fmt.Sprintf("write [%q]", s)
			}
			r.cannot(v, instead)
			return true
		}
		if raws, ok := v.raw.([]any); ok && len(raws) == 0 {
			r.bad(v.path, dotted(v.path)+" names no server", `write "resolver" to ask those of [resolver]`)
			return true
		}
		via.Mode = "servers"
		return servers.read(r, v)
	}}
}

func codesField(p *map[string]string) field {
	const want = `a table of names by code, such as { "127.0.0.2" = "SBL" }`
	return entries("codes", want, func() { *p = map[string]string{} }, func(r *reader, e value, code string) {
		name, ok := e.raw.(string)
		is := typeName(e.raw)
		if ok {
			is = "empty"
		}
		switch {
		case name == "":
			r.bad(e.path, fmt.Sprintf("the name of code %q in %s is %s", code, dotted(e.path[:len(e.path)-1]), is), "write a short name in quotes")
		case r.checked(e, code, codeCheck):
			(*p)[code] = name
		}
	})
}

// codeCheck refuses what no list can answer with (RFC 5782, section 2.1).
func codeCheck(s string) error {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || a.As4()[0] != 127 {
		return fmt.Errorf("%q is no code; write an address of 127.0.0.0/8, such as \"127.0.0.2\"", s)
	}
	return nil
}

// codeField reads the code of a deny rule. 127.0.0.1 and 127.255.255.0/24
// mean a broken list to those who ask.
func codeField(p *string) field {
	return scalar("code", `a code, such as "127.0.0.2"`, `"`+*p+`"`, func(r *reader, v value, s string) {
		switch {
		case !r.checked(v, s, codeCheck):
		case s == "127.0.0.1" || s == "127.0.0.0" || strings.HasPrefix(s, "127.255.255."):
			r.bad(v.path, fmt.Sprintf("%s cannot be %s, which mail servers take for an error of the list", dotted(v.path), s),
				`write "127.0.0.2" or another code of the list's own`)
		default:
			*p = s
		}
	})
}

func jqField(p *string) field {
	return then(text("jq", p), func(r *reader, v value) {
		if *p == "" {
			r.bad(v.path, dotted(v.path)+" is empty", "remove it, or write a filter such as '.prefixes[]'")
			return
		}
		r.checked(v, *p, r.JQ)
	})
}

// datasetTypes are those of rbldnsd that zones of addresses and names need.
func datasetTypes() []string {
	return []string{"ip4set", "ip4tset", "ip4trie", "ip6trie", "ip6tset", "dnset", "generic"}
}

// filesField reads "type:path,path", as rbldnsd's command line has it.
func filesField(p *[]Dataset) field {
	return list("files", `an array such as ["ip4trie:zen.ip4"]`, "", func() { *p = nil }, func(r *reader, v value, s string) {
		kind, paths, ok := strings.Cut(s, ":")
		if !ok || paths == "" {
			r.bad(v.path, fmt.Sprintf("%s: %q is no dataset", dotted(v.path), s), `write its type and its file, such as "ip4trie:zen.ip4"`)
			return
		}
		if !slices.Contains(datasetTypes(), kind) {
			r.bad(v.path, fmt.Sprintf("%s: unknown dataset type %q", dotted(v.path), kind),
				hint(kind, datasetTypes(), "write one of "+strings.Join(datasetTypes(), ", ")))
			return
		}
		d := Dataset{Type: kind, Line: r.c.Line(v.path...)}
		for one := range strings.SplitSeq(paths, ",") {
			d.Paths = append(d.Paths, r.absolute(one))
			r.readable(v.path, r.absolute(one))
		}
		*p = append(*p, d)
	})
}

// weightsField reads { "zone" = 4, "zone=codes" = 1 }.
func weightsField(p *[]Weight) field {
	const want = `a table of whole numbers, such as { "zen.spamhaus.org" = 4 }`
	return entries("weights", want, func() { *p = nil }, func(r *reader, e value, key string) {
		n, ok := e.raw.(int64)
		zone, set, hasCodes := strings.Cut(key, "=")
		w := Weight{Zone: canonical(zone), Codes: set, Weight: int(n), Line: r.c.Line(e.path...)}
		is := typeName(e.raw)
		if ok {
			is = fmt.Sprint(n)
		}
		switch {
		case n == 0 || n < -math.MaxInt16 || n > math.MaxInt16:
			r.bad(e.path, fmt.Sprintf("the weight of %q is %s", key, is), "write a whole number from -32767 to 32767 other than 0, without quotes")
		case hasCodes && !r.checked(e, set, r.Codes):
		case slices.ContainsFunc(*p, func(o Weight) bool { return o.Zone == w.Zone && o.Codes == w.Codes }):
			r.bad(e.path, fmt.Sprintf("%s weighs %q twice", dotted(e.path[:len(e.path)-1]), key), "write it once (case and a trailing dot make no difference)")
		default:
			*p = append(*p, w)
		}
	})
}

// notifyField reads a command with its arguments, or the URL of a webhook.
// The URL may hold a key: no message repeats it.
func notifyField(w *Watch) field {
	f := texts("notify", &w.Notify, func(_ *reader, _ value, s string) (string, bool) { return s, true })
	argv, url := f.read, secret("notify", &w.Webhook, nil)
	f.read = func(r *reader, v value) bool {
		if _, ok := v.raw.(string); ok {
			r.bad(v.path, dotted(v.path)+" is a string", `write ["/path/to/program", "argument"] or ["https://host/path"]`)
			return true
		}
		if !argv(r, v) {
			return false
		}
		if len(w.Notify) == 0 {
			return true
		}
		if !isWebhook(w.Notify[0]) {
			if strings.Contains(w.Notify[0], "/") { // else $PATH has it
				w.Notify[0] = r.absolute(w.Notify[0])
			}
			return true
		}
		first, more := w.Notify[0], len(w.Notify) > 1
		w.Notify = nil
		if more {
			r.bad(v.at(1, nil).path, dotted(v.path)+": a webhook takes no arguments", `write its URL alone, such as ["https://host/path"]`)
		}
		return url.read(r, v.at(0, first))
	}
	return f
}

// isWebhook tells a URL from the path of a program. One whose scheme is
// unknown is none of either; it is taken for a URL, so that it is not shown.
func isWebhook(s string) bool { return strings.Contains(s, "://") || strings.HasPrefix(s, "${") }
