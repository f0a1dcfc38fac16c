package overrides

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/itchyny/gojq"
)

// maxValues bounds what a feed is taken apart into. A feed of maxFeed has no more
// unless it is made to fill memory: a value costs up to 400 bytes, which 32 MiB
// of "{}," would turn into gigabytes.
const maxValues = 1 << 21

// maxDigits bounds a number: reading one costs jq the square of its length, and
// nothing can stop it. One of 32 MiB would take most of an hour.
const maxDigits = 1000

// readFeed returns the ranges of a feed's body. Text has an entry a line with
// # or ; comments, and every line must be one. JSON may be several documents,
// such as one a line. With a program: every string it gives must be an entry.
// Without: every string of a document that is as a whole an address, CIDR or
// range; what looks like a CIDR must be one. A feed without any is an error,
// because nobody publishes one on purpose.
func readFeed(ctx context.Context, body []byte, code *gojq.Code) ([]Range, error) {
	var ranges []Range
	var err error
	switch {
	case isJSON(body):
		ranges, err = readJSONFeed(ctx, body, code)
	case code != nil:
		return nil, errors.New("the feed is not JSON, but the rule has a jq program")
	default:
		ranges, err = readTextFeed(body)
	}
	if err != nil {
		return nil, err
	}
	if len(ranges) == 0 {
		return nil, errors.New("the feed holds no address")
	}
	return ranges, nil
}

func readTextFeed(body []byte) ([]Range, error) {
	if bytes.Count(body, []byte{'\n'}) > maxValues {
		return nil, fmt.Errorf("the feed has more than %d lines", maxValues)
	}
	var out []Range
	for line, text := range entryLines(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), "#;") {
		if len(text) > maxEntry {
			return nil, fmt.Errorf("line %d of the feed has %d bytes", line, len(text))
		}
		r, err := ParseRange(string(text))
		if err != nil {
			return nil, fmt.Errorf("line %d of the feed: %w", line, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func readJSONFeed(ctx context.Context, body []byte, code *gojq.Code) ([]Range, error) {
	if bytes.Count(body, []byte{','})+bytes.Count(body, []byte{'['})+bytes.Count(body, []byte{'{'}) > maxValues {
		return nil, fmt.Errorf("the feed has more than %d values", maxValues)
	}
	digits := 0
	for _, c := range body {
		if digits++; c < '0' || c > '9' {
			digits = 0
		} else if digits > maxDigits {
			return nil, fmt.Errorf("the feed holds a number of more than %d digits", maxDigits)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, jqTimeout)
	defer cancel()
	var out []Range
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	dec.UseNumber() // which jq computes with
	for {
		var doc any
		err := dec.Decode(&doc)
		switch {
		case err == io.EOF:
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("the feed is broken JSON: %w", err)
		case code != nil:
			out, err = appendJQ(ctx, out, code, doc)
		default:
			err = collectRanges(doc, &out)
		}
		if err != nil {
			return nil, err
		}
	}
}

// collectRanges walks over every string that is a value, in no order.
func collectRanges(v any, out *[]Range) error {
	switch v := v.(type) {
	case string:
		if !rangeLike(v) {
			return nil
		}
		r, err := ParseRange(v)
		if err == nil {
			*out = append(*out, r)
		} else if prefixLike(v) {
			return fmt.Errorf("the feed holds what is no range: %w; or leave it out with jq", err)
		}
	case []any:
		for _, e := range v {
			if err := collectRanges(e, out); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, e := range v {
			if err := collectRanges(e, out); err != nil {
				return err
			}
		}
	}
	return nil
}

// rangeLike keeps the dear parsing and its error from strings that cannot be
// a range.
func rangeLike(s string) bool {
	return len(s) >= 2 && len(s) <= 100 && strings.ContainsAny(s, ".:") &&
		strings.Trim(s, "0123456789abcdefABCDEF.:/- ") == ""
}

// prefixLike tells an address with something behind a slash from dates and
// versions.
func prefixLike(s string) bool {
	addr, _, ok := strings.Cut(s, "/")
	_, err := netip.ParseAddr(addr)
	return ok && err == nil
}
