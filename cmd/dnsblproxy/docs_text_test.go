package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dnsblproxy/resolver/rbl"
)

func unquote(t *testing.T, s string) string {
	t.Helper()
	text, err := strconv.Unquote(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return text
}

// cell makes a text fit for a cell of a Markdown table.
func cell(s string) string {
	s = strings.ReplaceAll(s, "|", `\|`)
	return strings.ReplaceAll(strings.ReplaceAll(s, "<", "&lt;"), "\n", " ")
}

// code is cell for what is typed.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}

func configReference(settings []setting) []byte {
	var b bytes.Buffer
	b.WriteString("# Configuration\n\n" + generated)
	b.WriteString("One file in TOML: `--config FILE`, else `config.toml` in the working directory, else\n`/etc/dnsblproxy/config.toml`. `dnsblproxy check` reads it and names every mistake with its line.\n" +
		"Durations are written `\"90s\"`, sizes `\"64MiB\"`; relative paths start at the file's folder; `${NAME}` stands\nfor an environment variable in `upstream`, `url`, `secret`, `token` and a webhook of `notify`, or for its line `NAME=...` in the\nfile `environment` beside the configuration. A zone's NAME is what the mail server asks, in quotes because\nof its dots (`[zone.\"zen.spamhaus.org\"]`); that of a rule or a watch is yours to choose.\n" +
		"[config.example.toml](../config.example.toml) shows all of it in use.\n")
	table := "-"
	for _, s := range settings {
		if s.Table != table {
			table = s.Table
			title := "The top of the file"
			if table != "" {
				title = "`" + table + "`"
			}
			fmt.Fprintf(&b, "\n## %s\n\n| key | default | what to write | why |\n| --- | --- | --- | --- |\n", title)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Name, code(s.Default), cell(s.Want), cell(s.Why))
	}
	return b.Bytes()
}

func listsReference(t *testing.T) []byte {
	t.Helper()
	table := rbl.Builtin()
	var b bytes.Buffer
	b.WriteString("# Lists that are known\n\n" + generated)
	b.WriteString("A zone whose `upstream` is one of these needs no more than its name: what it knows, codes, their meaning and the\nlist's way of saying \"I do not answer you\" are built in. What the configuration says beats this table. It says what is\nknown of a list, not that the list is a good one. \"Any code\" is 127.0.0.0/8 without 127.0.0.1 and\n127.255.255.0/24.\n\n" +
		"| zone | list | knows | a listing is | before you ask it |\n| --- | --- | --- | --- | --- |\n")
	for _, l := range table.All() {
		if l.Dead != nil {
			continue
		}
		name := "[" + cell(l.Name) + "](" + l.Docs + ")"
		if l.Docs == "" {
			name = cell(l.Name)
		}
		if l.Kind == rbl.Allow {
			name += ", an allowlist"
		}
		zone := code(l.Zone)
		for _, keyed := range l.Keyed {
			zone += "<br>`KEY." + keyed + "`"
		}
		listed := l.Listed.String()
		if listed == rbl.DefaultListed().String() {
			listed = "any code"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", zone, name, strings.Join(l.Holds.Strings(), ", "), cell(listed),
			cell(strings.Trim(l.Access+"; "+l.Note, "; ")))
	}
	b.WriteString("\n## Dead lists\n\nA zone that asks one of these, or anything below it, is refused unless its `mode` is `\"off\"`: dead lists tend to list\neverybody one day.\n\n" +
		"| zone | list | since | why |\n| --- | --- | --- | --- |\n")
	for _, l := range table.All() {
		if l.Dead != nil {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", l.Zone, cell(l.Name), l.Dead.Since, cell(l.Dead.Reason))
		}
	}
	return b.Bytes()
}

func addCompletions(t *testing.T, files map[string][]byte, root *cobra.Command) {
	t.Helper()
	var bash, zsh, fish bytes.Buffer
	for _, err := range []error{
		root.GenBashCompletionV2(&bash, true), root.GenZshCompletion(&zsh), root.GenFishCompletion(&fish, true),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	files["completion/dnsblproxy.bash"] = bash.Bytes()
	files["completion/_dnsblproxy"] = zsh.Bytes()
	files["completion/dnsblproxy.fish"] = fish.Bytes()
}

// roff makes the characters that troff would take for its own harmless.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

// paragraphs writes text with blank lines between its paragraphs; what is
// indented by two blanks stays as it is.
func paragraphs(b *bytes.Buffer, text string) {
	pre := false
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		indented := strings.HasPrefix(line, "  ")
		switch {
		case indented && !pre:
			b.WriteString(".RS 4\n.nf\n")
			pre = true
		case pre && !indented:
			b.WriteString(".fi\n.RE\n")
			pre = false
		}
		switch {
		case line == "":
			b.WriteString(".PP\n")
		case indented:
			b.WriteString(roff(line[2:]) + "\n")
		default:
			b.WriteString(roff(line) + "\n")
		}
	}
	if pre {
		b.WriteString(".fi\n.RE\n")
	}
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func addManPages(files map[string][]byte, c *cobra.Command) {
	files["man/"+manName(c)+".1"] = manPage(c)
	for _, sub := range documented(c) {
		addManPages(files, sub)
	}
}

// documented are the commands that people are told of.
func documented(c *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(c.Commands()), func(sub *cobra.Command) bool {
		return sub.Hidden || sub.Name() == "help" || sub.Name() == "completion"
	})
}

// manPage carries neither date nor version: it changes with the command only.
func manPage(c *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".\\\" Made by \"make docs\" from the code; do not edit.\n.TH %s 1 \"\" dnsblproxy \"User Commands\"\n.nh\n.ad l\n", strings.ToUpper(roff(manName(c))))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", roff(manName(c)), roff(c.Short))
	use := c.UseLine()
	if subs := documented(c); len(subs) > 0 {
		use = c.CommandPath() + " COMMAND [flags]"
	}
	fmt.Fprintf(&b, ".B %s\n%s\n.SH DESCRIPTION\n", roff(c.CommandPath()), roff(strings.TrimSpace(strings.TrimPrefix(use, c.CommandPath()))))
	text := c.Long
	if text == "" {
		text = strings.ToUpper(c.Short[:1]) + c.Short[1:] + "."
	}
	paragraphs(&b, text)
	if subs := documented(c); len(subs) > 0 {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range subs {
			fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", roff(manName(sub)), roff(sub.Short))
		}
	}
	b.WriteString(".SH OPTIONS\n")
	options := func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		if value != "" {
			value = " \\fI" + roff(value) + "\\fR"
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(&b, ".TP\n\\fB\\-\\-%s\\fR%s\n%s\n", roff(f.Name), value, roff(usage))
	}
	c.NonInheritedFlags().VisitAll(options)
	c.InheritedFlags().VisitAll(options)
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n")
		paragraphs(&b, c.Example)
	}
	b.WriteString(".SH EXIT STATUS\n0 when done, 1 when something failed, 2 when the command line or the configuration is wrong.\n")
	b.WriteString(".SH FILES\n.TP\n.I /etc/dnsblproxy/config.toml\nthe configuration, unless config.toml stands in the working directory or \\-\\-config names another\n")
	b.WriteString(".SH SEE ALSO\n" + seeAlso(c) + "\n")
	return b.Bytes()
}

func seeAlso(c *cobra.Command) string {
	var pages []string
	if c.HasParent() {
		pages = append(pages, manName(c.Parent())+" 1")
		for _, sibling := range documented(c.Parent()) {
			if sibling != c {
				pages = append(pages, manName(sibling)+" 1")
			}
		}
	}
	pages = append(pages, "dnsblproxy.toml 5")
	for i, p := range pages {
		name, section, _ := strings.Cut(p, " ")
		pages[i] = ".BR " + roff(name) + " (" + section + ")"
		if i < len(pages)-1 {
			pages[i] += ","
		}
	}
	return strings.Join(pages, "\n")
}

func configManPage(settings []setting) []byte {
	var b bytes.Buffer
	b.WriteString(".\\\" Made by \"make docs\" from the code; do not edit.\n.TH DNSBLPROXY.TOML 5 \"\" dnsblproxy \"File Formats\"\n.nh\n.ad l\n" +
		".SH NAME\ndnsblproxy.toml \\- configuration of dnsblproxy\n.SH DESCRIPTION\n")
	paragraphs(&b, `dnsblproxy reads one file in TOML: --config FILE, else config.toml in the
working directory, else /etc/dnsblproxy/config.toml. "dnsblproxy check" names
every mistake in it with its line.

Durations are written "90s", sizes "64MiB". Relative paths start at the file's
folder. ${NAME} stands for an environment variable in upstream, url, secret,
token and a webhook of notify, or for its line NAME=... in the file
"environment" beside the configuration.

A zone's NAME is what the mail server asks, in quotes because of its dots:
[zone."zen.spamhaus.org"]. That of a rule or a watch is yours to choose.`)
	table := "-"
	for _, s := range settings {
		if s.Table != table {
			table = s.Table
			title := table
			if table == "" {
				title = "The top of the file"
			}
			fmt.Fprintf(&b, ".SH %s\n", roff(title))
		}
		fmt.Fprintf(&b, ".TP\n.B %s\n%s.\n", roff(s.Name), roff(strings.TrimSuffix(s.Why, ".")))
		fmt.Fprintf(&b, "Write %s", roff(s.Want))
		if s.Default != "" {
			fmt.Fprintf(&b, "; default %s", roff(s.Default))
		}
		b.WriteString(".\n")
	}
	b.WriteString(".SH SEE ALSO\n.BR dnsblproxy (1),\n.BR dnsblproxy\\-check (1)\n")
	return b.Bytes()
}
