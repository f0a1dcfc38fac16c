// Package doctor looks at one machine: at the way from its mail server to
// dnsblproxy, and from there to the lists. It says in plain words what is
// wrong, with the line to change.
//
// Each check asks one question. It is answered by a Finding that is fine, or
// by one Finding for each thing that is not. The checks, in order:
//
//	server           the proxy runs, and its listeners answer
//	resolv.conf      the system asks one resolver; Postfix's copy is the same
//	path             that resolver leads to us, for each zone
//	rebind           it lets answers in 127.0.0.0/8 through
//	zones            we serve what the mail server asks
//	keys             no key of a list stands where others see it
//	public-resolver  we ask no resolver that lists refuse to answer
//	clients          only mail servers may ask us
//	lists, sources   what the running proxy says of its lists, feeds, domains
//	clock            the time is kept
//
// The package changes nothing and sends nothing by itself: files come from an
// fs.FS, DNS questions and the state of the proxy from functions. It knows the
// configuration files of Postfix, Exim, rspamd and SpamAssassin well enough to
// find lists in them, and no better.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Finding is what one check has to say.
type Finding struct {
	Check   string `json:"check"`
	OK      bool   `json:"ok"`
	Finding string `json:"finding"`
	Fix     string `json:"fix"` // what to change and where; "" if OK
}

// Zone is a zone that the proxy serves.
type Zone struct {
	Name  string
	Place string // where it is configured: "config.toml:12"
	Holds []string
	Data  string // where its data files are named; "" for other zones

	// Servers are asked for the list's answers, other than the resolvers;
	// Place is where they are written.
	Servers []Server

	// Public says that the list answers public resolvers too, or is not asked
	// through resolvers: it has a key, or is our own.
	Public bool
}

// Server is an address of DNS, and where it is written.
type Server struct {
	Addr  netip.AddrPort
	Place string
}

// Client is a prefix that may ask.
type Client struct {
	Prefix netip.Prefix
	Place  string
}

// Reply is what a DNS server answers to a question for A.
type Reply struct {
	Addrs []netip.Addr

	// Ours says that the answer's SOA is one that only dnsblproxy makes up.
	Ours bool

	// Err is nil if the name exists or not; ErrSilent and ErrServfail are
	// told apart.
	Err error
}

// Status is what the running proxy says, in the form of its API.
type Status struct {
	Zones   []ListStatus
	Sources []SourceStatus
}

// ListStatus is the state of a list or of data files; State is healthy if
// nothing is wrong, and empty for a zone without either. Limit is 0 for one
// without a budget.
type ListStatus struct {
	Zone, State, Reason string
	Budget              struct{ Limit, Used uint64 }
}

// SourceStatus is a source of a rule. LastError is "" if it works.
type SourceStatus struct {
	Rule, Action, Source string
	LastError            string    `json:"last_error"`
	LastSuccess          time.Time `json:"last_success"` // zero: never
	InForce              bool      `json:"in_force"`     // what it said then
}

// Clock says whether the kernel is told the time. Known is false where that
// cannot be found out.
type Clock struct{ Known, Synced bool }

// Input is all that is looked at.
type Input struct {
	Files  fs.FS  // the machine's, from its root folder on
	Config string // path of the configuration, for fixes

	Listen    []netip.AddrPort // empty: sockets that systemd opened, wherever
	Zones     []Zone
	Resolvers []Server // empty: those of resolv.conf
	Clients   []Client

	// Keyed recognizes a list's name that holds a key, and returns the name of
	// the list without it.
	Keyed func(name string) (list string, keyed bool)

	Ask    func(ctx context.Context, server netip.AddrPort, name string) Reply
	Status func(ctx context.Context) (Status, error) // nil where the proxy tells nobody
	Place  func(action, rule string) string          // where a rule is written
	Clock  func() Clock
	Now    func() time.Time
	Nonce  uint16 // any number, another one each time
}

// examination is one look at an Input.
type examination struct {
	Input
	found []Finding
	uses  []use // of lists, by the mail server and its filters

	status    Status
	down      error     // why there is no status
	listeners []Reply   // of each of Listen, for the first zone
	ways      []Server  // the resolvers of those that use lists
	tries     [][]tried // of each of ways
}

// Examine makes all checks. The findings come in the order of the checks.
func Examine(ctx context.Context, in Input) []Finding {
	e := &examination{Input: in}
	e.uses = e.lists()
	zones, others := e.asked()
	e.ask(ctx, zones)
	e.server()
	e.resolvConf()
	e.path(zones, others)
	e.zones()
	e.keys()
	e.publicResolvers()
	e.clients()
	if e.down == nil && e.Status != nil {
		e.known()
	}
	e.clock()
	return e.found
}

// ask asks the server and the resolvers side by side: of those that are
// silent, each keeps us waiting for seconds.
func (e *examination) ask(ctx context.Context, zones []Zone) {
	e.ways = e.resolvers()
	e.listeners, e.tries = make([]Reply, len(e.Listen)), make([][]tried, len(e.ways))
	var asked sync.WaitGroup
	if e.Status != nil {
		asked.Go(func() { e.status, e.down = e.Status(ctx) })
	}
	for i, at := range e.Listen {
		asked.Go(func() { e.listeners[i] = e.mark(ctx, Reachable(at), &e.Zones[0]) })
	}
	for i, w := range e.ways {
		asked.Go(func() { e.tries[i] = e.try(ctx, w.Addr, zones) })
	}
	asked.Wait()
}

// bad adds a finding of something wrong.
func (e *examination) bad(check, fix, format string, args ...any) {
	e.found = append(e.found, Finding{check, false, fmt.Sprintf(format, args...), fix})
}

// fine says that a check has found nothing, if that is so.
func (e *examination) fine(check, format string, args ...any) {
	if !slices.ContainsFunc(e.found, func(f Finding) bool { return f.Check == check }) {
		e.found = append(e.found, Finding{Check: check, OK: true, Finding: fmt.Sprintf(format, args...)})
	}
}

// read returns a file's text; "" if it cannot be read.
func (e *examination) read(path string) string {
	text, err := fs.ReadFile(e.Files, strings.TrimPrefix(path, "/"))
	if err != nil {
		return ""
	}
	return string(text)
}

// lines yields the lines of files, each behind its place, such as
// "/etc/resolv.conf:1"; none of a file that cannot be read.
func (e *examination) lines(paths ...string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, path := range paths {
			number := 0
			for text := range strings.Lines(e.read(path)) {
				if number++; !yield(placeOf(path, number), text) {
					return
				}
			}
		}
	}
}

func placeOf(path string, line int) string { return fmt.Sprintf("%s:%d", path, line) }

func (e *examination) exists(path string) bool {
	_, err := fs.Stat(e.Files, strings.TrimPrefix(path, "/"))
	return err == nil
}

// glob returns the paths that match, with their slash.
func (e *examination) glob(patterns ...string) []string {
	var all []string
	for _, p := range patterns {
		found, err := fs.Glob(e.Files, strings.TrimPrefix(p, "/"))
		if err != nil {
			continue // a pattern of ours; the tests would tell
		}
		for _, f := range found {
			all = append(all, "/"+f)
		}
	}
	return all
}

// server checks that the proxy runs and answers.
func (e *examination) server() {
	if e.down != nil {
		e.bad("server", "start it, anew if it hangs: systemctl restart dnsblproxy, or dnsblproxy serve", "%v", e.down)
	}
	for i, r := range e.listeners {
		at := Reachable(e.Listen[i])
		switch {
		case r.Err != nil:
			e.bad("server", e.Config+": see that listen and clients let this machine ask; the log says why the server does not run",
				"our listener %s does not answer this machine: %v", at, r.Err)
		case !r.Ours:
			e.bad("server", e.Config+": choose another address for listen, or stop what has this one",
				"something else than dnsblproxy answers at %s", at)
		}
	}
	switch {
	case len(e.Listen) > 0:
		e.fine("server", "dnsblproxy runs and answers at %s", list(e.Listen))
	case e.Status != nil:
		e.fine("server", "dnsblproxy runs; systemd alone knows where it answers")
	default:
		e.fine("server", "not to be tried: systemd alone knows where dnsblproxy answers, and admin.listen is off")
	}
}

// Reachable is the address at which a listener is asked from this machine.
func Reachable(at netip.AddrPort) netip.AddrPort {
	switch at.Addr() {
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	case netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), at.Port())
	}
	return at
}

// markers are names in the zone that the proxy answers itself, in a way that
// nobody else does, if the list holds what Holds says or less: an incomplete
// address, or an address in a list of domains. The nonce makes them names that
// no resolver has cached.
func (z *Zone) markers(nonce uint16) []string {
	a, b := byte(nonce>>8), byte(nonce)
	var names []string
	if slices.Contains(z.Holds, "ip4") {
		names = append(names, fmt.Sprintf("%d.%d.%s", a, b, z.Name))
	}
	if slices.Contains(z.Holds, "ip6") {
		names = append(names, fmt.Sprintf("%x.%x.%x.%x.1.0.0.2.%s", a>>4, a&15, b>>4, b&15, z.Name))
	}
	return append(names, fmt.Sprintf("%d.%d.0.192.%s", a, b, z.Name))
}

// mark asks for markers until one is answered by dnsblproxy, or the server
// fails.
func (e *examination) mark(ctx context.Context, server netip.AddrPort, z *Zone) Reply {
	var r Reply
	for _, name := range z.markers(e.Nonce) {
		if r = e.Ask(ctx, server, name); r.Err != nil || r.Ours {
			break
		}
	}
	return r
}

// listed is a name that every list has (RFC 5782, section 5).
func (z *Zone) listed() string {
	switch {
	case slices.Contains(z.Holds, "ip4"):
		return "2.0.0.127." + z.Name
	case slices.Contains(z.Holds, "ip6"):
		return "2.0.0.0.0.0.f.7.f.f.f.f." + strings.Repeat("0.", 20) + z.Name
	}
	return "test." + z.Name
}

// list joins things for people.
func list[T any](all []T) string {
	texts := make([]string, 0, len(all))
	for _, v := range all {
		texts = append(texts, fmt.Sprint(v))
	}
	return strings.Join(texts, ", ")
}

// clock checks that somebody keeps the time: rules expire by it, and feeds
// are fetched over TLS.
func (e *examination) clock() {
	c := e.Clock()
	switch {
	case !c.Known:
		e.fine("clock", "this system does not say whether its clock is synchronized")
	case c.Synced:
		e.fine("clock", "the clock is synchronized; it is %s", e.Now().UTC().Format(time.RFC3339))
	case e.exists("/.dockerenv") || e.exists("/run/.containerenv") || e.exists("/run/systemd/container"):
		e.fine("clock", "in a container the clock is the host's, which does not say whether it is synchronized")
	default:
		e.bad("clock", "run a time service: systemctl enable --now systemd-timesyncd, or chrony",
			"the kernel says that the clock is not synchronized; it is %s. Rules expire by it, and feeds need it for TLS",
			e.Now().UTC().Format(time.RFC3339))
	}
}

// known reports what the running proxy knows to be wrong.
func (e *examination) known() {
	s := &e.status
	slices.SortStableFunc(s.Zones, func(a, b ListStatus) int { return cmp.Compare(a.Zone, b.Zone) })
	for _, l := range s.Zones {
		fix, place := "dnsblproxy lookup 127.0.0.2 shows what the list answers; see its own pages", ""
		for _, z := range e.Zones {
			switch {
			case z.Name != l.Zone:
			case z.Data != "":
				fix = z.Data + ": mend the file, or name another"
			default:
				place = z.Place + ": "
				fix = place
				if l.State == "unreachable" {
					fix += "see that whom it is asked through answers (via, or servers in [resolver]); "
				}
				fix += `if the list is gone for good, take the zone out or set mode = "off"`
			}
		}
		if b := l.Budget; b.Limit > 0 && b.Used >= b.Limit {
			e.bad("lists", place+"raise budget as far as the list permits; dnsblproxy report --since 1d shows what is asked",
				"%s is asked nothing more today: its budget of %d questions is spent", l.Zone, b.Limit)
		}
		if l.State == "" || l.State == "healthy" {
			continue
		}
		e.bad("lists", fix, "%s is %s: %s", l.Zone, l.State, cmp.Or(l.Reason, "no reason is known"))
	}
	e.fine("lists", "all lists answer as lists do, and data files can be read")
	for _, src := range s.Sources {
		if src.LastError == "" {
			continue
		}
		since := "what it said at " + src.LastSuccess.UTC().Format(time.RFC3339) + " is in force"
		switch {
		case src.LastSuccess.IsZero():
			since = "it was never loaded, so nothing is exempt by it"
		case !src.InForce: // an SPF record or a host, after a day or when it opens too much
			since = "nothing of " + since + " any more"
		}
		e.bad("sources", e.Place(src.Action, src.Rule)+": correct it, or take it out", "rule %s: %s: %s; %s", src.Rule, src.Source, src.LastError, since)
	}
	e.fine("sources", "every file, feed and domain of the rules could be read")
}

// clients checks who may ask. The whole internet config refuses.
func (e *examination) clients() {
	for _, c := range e.Clients {
		a, bits := c.Prefix.Addr(), c.Prefix.Bits()
		own := a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
		if own || a.Is4() && bits >= 24 || a.Is6() && bits >= 48 {
			continue
		}
		e.bad("clients", c.Place+": name the addresses of the mail servers alone",
			"clients lets the whole of %s ask: whoever may ask spends the lists' quota, and can use the server for attacks", c.Prefix)
	}
	e.fine("clients", "only near addresses may ask")
}
