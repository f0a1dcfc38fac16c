package overrides

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/itchyny/gojq"
)

// Bounds of one fetch of a feed.
const (
	maxFeed      = 32 << 20
	feedTimeout  = 30 * time.Second
	maxRedirects = 5
	maxWhy       = 1000 // octets of an error's text
)

// feedFetcher loads a published feed.
type feedFetcher struct {
	rule      *Rule
	code      *gojq.Code // nil without jq
	client    *http.Client
	userAgent string
}

func (e *Engine) newFeedFetcher(r *Rule) *feedFetcher {
	f := &feedFetcher{rule: r, userAgent: e.opts.UserAgent}
	if r.JQ != "" {
		f.code, _ = compileJQ(r.JQ) // Validate has seen that it compiles
	}
	f.client = &http.Client{Transport: e.opts.Transport, CheckRedirect: f.redirect}
	return f
}

// redirect follows to https only; from loopback also to loopback, which is as
// near as the feed itself, and with insecure from http to http. Where it leads
// nobody is told whence, which may hold a key.
func (f *feedFetcher) redirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer")
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if req.URL.Scheme == "https" {
		return nil
	}
	first := via[0].URL
	if req.URL.Scheme == "http" && first.Scheme == "http" &&
		(f.rule.Insecure || loopbackHost(first.Hostname()) && loopbackHost(req.URL.Hostname())) {
		return nil
	}
	return fmt.Errorf("it redirects to %s, which is not https", f.rule.publicURL(req.URL.String()))
}

// fetched is one answer of the feed's server.
type fetched struct {
	body  []byte
	whole bool // something says that nothing is missing from the body's end
	same  bool // 304: what we have still holds
	valid validators
	ttl   time.Duration
}

// fetch asks for the feed and judges what comes. Nothing but a plausible set
// replaces the last good one. What went wrong is said without the URL's key,
// which DNS, TLS and the server may all repeat, and in brief: a line of what is no
// HTTP is repeated as a whole, up to 10 MiB of it.
func (f *feedFetcher) fetch(ctx context.Context, have known) result {
	r := f.load(ctx, have)
	if r.err != nil {
		text := f.rule.hide(r.err.Error())
		r.err = errors.New(strings.ToValidUTF8(text[:min(len(text), maxWhy)], ""))
	}
	return r
}

func (f *feedFetcher) load(ctx context.Context, have known) result {
	ctx, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	if have.content.empty() {
		have.valid = nil // nothing is there that could still hold
	}
	got, err := f.get(ctx, have.valid)
	if err != nil {
		return result{err: err, shrunk: have.shrunk}
	}
	if got.same {
		return result{content: have.content, valid: have.valid, ttl: got.ttl}
	}
	ranges, err := readFeed(ctx, got.body, f.code)
	if err != nil {
		return result{err: err, shrunk: have.shrunk, ttl: got.ttl}
	}
	c := contentOfRanges(ranges, nil)
	if err := guard(f.rule, c); err != nil {
		return result{err: err, lasting: true, shrunk: have.shrunk, ttl: got.ttl}
	}
	if err := have.shorter(c, got.whole); err != nil {
		return result{err: err, lasting: got.whole, shrunk: c, ttl: got.ttl}
	}
	// Only of what was taken may the server say that it still holds.
	return result{content: c, valid: got.valid, ttl: got.ttl}
}

// shorter refuses a set that lacks more than half of the addresses in force, of
// either family, until the same is seen a second time: half a document, or
// another one in its place, is likelier than that. If nothing says that the
// document is whole, one address is enough.
func (have *known) shorter(c *content, whole bool) error {
	if have.content.empty() || have.shrunk.equal(c) {
		return nil
	}
	o4, o6 := have.content.counts()
	k4, k6 := have.content.common(c)
	what := "it has lost more than half of its addresses"
	if k4.float() >= o4.float()/2 && k6.float() >= o6.float()/2 {
		if whole || k4 == o4 && k6 == o6 {
			return nil
		}
		what = "it has lost addresses and may have been cut short"
	}
	return fmt.Errorf("%s (of %.0f IPv4 it keeps %.0f, of %.3g IPv6 %.3g); the last good set stays until the same is seen twice",
		what, o4.float(), k4.float(), o6.float(), k6.float())
}

func (f *feedFetcher) get(ctx context.Context, valid validators) (fetched, error) {
	u, _ := url.Parse(f.rule.URL) // Validate has seen that it is a URL
	if u.Scheme == "file" {
		body, err := readBounded(u.Path, maxFeed)
		if err != nil {
			return fetched{}, fmt.Errorf("reading the feed: %w", err)
		}
		return fetched{body: body, whole: isJSON(body)}, nil // it may be just being written
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, f.rule.URL, nil) // so that this has no fault
	req.Header.Set("User-Agent", f.userAgent)
	req.Header.Set("Accept", "application/json, text/plain, */*;q=0.5")
	conditional := valid.ask(req.Header)
	resp, err := f.client.Do(req)
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // without the URL, which may hold a key
	}
	if err != nil {
		return fetched{}, fmt.Errorf("fetching the feed: %w", err)
	}
	defer resp.Body.Close()
	return f.readAnswer(resp, conditional)
}

func (f *feedFetcher) readAnswer(resp *http.Response, conditional bool) (fetched, error) {
	got := fetched{ttl: maxAge(resp.Header.Get("Cache-Control"))}
	if resp.StatusCode == http.StatusNotModified && conditional {
		got.same = true
		return got, nil
	}
	if resp.StatusCode != http.StatusOK {
		return fetched{}, fmt.Errorf("fetching the feed: the server answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxFeed+1))
	if err != nil {
		return fetched{}, fmt.Errorf("reading the feed: %w", err)
	}
	if len(body) > maxFeed {
		return fetched{}, fmt.Errorf("reading the feed: it is larger than %d MiB", maxFeed>>20)
	}
	got.body = body
	// A body that neither has a length nor comes in chunks or frames ends where
	// the connection does, for whatever reason (RFC 9112, section 8).
	framed := resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0 || resp.ProtoMajor >= 2 || resp.Uncompressed
	if got.whole = framed || isJSON(body); got.whole {
		got.valid = validatorsOf(resp.Header, f.userAgent)
	}
	return got, nil
}

// maxAge returns the max-age of a Cache-Control header, a day at most.
func maxAge(header string) time.Duration {
	for part := range strings.SplitSeq(header, ",") {
		v, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(part)), "max-age=")
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(strings.Trim(v, `"`), 10, 64); err == nil {
			return time.Duration(min(n, uint64(maxRefresh/time.Second))) * time.Second
		}
	}
	return 0
}

// isJSON tells JSON from text by the first byte that counts; no text entry
// begins with one of these, for no address, comment or domain does.
func isJSON(body []byte) bool {
	b := bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(b) > 0 && (b[0] == '{' || b[0] == '[' || b[0] == '"')
}
