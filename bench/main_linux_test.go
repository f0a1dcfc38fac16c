package main

import (
	"strings"
	"testing"
	"time"
)

// TestParse has figures and names refused with which nothing would be measured.
func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"short":                 `"short" is no flag`,
		"-rate 0":               "no figure may be negative",
		"-rate NaN":             "no figure may be negative",
		"-names 0":              "neither -rate nor -names 0",
		"-rounds -1":            "no figure may be negative",
		"-window -1s":           "no figure may be negative",
		"-only unbound,unbond":  `there is no "unbond"`,
		"-windows warm_8,warm8": `there is no "warm8"`,
		"-skip round":           `there is no "round"`,
		"-h":                    "rounds, memory, behaviour",
	} {
		var out strings.Builder
		if _, err := parse(strings.Fields(in), &out); err == nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v, and %q", in, err, out.String())
		}
	}
	var out strings.Builder
	o, err := parse(strings.Fields("-short -only unbound -skip dnsperf,trace -rounds 5"), &out)
	if err != nil || out.Len() > 0 || o.rounds != 5 || o.window != 200*time.Millisecond || o.whole() ||
		!o.wants("unbound") || o.wants("BIND") || !o.skips("trace") || o.skips("rounds") {
		t.Errorf("%+v, %v, %q", o, err, out.String())
	}
	if o, err := parse([]string{"-perf", "dir"}, &out); err != nil || o.whole() {
		t.Errorf("%+v, %v: a run that perf looks at is nobody's figure", o, err)
	}
	b := &bench{o: &options{}, log: &out}
	if b.missing("dnsperf"); b.o.whole() || !b.o.skips("dnsperf") {
		t.Error("a run without one of the programs is whole")
	}
	if o, err := parse(nil, &out); err != nil || !o.whole() || !o.wants("BIND") || o.memory != 1_000_000 {
		t.Errorf("without arguments %+v, %v", o, err)
	}
}
