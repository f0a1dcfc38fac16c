package resolver

import (
	"bytes"
	"regexp"
	"strings"

	"dnsblproxy/resolver/internal/wire"
)

// hider takes keys out of whatever people or their clients get to see, and
// writes names with one in them back to the zone that the MTA asked. What a
// list without a key says is left alone: it may link to the list's own name.
type hider struct {
	from, to wire.Name // upstream and zone
	secret   *regexp.Regexp
	with     map[string]string
}

// newHider returns nil when there is nothing to hide.
func newHider(o *ZoneOptions, from, to wire.Name) *hider {
	if len(o.Secrets) == 0 {
		return nil
	}
	h := &hider{from: from, to: to, with: map[string]string{}}
	// The name before the key in it: what matches first is replaced.
	alternatives := []string{regexp.QuoteMeta(o.Upstream)}
	for _, s := range o.Secrets {
		alternatives = append(alternatives, regexp.QuoteMeta(s))
		h.with[strings.ToLower(s)] = "(key)"
	}
	h.with[strings.ToLower(o.Upstream)] = o.Name
	h.secret = regexp.MustCompile("(?i)" + strings.Join(alternatives, "|"))
	return h
}

// text is s without what is to be hidden.
func (h *hider) text(s string) string {
	if h == nil {
		return s
	}
	return h.secret.ReplaceAllStringFunc(s, func(m string) string { return h.with[strings.ToLower(m)] })
}

// rdata is the RDATA of a record of type typ without what is to be hidden.
// Names in it are uncompressed.
func (h *hider) rdata(typ uint16, rdata []byte) []byte {
	if h == nil {
		return rdata
	}
	switch typ {
	case wire.TypeNS, wire.TypeCNAME, wire.TypePTR:
		return h.names(rdata, 0, 1)
	case wire.TypeMX:
		return h.names(rdata, 2, 1)
	case wire.TypeSOA:
		return h.names(rdata, 0, 2)
	case wire.TypeTXT:
		return h.strings(rdata)
	case wire.TypeA, wire.TypeAAAA:
		return rdata
	}
	// Other types are not for MTAs; what holds a key in any form goes.
	if h.secret.Match(rdata) || bytes.Contains(bytes.ToLower(rdata), h.from) {
		return nil
	}
	return rdata
}

// names rewrites count names that start at off.
func (h *hider) names(rdata []byte, off, count int) []byte {
	out := append([]byte(nil), rdata[:min(off, len(rdata))]...)
	rest := rdata[len(out):]
	for range count {
		end := wire.NameLen(rest)
		if end == 0 {
			return nil
		}
		out = append(out, h.name(wire.Name(rest[:end]))...)
		rest = rest[end:]
	}
	return append(out, rest...)
}

// name is n below the zone instead of below the list; and "hidden." when a
// key is left in it.
func (h *hider) name(n wire.Name) wire.Name {
	low := append(wire.Name(nil), n...)
	low.Lower()
	if labels, ok := low.CutSuffix(h.from); ok && len(labels)+len(h.to) <= wire.MaxName {
		n, low = append(bytes.Clone(labels), h.to...), labels
	}
	if text := low.String(); h.text(text) != text {
		return wire.Name("\x06hidden\x00")
	}
	return n
}

// strings rewrites the text of a TXT record, strings joined.
func (h *hider) strings(rdata []byte) []byte {
	text := packedRecord{typ: wire.TypeTXT, rdata: string(rdata)}.text()
	clean := h.text(text)
	if clean == text {
		return rdata
	}
	return []byte(txt(clean))
}
