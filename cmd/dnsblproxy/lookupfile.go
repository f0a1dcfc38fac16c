package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sync/errgroup"

	"dnsblproxy/cmd/dnsblproxy/internal/admin"
	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/resolver/rbl"
)

// fileRow is one zone's decision about one address of a file. Then and what
// follows is what another configuration would decide; empty without one.
type fileRow struct {
	Address string `json:"address"`
	admin.Answer
	Then        string   `json:"then,omitempty"`
	ThenCodes   []string `json:"then_codes,omitempty"`
	ThenRule    string   `json:"then_rule,omitempty"`
	ThenObserve bool     `json:"then_observe,omitempty"`
}

// lookupFile looks up every address of a file and prints the decisions, or
// with --against those that would change.
func (a *app) lookupFile(ctx context.Context, f lookupFlags) error {
	addrs, err := a.readAddresses(f.from)
	if err != nil {
		return err
	}
	c, err := a.loadAsked(ctx)
	if err != nil {
		return err
	}
	now, end, err := a.decider(ctx, c)
	if err != nil {
		return err
	}
	defer end()
	var then decider
	if f.against != "" {
		o := loadOptions(a.lists)
		o.Flag = "--against"
		other, err := config.Load(f.against, o)
		if err != nil {
			return err
		}
		var end func()
		if then, end, err = a.own(ctx, other); err != nil {
			return err
		}
		defer end()
	}
	rows := compare(ctx, addrs, now, then)
	if a.json {
		return printList(a, rows)
	}
	var failed error
	err = a.table(func(w *tabwriter.Writer) {
		if then != nil {
			failed = printChanges(w, len(addrs), rows)
		} else {
			failed = printRows(w, rows)
		}
	})
	return cmp.Or(failed, err)
}

// printRows lets go of some rows at a time. Columns need not line up over more.
func printRows(w *tabwriter.Writer, rows iter.Seq2[[]fileRow, error]) error {
	for some, err := range rows {
		for _, r := range some {
			r.print(w)
		}
		if err := errors.Join(err, w.Flush()); err != nil {
			return err
		}
	}
	return nil
}

// printChanges puts last what may be no change at all.
func printChanges(w *tabwriter.Writer, addrs int, rows iter.Seq2[[]fileRow, error]) error {
	var sure, unsure []fileRow
	for some, err := range rows {
		if err != nil {
			return err
		}
		for _, r := range some {
			if r.unsure() {
				unsure = append(unsure, r)
			} else {
				sure = append(sure, r)
			}
		}
	}
	fmt.Fprintf(w, "%d addresses, %d decisions would change\n", addrs, len(sure))
	for _, r := range sure {
		r.print(w)
	}
	if len(unsure) > 0 {
		fmt.Fprintf(w, "%d more differ, but one of the two could not ask the list:\n", len(unsure))
	}
	for _, r := range unsure {
		r.print(w)
	}
	return nil
}

// lookupsAtOnce bounds what a file asks of the lists at a time, and of the
// server to half of what that answers at once.
const lookupsAtOnce = 8

// lookupsAhead is how many addresses are decided about before their rows are
// printed: a log has more than there is memory for.
const lookupsAhead = 128 * lookupsAtOnce

// compare decides about every address, and yields the rows of some at a time.
// With then, only rows that differ remain.
func compare(ctx context.Context, addrs []netip.Addr, now, then decider) iter.Seq2[[]fileRow, error] {
	return func(yield func([]fileRow, error) bool) {
		for some := range slices.Chunk(addrs, lookupsAhead) {
			rows, err := compareSome(ctx, some, now, then)
			if !yield(rows, err) || err != nil {
				return
			}
		}
	}
}

func compareSome(ctx context.Context, addrs []netip.Addr, now, then decider) ([]fileRow, error) {
	found := make([][]fileRow, len(addrs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookupsAtOnce)
	for i, addr := range addrs {
		g.Go(func() error {
			s := rbl.AddrSubject(addr)
			before, err := now(ctx, s)
			if err != nil {
				return err
			}
			if then == nil {
				for _, b := range before {
					found[i] = append(found[i], fileRow{Address: addr.String(), Answer: b})
				}
				return nil
			}
			after, err := then(ctx, s)
			found[i] = changes(addr.String(), before, after)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// changes pairs the decisions of two configurations. A zone that one of them
// does not have is "not served" there.
func changes(addr string, before, after []admin.Answer) []fileRow {
	const unserved = "not served"
	var rows []fileRow
	for _, b := range before {
		then := admin.Answer{Verdict: unserved}
		if i := slices.IndexFunc(after, func(x admin.Answer) bool { return x.Zone == b.Zone }); i >= 0 {
			if then = after[i]; same(&then, &b) {
				continue
			}
		}
		rows = append(rows, changed(addr, b, then))
	}
	for _, x := range after {
		if !slices.ContainsFunc(before, func(b admin.Answer) bool { return b.Zone == x.Zone }) {
			b := x
			b.Verdict, b.Codes, b.Rule, b.Observe = unserved, []string{}, "", false
			rows = append(rows, changed(addr, b, x))
		}
	}
	return rows
}

func changed(addr string, before, then admin.Answer) fileRow {
	return fileRow{Address: addr, Answer: before,
		Then: then.Verdict, ThenCodes: then.Codes, ThenRule: then.Rule, ThenObserve: then.Observe}
}

// same reports whether two decisions are one for the mail server, which is
// told of no listing where the zone only observes.
func same(l, o *admin.Answer) bool {
	listing := l.Verdict == "listed" || l.Verdict == "denied"
	return l.Verdict == o.Verdict && slices.Equal(l.Codes, o.Codes) && (l.Observe == o.Observe || !listing)
}

// unsure reports whether a list's own answer stands against none: that may be
// the list's doing, and not the configuration's.
func (r *fileRow) unsure() bool {
	answer := func(verdict string) bool { return verdict == "listed" || verdict == "unlisted" }
	return r.Verdict == "failed" && answer(r.Then) || answer(r.Verdict) && r.Then == "failed"
}

func (r *fileRow) print(w *tabwriter.Writer) {
	verdict, why := brief(r.Verdict, r.Observe), because(r.Codes, r.Rule)
	if r.Then != "" {
		verdict += " -> " + brief(r.Then, r.ThenObserve)
		switch then := because(r.ThenCodes, r.ThenRule); {
		case why == "":
			why = then
		case then != "" && then != why:
			why += " -> " + then
		}
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Address, r.Zone, verdict, why)
}

func brief(verdict string, observe bool) string {
	if observe {
		return verdict + " (observe)"
	}
	return verdict
}

func because(codes []string, rule string) string {
	why := strings.Join(codes, ", ")
	if rule != "" {
		why = strings.TrimSpace(why + " rule " + rule)
	}
	return why
}

// readAddresses reads the file, or standard input for "-", each address once,
// in order. Lines of a list that it cannot read are told of.
func (a *app) readAddresses(path string) ([]netip.Addr, error) {
	in, name, err := a.open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	found, err := clientAddresses(in)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", name, err)
	case len(found.addrs) == 0:
		return nil, fmt.Errorf("%s holds no address: write one a line, or hand in a Postfix log, a compressed one by way of zcat", name)
	case found.odd > 0 && !found.log:
		fmt.Fprintf(a.err, "%s: %d lines hold no address and are left out, the first of them %.80q\n", name, found.odd, found.first)
	}
	return found.addrs, nil
}

// postfixClient finds the client of a Postfix log line: "connect from
// mail.example.com[192.0.2.1]", "client=unknown[2001:db8::1]:25", "CONNECT
// from [192.0.2.1]:1234 to ...".
var postfixClient = regexp.MustCompile(`(?:\bfrom |\bclient=)[^\s\[\],;]*\[([0-9a-fA-F:.]+)\]`)

// clients is what a file holds.
type clients struct {
	addrs []netip.Addr
	log   bool   // there is a line of Postfix in it
	odd   int    // lines without an address
	first string // of these
}

func clientAddresses(r io.Reader) (out clients, err error) {
	seen := map[netip.Addr]bool{}
	lines := bufio.NewReaderSize(r, 1<<16)
	for {
		line, _, err := lines.ReadLine() // a longer one, such as what a crash filled with zeros, comes in parts
		switch {
		case err == io.EOF:
			return out, nil
		case err != nil:
			return out, err
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(string(line), "\ufeff"), "#")
		if m := postfixClient.FindStringSubmatch(text); m != nil {
			text, out.log = m[1], true
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		addr, err := netip.ParseAddr(text)
		if err != nil {
			if out.odd++; out.odd == 1 {
				out.first = text
			}
			continue
		}
		if addr = addr.Unmap().WithZone(""); !seen[addr] {
			seen[addr] = true
			out.addrs = append(out.addrs, addr)
		}
	}
}
