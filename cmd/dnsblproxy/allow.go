package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
	"dnsblproxy/overrides"
)

const allowLong = `Shows and edits exemptions. "add", "remove" and "import" edit the file of a
rule, which is the one that its table names:

  [allow.customers]
  file = "allow.d/customers.txt"

The file is replaced as a whole, with comments and order kept, and is in force
within three seconds, without a reload.`

func newAllow(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "allow",
		Short: "show and edit exemptions",
		Long:  allowLong,
		Args:  aCommand,
		RunE: func(*cobra.Command, []string) error {
			return usagef("allow needs one of list, add, remove, import, export")
		},
	}
	cmd.AddCommand(newAllowList(a), newAllowAdd(a), newAllowRemove(a), newAllowImport(a), newAllowExport(a))
	return cmd
}

func newAllowAdd(a *app) *cobra.Command {
	var name, comment, expires string
	cmd := &cobra.Command{
		Use:   "add --rule NAME ADDR...",
		Short: "exempt addresses, prefixes, ranges or .domains",
		Example: `  dnsblproxy allow add --rule customers 192.0.2.7
  dnsblproxy allow add --rule customers --comment "until they have moved" --expires 2027-03-31 198.51.100.0/24`,
		Args: someArgs("an ADDR"),
		RunE: a.does(func(ctx context.Context, args []string) error {
			entries, err := entriesOf(args, expires)
			if err != nil {
				return err
			}
			items := make([]overrides.Item, len(entries))
			for i, e := range entries {
				if e.Ended(time.Now()) {
					return usagef("%s is over; write a later day, or none", e)
				}
				items[i] = overrides.Item{Entry: e, Comment: comment}
			}
			path, err := a.ruleFile(ctx, name, items...)
			if err != nil {
				return err
			}
			added, err := overrides.AddItems(path, items, false)
			if err != nil {
				return err
			}
			return a.edited(path, "added", added, 0)
		}),
	}
	ruleFlag(cmd, &name)
	cmd.Flags().StringVar(&comment, "comment", "", "`TEXT` behind the entries")
	cmd.Flags().StringVar(&expires, "expires", "", "last `DATE` on which they count, such as 2027-03-31")
	return cmd
}

func newAllowRemove(a *app) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "remove --rule NAME ADDR...",
		Short: "take entries out of a rule's file",
		Args:  someArgs("an ADDR"),
		RunE: a.does(func(ctx context.Context, args []string) error {
			entries, err := entriesOf(args, "")
			if err != nil {
				return err
			}
			path, err := a.ruleFile(ctx, name)
			if err != nil {
				return err
			}
			removed, err := overrides.RemoveItems(path, entries)
			if err != nil {
				return err
			}
			defer a.tellExempt(ctx, entries)
			return a.edited(path, "removed", removed, 0)
		}),
	}
	ruleFlag(cmd, &name)
	return cmd
}

// tellExempt says of entries that were removed what exempts them still: what
// the files hold now, and what the running server has loaded from others. It
// says nothing where the configuration is not in order.
func (a *app) tellExempt(ctx context.Context, entries []overrides.Entry) {
	c, err := a.load()
	if err != nil {
		return
	}
	engine, err := overrides.Open(rules(c), overrides.Options{}) // asks nobody
	if err != nil {
		return
	}
	others, _ := inForce(ctx, c) // none without a server
	all := append(slices.Collect(exemptionsIn(c, engine)), slices.DeleteFunc(others, exemption.typed)...)
	annotate(c, all)
	by := make([]*exemption, len(entries))
	for i := range all {
		in, err := overrides.ParseEntry(all[i].Entry) // once, for there may be a million
		if err != nil || all[i].Live {
			continue
		}
		for j, e := range entries {
			if by[j] == nil && in.Overlaps(e) {
				by[j] = &all[i]
			}
		}
	}
	for j, x := range by {
		if x == nil {
			continue
		}
		scope := ""
		if len(x.Zones) > 0 {
			scope = " in " + strings.Join(x.Zones, ", ")
		}
		fmt.Fprintf(a.err, "%s is still exempt%s where rule %s has %s (%s)\n", entries[j], scope, x.Rule, x.Entry, x.place())
	}
}

// inForce is what the running server has in force.
func inForce(ctx context.Context, c *config.Config) ([]exemption, error) {
	cl, err := running(ctx, c)
	if err != nil {
		return nil, err
	}
	all := []exemption{}
	err = each(ctx, cl, "exemptions", func(e exemption) { all = append(all, e) })
	return all, err
}

func newAllowImport(a *app) *cobra.Command {
	var name, format string
	cmd := &cobra.Command{
		Use:   "import --rule NAME FILE",
		Short: "add what a file holds to a rule's file",
		Long: `Adds the entries of FILE ("-": standard input) to the file of a rule. Entries
that are covered there already, or whose last day is over, are left out. If any
line is wrong nothing is changed.

  text   one entry a line, then perhaps "until DATE", then perhaps a # comment
  csv    entry, until, comment, in this order or under a line with these words;
         with commas or semicolons
  json   an array of objects with entry, until, comment`,
		Args: oneArg("a FILE"),
		RunE: a.does(func(ctx context.Context, args []string) error {
			f, err := overrides.ParseFormat(format)
			if err != nil {
				return usageError{fmt.Errorf("--format: %w", err)}
			}
			in, from, err := a.open(args[0])
			if err != nil {
				return err
			}
			defer in.Close()
			data, err := io.ReadAll(in)
			if err != nil {
				return err
			}
			items, problems := overrides.ReadItems(from, f, data)
			if len(problems) > 0 {
				return errors.Join(problems...)
			}
			items = a.current(from, items)
			path, err := a.ruleFile(ctx, name, items...)
			if err != nil {
				return err
			}
			added, err := overrides.AddItems(path, items, true)
			if err != nil {
				return err
			}
			return a.edited(path, "added", added, len(items)-added)
		}),
	}
	ruleFlag(cmd, &name)
	formatFlag(cmd, &format)
	return cmd
}

// current leaves out what would do nothing any more, and says so.
func (a *app) current(from string, items []overrides.Item) []overrides.Item {
	ended := func(it overrides.Item) bool { return it.Entry.Ended(time.Now()) }
	if i := slices.IndexFunc(items, ended); i >= 0 {
		first, all := items[i].Entry.String(), len(items)
		items = slices.DeleteFunc(items, ended)
		fmt.Fprintf(a.err, "%s: %d entries are over and are left out, the first of them %q\n", from, all-len(items), first)
	}
	return items
}

// open opens a file, or standard input for "-". The name is for messages.
func (a *app) open(path string) (in io.ReadCloser, name string, err error) {
	if path == "-" {
		return io.NopCloser(a.in), "standard input", nil
	}
	in, err = os.Open(path)
	return in, path, err
}

// edited says what was done to a rule's file.
func (a *app) edited(path, verb string, n, present int) error {
	if a.json {
		return a.printJSON(map[string]any{"file": path, verb: n, "present": present})
	}
	text := fmt.Sprintf("%s: %d %s", path, n, verb)
	if present > 0 {
		text += fmt.Sprintf(", %d already there", present)
	}
	fmt.Fprintln(a.out, text)
	return nil
}

func ruleFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "rule", "", "`NAME` of the rule, [allow.NAME]")
	cobra.CheckErr(cmd.MarkFlagRequired("rule"))
}

func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", "text", "`FORMAT`: text, csv or json")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "csv", "json"}, cobra.ShellCompDirectiveNoFileComp)))
}

// entriesOf reads what was typed on the command line.
func entriesOf(args []string, expires string) ([]overrides.Entry, error) {
	var until time.Time
	if expires != "" {
		var err error
		if until, err = overrides.ParseDay(expires); err != nil {
			return nil, usagef("--expires: %w", err)
		}
	}
	var all []overrides.Entry
	var wrong []error
	for _, s := range args {
		e, err := overrides.ParseEntry(s)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if expires != "" {
			if !e.Until.IsZero() {
				wrong = append(wrong, fmt.Errorf("%s has a day of its own; write that or --expires", e))
			}
			e.Until = until
		}
		all = append(all, e)
	}
	if len(wrong) > 0 {
		return nil, usageError{errors.Join(wrong...)}
	}
	return all, nil
}

// ruleFile finds the file of an allow rule, and makes its folder. The file
// itself may be missing yet, unless the server has its last good set in force:
// a new file would end that. Other problems of the configuration do not matter
// here, as long as the rule can be read. It says what keeps the rule, or some of
// what is to be added, from having an effect.
func (a *app) ruleFile(ctx context.Context, name string, add ...overrides.Item) (string, error) {
	c, err := a.load()
	if c == nil {
		return "", err
	}
	u, err := allowRule(c, name)
	if err != nil {
		return "", err
	}
	if u.File == "" {
		return "", config.Join([]config.Problem{c.Problem(fmt.Sprintf("allow rule %q has no file that could be edited", name),
			fmt.Sprintf("write file = %q", "allow.d/"+name+".txt"), "allow", name)})
	}
	switch over := u.Expires; {
	case !u.Enabled:
		fmt.Fprintf(a.err, "the rule has enabled = false: what is in its file does nothing\n")
	case !over.IsZero() && time.Now().Format(time.DateOnly) > over.Format(time.DateOnly):
		fmt.Fprintf(a.err, "the rule expired after %s: what is in its file does nothing\n", over.Format(time.DateOnly))
	}
	a.tellExcepted(u, add)
	held := func(x exemption) bool { return x.Rule == name && x.inFile() }
	if _, err := os.Stat(u.File); errors.Is(err, fs.ErrNotExist) {
		if all, _ := inForce(ctx, c); slices.ContainsFunc(all, held) {
			return "", fmt.Errorf("%s is gone, and what it held is in force until there is a new one; bring it back first, or make an empty one", shownPath(u.File))
		}
	}
	return shownPath(u.File), readableFolder(filepath.Dir(u.File))
}

// tellExcepted says once of each exception of the rule that it outweighs
// something to be added.
func (a *app) tellExcepted(u *config.Rule, add []overrides.Item) {
	for _, text := range u.Except {
		out, err := overrides.ParseEntry(text)
		if err != nil {
			continue // an include of SPF
		}
		if i := slices.IndexFunc(add, func(it overrides.Item) bool { return out.Overlaps(it.Entry) }); i >= 0 {
			fmt.Fprintf(a.err, "%s does nothing where the rule has except = [%q]\n", add[i].Entry, text)
		}
	}
}

// readableFolder makes a folder that everybody may look into whatever the
// umask, as the server does, which is another user.
func readableFolder(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// allowRule finds an allow rule by its name, or says which ones there are.
func allowRule(c *config.Config, name string) (*config.Rule, error) {
	var names []string
	for _, u := range c.Allow {
		if u.Name == name {
			return u, nil
		}
		names = append(names, u.Name)
	}
	if len(names) == 0 {
		return nil, usagef("there is no allow rule %q; write [allow.%s] with file = \"allow.d/%s.txt\" into the configuration", name, name, name)
	}
	return nil, usagef("there is no allow rule %q; there are %s", name, strings.Join(names, ", "))
}
