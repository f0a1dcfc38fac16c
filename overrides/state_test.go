package overrides

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// run starts an engine in its own bubble, so that each is a process of its
// own, and stops it after f.
func run(t *testing.T, dns *fakeDNS, opts Options, rules []Rule, f func(*timeline)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(start(t, dns, opts, rules...))
	})
}

func TestState_exempts_after_a_restart_without_DNS(t *testing.T) {
	opts := Options{StateDir: filepath.Join(t.TempDir(), "state")}
	dns := liveDNS("192.0.2.1")
	dns.hosts["mail.example.com"] = "192.0.2.50 2001:db8::1"
	srv := &feedServer{answer: answer(200, "198.51.100.0/24")}
	opts.Transport = srv
	rules := []Rule{
		spfRule("efax.com"),
		allow(func(r *Rule) { r.Name, r.A = "host", []string{"mail.example.com"} }),
		allow(func(r *Rule) { r.Name, r.URL = "feed", "https://feeds.example/" }),
	}
	all := []string{"+203.0.113.1", "+192.0.2.50", "+2001:db8::1", "+198.51.100.7", "-203.0.113.2"}
	run(t, dns, opts, rules, func(tl *timeline) { tl.want("first", all...) })
	dns.fail["*"] = true
	srv.answer = answer(503, "")
	run(t, dns, opts, rules, func(tl *timeline) {
		tl.want("after the restart", all...)
		if !isReady(tl.Engine) {
			t.Error("not ready although every source was tried")
		}
		for _, st := range tl.Status() {
			if st.LastError == "" || st.LastSuccess.IsZero() {
				t.Errorf("status of %s = %+v, want a failure and the time of the kept set", st.Source, st)
			}
		}
		tl.elapse(25 * time.Hour)
		tl.want("a day later", "-203.0.113.1", "-192.0.2.50", "+198.51.100.7")
	})
	run(t, dns, opts, rules, func(tl *timeline) { tl.want("what was given up stays away", "-203.0.113.1", "+198.51.100.7") })
}

// A rule that has another name since the restart has what was kept under the old
// one, the latest of several, and keeps it under its own.
func TestState_follows_a_source_to_another_rule(t *testing.T) {
	// The folder's name would be a pattern that it does not fit itself.
	opts := Options{StateDir: filepath.Join(t.TempDir(), "[state]"), Transport: &feedServer{answer: answer(200, "198.51.100.0/24")}}
	dns := newFakeDNS()
	rules := func(name string) []Rule {
		return []Rule{
			named(name+" spf", nil, "efax.com"),
			feedRule(func(r *Rule) { r.Name = name + " feed" }),
			feedRule(func(r *Rule) { r.Name, r.JQ = name+" jq", "." }),
		}
	}
	at := func(hours int, name string, f func(*timeline)) {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Duration(hours) * time.Hour)
			f(start(t, dns, opts, rules(name)...))
		})
	}
	for i, name := range []string{"b", "a", "c"} { // two of them are gone
		dns.txt["efax.com"] = fmt.Sprintf("v=spf1 ip4:192.0.2.%d", i)
		at(i, name, func(*timeline) {})
	}
	dns.fail["*"], opts.Transport = true, &feedServer{answer: answer(503, "")}
	all := []string{"-192.0.2.0", "-192.0.2.1", "+192.0.2.2", "+198.51.100.7"}
	at(5, "renamed", func(tl *timeline) {
		tl.want("after the rename", all...)
		if st := tl.Status(); st[0].LastSuccess.Hour() != 2 || st[2].V4 != 0 {
			t.Errorf("status = %+v, want the time of the set, and nothing of what nobody asked for", st)
		}
	})
	for _, name := range []string{"a", "b", "c"} {
		for _, r := range rules(name) {
			for _, s := range sourcesOf(&r) {
				if err := os.RemoveAll(store{opts.StateDir}.path(s.key)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	at(6, "renamed", func(tl *timeline) { tl.want("under the new name", all...) })
	at(24, "again", func(tl *timeline) {
		tl.want("within the day", all...)
		tl.elapse(3 * time.Hour)
		tl.want("a day later", "-192.0.2.2", "+198.51.100.7")
	})
}

// What a domain has taken back is not found again under the name that the rule had
// before.
func TestState_what_was_taken_back_stays_away(t *testing.T) {
	opts := Options{StateDir: t.TempDir()}
	dns := newFakeDNS()
	dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
	run(t, dns, opts, []Rule{named("before", nil, "efax.com")}, func(*timeline) {})
	rules := []Rule{named("after", nil, "efax.com")}
	run(t, dns, opts, rules, func(tl *timeline) {
		tl.want("renamed", "+192.0.2.1")
		dns.set(func() { dns.txt["efax.com"] = "v=spf1 -all" })
		tl.elapse(2 * time.Hour)
		tl.want("taken back", "-192.0.2.1")
	})
	dns.fail["*"] = true
	run(t, dns, opts, rules, func(tl *timeline) { tl.want("after a restart without DNS", "-192.0.2.1") })
}

// The day for which a set stands in for what cannot be asked does not begin anew
// with every restart. One that is older yet has an hour, for the network may come
// up after us.
func TestState_a_day_is_a_day_over_restarts(t *testing.T) {
	opts := Options{StateDir: t.TempDir()}
	dns := newFakeDNS()
	dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
	at := func(hours int, f func(*timeline)) {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Duration(hours) * time.Hour)
			f(start(t, dns, opts, spfRule("efax.com")))
		})
	}
	at(0, func(*timeline) {})
	dns.fail["*"] = true
	at(20, func(tl *timeline) {
		tl.want("after 20 h", "+192.0.2.1")
		tl.elapse(3 * time.Hour)
		tl.want("after 23 h", "+192.0.2.1")
	})
	at(72, func(tl *timeline) {
		tl.elapse(50 * time.Minute)
		tl.want("after three days", "+192.0.2.1")
		tl.elapse(25 * time.Minute)
		tl.want("an hour later", "-192.0.2.1")
	})
}

func TestState_is_loaded_before_Run(t *testing.T) {
	opts := Options{StateDir: t.TempDir()}
	dns := newFakeDNS()
	dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
	run(t, dns, opts, []Rule{spfRule("efax.com")}, func(*timeline) {})
	e, err := Open([]Rule{spfRule("efax.com")}, opts)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(e.Table().a4.starts); n != 1 {
		t.Errorf("the table holds %d intervals before Run, want 1", n)
	}
	tight := spfRule("efax.com")
	tight.MaxV4 = 32
	dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.0/31"
	run(t, dns, opts, []Rule{spfRule("efax.com")}, func(*timeline) {})
	if e, err = Open([]Rule{tight}, opts); err != nil {
		t.Fatal(err)
	}
	if n := len(e.Table().a4.starts); n != 0 {
		t.Error("a kept set beyond the rule's guard is in force")
	}
}

func TestState_damaged_files_are_set_aside(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func([]byte) []byte
	}{
		{"empty", func([]byte) []byte { return nil }},
		{"cut", func(b []byte) []byte { return b[:len(b)-3] }},
		{"longer", func(b []byte) []byte { return append(b, "0.0.0.0/0\n"...) }},
		{"changed", func(b []byte) []byte { return bytes.Replace(b, []byte("192.0.2.1"), []byte("192.0.2.9"), 1) }},
		{"later version", func(b []byte) []byte { return bytes.Replace(b, []byte("set 1"), []byte("set 2"), 1) }},
		{"of another", func(b []byte) []byte {
			return encodeState("another", keptSet{content: contentOfRanges([]Range{{v4(1).addr(), v4(2).addr()}}, nil), at: time.Now()})
		}},
		{"zeros", func(b []byte) []byte { return make([]byte, len(b)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := Options{StateDir: t.TempDir()}
			dns := newFakeDNS()
			dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
			rules := []Rule{spfRule("efax.com")}
			run(t, dns, opts, rules, func(*timeline) {})
			files, _ := filepath.Glob(filepath.Join(opts.StateDir, "*"))
			if len(files) != 1 {
				t.Fatalf("files = %v, want one", files)
			}
			data, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(files[0], tt.damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			dns.fail["*"] = true
			run(t, dns, opts, rules, func(tl *timeline) {
				tl.want("with a damaged file", "-192.0.2.1", "-192.0.2.9", "-10.0.0.1")
				if tl.log.count("kept set not used") != 1 {
					t.Errorf("no warning:\n%s", tl.log.b.String())
				}
			})
			if _, err := os.Stat(files[0] + damaged); err != nil {
				t.Errorf("the damaged file was not set aside: %v", err)
			}
		})
	}
}

func TestState_holds_no_key_of_a_feed(t *testing.T) {
	opts := Options{StateDir: t.TempDir(), Transport: &feedServer{answer: answer(200, goodFeed)}}
	r := feedRule(func(r *Rule) { r.URL = "https://user:secret@feeds.example/ranges?key=secret" })
	run(t, nil, opts, []Rule{r}, func(*timeline) {})
	files, err := filepath.Glob(filepath.Join(opts.StateDir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files = %v, %v, want one", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil || !strings.Contains(string(data), "192.0.2.0/24") || strings.Contains(string(data), "secret") {
		t.Errorf("the kept set is %s, %v, want the ranges without the key", data, err)
	}
}

func TestState_unwritable_folder_is_not_fatal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dns := newFakeDNS()
	dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
	run(t, dns, Options{StateDir: filepath.Join(file, "state")}, []Rule{spfRule("efax.com")}, func(tl *timeline) {
		tl.want("without state", "+192.0.2.1")
		if tl.log.count("set not kept") == 0 {
			t.Errorf("no warning:\n%s", tl.log.b.String())
		}
	})
}

// A full disk is told of once, and tried again long before the source is.
func TestState_written_once_there_is_room(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := Options{StateDir: filepath.Join(t.TempDir(), "state")}
		if err := os.WriteFile(opts.StateDir, nil, 0o600); err != nil { // no folder
			t.Fatal(err)
		}
		dns := liveDNS("192.0.2.1")
		dns.ttl = 24 * time.Hour
		tl := start(t, dns, opts, spfRule("efax.com"))
		tl.elapse(10 * time.Hour)
		if err := os.Remove(opts.StateDir); err != nil {
			t.Fatal(err)
		}
		tl.elapse(2 * time.Minute)
		if kept, _ := filepath.Glob(filepath.Join(opts.StateDir, "*.set")); len(kept) != 1 || dns.count("efax.com") != 1 {
			t.Errorf("kept %q after %d questions, want one file after one", kept, dns.count("efax.com"))
		}
		tl.elapse(time.Hour)
		if lost, back := tl.log.count("not kept for a restart"), tl.log.count("kept for a restart again"); lost != 1 || back != 1 {
			t.Errorf("told of the disk %d times, and of its end %d times; want one each", lost, back)
		}
	})
}

func TestState_sweep_removes_old_files_of_nobody(t *testing.T) {
	st := store{filepath.Join(t.TempDir(), "a[folder")} // whose name is no pattern
	if err := st.sweep(nil, time.Now()); err != nil {
		t.Errorf("a folder that is not there yet: %v", err)
	}
	c := contentOfRanges([]Range{{v4(1).addr(), v4(2).addr()}}, nil)
	mine, gone := sourceKey{rule: "mine", kind: KindSPF}, sourceKey{rule: "gone", kind: KindSPF}
	for _, k := range []sourceKey{mine, gone} {
		if err := st.save(k, keptSet{content: c, at: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	used := map[string]bool{st.path(mine): true}
	for _, tt := range []struct {
		now  time.Time
		want bool
	}{{time.Now(), true}, {time.Now().Add(31 * 24 * time.Hour), false}} {
		if err := st.sweep(used, tt.now); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(st.path(gone)); (err == nil) != tt.want {
			t.Errorf("the file of nobody is there: %t, want %t", err == nil, tt.want)
		}
		if _, err := os.Stat(st.path(mine)); err != nil {
			t.Error("the file of a source in use was removed")
		}
	}
}

// FuzzDecodeState checks that nothing is trusted but what was written: a body
// is either refused, or writes back as the same bytes. The sum is mended so
// that the fuzzer gets past it.
func FuzzDecodeState(f *testing.F) {
	c := contentOfRanges([]Range{{v4(1).addr(), v4(5).addr()}, {v6{1, 1}.addr(), v6{2, 2}.addr()}}, []Range{{v4(9).addr(), v4(9).addr()}})
	for _, valid := range []validators{{}, {"etag": `W/"v\1"`, "modified": "Mon, 01 Jan 2024 00:00:00 GMT", "agent": "dnsblproxy/1.2"}} {
		_, good, _ := strings.Cut(string(encodeState("key", keptSet{c, time.Unix(testNow, 0), valid})), "\n")
		_, good, _ = strings.Cut(good, "\n")
		f.Add([]byte(good), true)
		f.Add([]byte(good+"0.0.0.0/0"), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, mend bool) {
		sum := sha256.Sum256(body)
		if !mend {
			sum[0]++
		}
		data := fmt.Appendf(nil, "%s\nsum %x\n%s", stateMagic, sum, body)
		got, err := decodeState("key", data)
		if err != nil {
			return
		}
		if !mend {
			t.Fatalf("a file with a wrong sum was trusted: %v", got.content.ranges())
		}
		again, err := decodeState("key", encodeState("key", got))
		if err != nil || !again.content.equal(got.content) || !again.at.Equal(got.at) || !maps.Equal(again.valid, got.valid) {
			t.Fatalf("%+v writes back as %+v, %v", got, again, err)
		}
		// What a server is asked with must not keep the question from being asked.
		header := http.Header{"If-None-Match": {got.valid["etag"]}, "If-Modified-Since": {got.valid["modified"]}}
		var request bytes.Buffer
		if err := header.Write(&request); err != nil || strings.Count(request.String(), "\n") != 2 {
			t.Fatalf("%+v makes the header %q, %v", got.valid, &request, err)
		}
	})
}

func TestState_time_is_confirmed_hourly(t *testing.T) {
	opts := Options{StateDir: t.TempDir()}
	dns := newFakeDNS()
	dns.txt["efax.com"] = "v=spf1 ip4:192.0.2.1"
	run(t, dns, opts, []Rule{spfRule("efax.com")}, func(tl *timeline) {
		key := tl.sources[0].key
		first, err := tl.store.load(key)
		if err != nil {
			t.Fatal(err)
		}
		tl.elapse(50 * time.Minute)
		if k, _ := tl.store.load(key); !k.at.Equal(first.at) {
			t.Error("an unchanged set was written again within the hour")
		}
		tl.elapse(130 * time.Minute)
		if k, _ := tl.store.load(key); k.at.Sub(first.at) < 2*time.Hour {
			t.Errorf("three hours later the kept set is %s younger, want two hours at least", k.at.Sub(first.at))
		}
	})
}
