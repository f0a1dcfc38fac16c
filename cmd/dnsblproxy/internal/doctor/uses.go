package doctor

import (
	"cmp"
	"net"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
)

// use is one place where a program asks a list.
type use struct {
	zone  string // lower case, no trailing dot; may hold a key
	who   string // "Postfix", "Exim", "rspamd" or "SpamAssassin"
	place string // "/etc/postfix/main.cf:12"

	// hidden says that the name is kept out of what others are told.
	hidden bool

	// shipped says that rspamd comes with it.
	shipped bool
}

// lists finds the lists that the mail server and its filters ask.
func (e *examination) lists() []use {
	return slices.Concat(e.postfix(), e.exim(), e.rspamd(), e.spamAssassin())
}

// spamAssassin finds the lists of rules in local files.
func (e *examination) spamAssassin() []use {
	rule := regexp.MustCompile(`^\s*(?:header\s+\S+\s+eval:check_rbl\w*\(\s*['"][^'"]*['"]\s*,\s*['"]([^'"]+)['"]|` +
		`(?:urirhsbl|urirhssub|uridnsbl|uridnssub|urinsrhsbl|urinsrhssub|urifullnsrhsbl|urifullnsrhssub)\s+\S+\s+(\S+))`)
	var all []use
	for place, text := range e.lines(e.glob("/etc/spamassassin/*.cf", "/etc/mail/spamassassin/*.cf")...) {
		if m := rule.FindStringSubmatch(text); m != nil {
			if zone, ok := zoneName(m[1] + m[2]); ok { // one of them is empty
				all = append(all, use{zone: zone, who: "SpamAssassin", place: place})
			}
		}
	}
	return all
}

// zoneName brings the name of a list into the form of use.zone; ok is false
// for what is no name of two labels or more.
func zoneName(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	valid := strings.Contains(s, ".") && !strings.HasPrefix(s, ".") && !strings.Contains(s, "..")
	for _, c := range s {
		valid = valid && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return "", false
	}
	return s, valid
}

// token is a word of main.cf and where it stands.
type token struct{ text, place string }

// mainCf reads Postfix's main.cf: parameters with the words of their values.
// A line that begins with a blank goes on with the one above (postconf(5)).
func (e *examination) mainCf() map[string][]token {
	params := map[string][]token{}
	name := ""
	for place, text := range e.lines("/etc/postfix/main.cf") {
		trimmed := strings.TrimSpace(text)
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		if text[0] != ' ' && text[0] != '\t' {
			var ok bool
			if name, trimmed, ok = strings.Cut(trimmed, "="); !ok {
				continue
			}
			name = strings.TrimSpace(name)
			params[name] = nil // the last one counts
		}
		for _, word := range strings.FieldsFunc(trimmed, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' }) {
			params[name] = append(params[name], token{word, place})
		}
	}
	return params
}

// postfixQueue is the folder in which Postfix's daemons are locked up.
func (e *examination) postfixQueue() string {
	if words := e.mainCf()["queue_directory"]; len(words) == 1 && path.IsAbs(words[0].text) {
		return words[0].text
	}
	return "/var/spool/postfix"
}

// asksList are the restrictions whose next word is a list. postconf(5).
var asksList = regexp.MustCompile(`^(?:reject_rbl_client|reject_rhsbl_\w+|permit_dnswl_client|permit_rhswl_client|reject_maps_rbl)$`)

// postfix finds the lists in main.cf and in the overrides of master.cf.
func (e *examination) postfix() []use {
	params := e.mainCf()
	hideSMTPD, hideScreen := len(params["rbl_reply_maps"]) > 0, len(params["postscreen_dnsbl_reply_map"]) > 0
	var all []use
	add := func(t token, hidden bool) {
		name, _, _ := strings.Cut(expand(params, t.text), "=")
		name, _, _ = strings.Cut(name, "*")
		if zone, ok := zoneName(name); ok {
			all = append(all, use{zone: zone, who: "Postfix", place: t.place, hidden: hidden})
		}
	}
	for param, words := range params {
		for i, t := range words {
			switch {
			case param == "postscreen_dnsbl_sites" || param == "maps_rbl_domains":
				add(t, hideScreen && param == "postscreen_dnsbl_sites")
			case i > 0 && asksList.MatchString(words[i-1].text):
				add(t, hideSMTPD)
			}
		}
	}
	for place, text := range e.lines("/etc/postfix/master.cf") {
		if strings.HasPrefix(text, "#") {
			continue
		}
		words := strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" \t\n,={}", c) })
		for i := 1; i < len(words); i++ {
			if asksList.MatchString(words[i-1]) {
				add(token{words[i], place}, hideSMTPD)
			}
		}
	}
	sortUses(all)
	return all
}

// expand replaces a word that is one $parameter by its value, if that is one
// word.
func expand(params map[string][]token, word string) string {
	for range 5 { // deeper is a circle
		name, ok := strings.CutPrefix(word, "$")
		if !ok {
			break
		}
		value := params[strings.Trim(name, "{}()")]
		if len(value) != 1 {
			break
		}
		word = value[0].text
	}
	return word
}

// exim finds dnslists conditions, and Debian's CHECK_RCPT_IP_DNSBLS.
func (e *examination) exim() []use {
	files := e.glob("/etc/exim4/exim4.conf", "/etc/exim4/exim4.conf.template", "/etc/exim4/exim4.conf.localmacros",
		"/etc/exim4/conf.d/*/*", "/etc/exim/exim.conf", "/etc/exim.conf")
	start := regexp.MustCompile(`^\s*(?:(?:[a-z]+\s+)?!?\s*dnslists|CHECK_RCPT_(?:IP|DOMAIN)_DNSBLS)\s*=(.*)`)
	var all []use
	for _, file := range files {
		inside := false
		for place, text := range e.lines(file) {
			text = strings.TrimRight(text, "\n")
			if m := start.FindStringSubmatch(text); m != nil {
				inside, text = true, m[1]
			}
			if !inside || strings.HasPrefix(strings.TrimSpace(text), "#") {
				continue
			}
			rest, more := strings.CutSuffix(text, `\`)
			for _, item := range strings.FieldsFunc(rest, func(c rune) bool { return c == ':' || c == ',' }) {
				item = strings.TrimLeft(strings.TrimSpace(item), "!")
				if i := strings.IndexAny(item, "=&/! "); i >= 0 {
					item = item[:i]
				}
				if zone, ok := zoneName(item); ok {
					all = append(all, use{zone: zone, who: "Exim", place: place})
				}
			}
			inside = more
		}
	}
	return all
}

// ownResolvers are those that filters ask instead of the system's.
func (e *examination) ownResolvers() []Server {
	var all []Server
	for _, file := range []string{"/etc/rspamd/options.inc", "/etc/rspamd/local.d/options.inc", "/etc/rspamd/override.d/options.inc"} {
		var named []Server
		e.settings(file, func(_ []string, key, value, place string) {
			if key == "nameserver" {
				named = append(named, addresses(value, place)...)
			}
		})
		if len(named) > 0 { // a later file replaces what an earlier one names
			all = named
		}
	}
	for place, text := range e.lines(e.glob("/etc/spamassassin/*.cf", "/etc/mail/spamassassin/*.cf")...) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(text), "dns_server"); ok {
			all = append(all, addresses(value, place)...)
		}
	}
	return all
}

var address = regexp.MustCompile(`(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:.]+\])(?::(\d+))?`) // SpamAssassin has [127.0.0.1]:53 too

// addresses are those of servers in a text, with port 53 where there is none.
func addresses(text, place string) (all []Server) {
	for _, a := range address.FindAllStringSubmatch(text, -1) {
		host, port := strings.Trim(a[1], "[]"), cmp.Or(a[2], "53")
		if at, err := netip.ParseAddrPort(net.JoinHostPort(host, port)); err == nil {
			all = append(all, Server{at, place})
		}
	}
	return all
}
