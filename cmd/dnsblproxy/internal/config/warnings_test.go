package config

import (
	"fmt"
	"reflect"
	"testing"
)

func TestWarnings(t *testing.T) {
	c := parse(t, `[resolver]
deadline = "9s"
[zone."local.rbl.internal"]
source = "deny"
[allow.old]
cidr = ["192.0.2.1"]
expires = 2026-11-20
[allow.today]
cidr = ["192.0.2.1"]
expires = 2026-11-21
[zone."list.dnswl.example"]
[zone."allowed.rbl.internal"]
source = "allow"
[allow.nowhere]
cidr = ["192.0.2.1"]
zones = ["list.dnswl.example"]
[allow.somewhere]
cidr = ["192.0.2.1"]
zones = ["list.dnswl.example", "allowed.rbl.internal"]
[zone."white.example"]
kind = "allow"
no_override = ["127.0.0.2"]
`)
	var got []string
	for _, w := range c.Warnings {
		got = append(got, fmt.Sprintf("%d %s", w.Line, w.What))
	}
	want := []string{
		"2 resolver.deadline is 9s: stub resolvers give up after 5s and ask again",
		`3 zone "local.rbl.internal" lists nobody, for no deny rule names it`,
		`7 allow rule "old" has expired and does nothing`,
		`16 allow rule "nowhere" does nothing, for each of its zones is of kind "allow", whose answers no rule changes`,
		`22 zone "white.example" is of kind "allow", whose answers no exemption removes: no_override does nothing`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("warnings = %q, want %q", got, want)
	}
}

// TestWarnings_modes: a combined zone whose members are off, or only observe, can
// list nothing.
func TestWarnings_modes(t *testing.T) {
	c := parse(t, `[zone."list.dnswl.example"]
[zone."off.example"]
mode = "off"
[zone."observe.example"]
mode = "observe"
[zone."never.rbl.internal"]
source = "combined"
threshold = 2
weights = { "off.example" = 2, "observe.example" = 2, "list.dnswl.example" = -2 }
[zone."seldom.rbl.internal"]
source = "combined"
mode = "observe"
threshold = 3
weights = { "off.example" = 2, "never.rbl.internal" = 2 }
[zone."still.rbl.internal"]
source = "combined"
threshold = 2
weights = { "off.example" = 2, "never.rbl.internal" = 2 }
[zone."off.rbl.internal"]
source = "combined"
mode = "off"
threshold = 2
weights = { "off.example" = 2 }
`)
	var got []string
	for _, w := range c.Warnings {
		got = append(got, fmt.Sprintf("%d %s", w.Line, w.What))
	}
	want := []string{
		`9 zone "never.rbl.internal" can list nothing while members are not in mode "enforce" (observe.example, off.example): the other positive weights add up to 0, below the threshold 2`,
		`14 zone "seldom.rbl.internal" can list nothing while members are not in mode "enforce" (off.example): the other positive weights add up to 2, below the threshold 3`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("warnings = %q, want %q", got, want)
	}
}
