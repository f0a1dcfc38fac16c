package spf

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// suite is one document of testdata/rfc7208-tests.yml.
type suite struct {
	Description string
	Tests       map[string]suiteTest
	ZoneData    map[string][]map[string]yaml.Node
}

type suiteTest struct {
	HELO        string
	Host        string
	MailFrom    string
	Result      words
	Explanation string
}

// words is one word or a list of them.
type words []string

func (w *words) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*w = words{n.Value}
		return nil
	}
	return n.Decode((*[]string)(w))
}

func readSuites(t *testing.T) []suite {
	f, err := os.Open("testdata/rfc7208-tests.yml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []suite
	for dec := yaml.NewDecoder(f); ; {
		var s suite
		if err := dec.Decode(&s); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
}

// dns builds the suite's zone. Records of the type SPF stand for TXT unless the
// name has a TXT entry of its own, as the suite's header says.
func (s *suite) dns(t *testing.T) *fakeDNS {
	d := newFakeDNS()
	for name, records := range s.ZoneData {
		n := d.at(name)
		hasTXT := slices.ContainsFunc(records, func(r map[string]yaml.Node) bool { _, ok := r["TXT"]; return ok })
		for _, r := range records {
			for typ, v := range r {
				n.add(t, typ, &v, hasTXT)
			}
		}
	}
	return d
}

func (n *fakeName) add(t *testing.T, typ string, v *yaml.Node, hasTXT bool) {
	var w words
	if err := v.Decode(&w); err != nil {
		t.Fatal(err)
	}
	switch typ {
	case "TIMEOUT", "CNAMELOOP":
		n.fails = true
	case "SPF":
		if !hasTXT {
			n.txt = append(n.txt, text(w))
		}
	case "TXT":
		if w[0] != "NONE" {
			n.txt = append(n.txt, text(w))
		}
	case "A", "AAAA":
		n.addrs = append(n.addrs, netip.MustParseAddr(w[0]))
	case "MX":
		n.mx = append(n.mx, w[1])
	case "PTR":
		n.ptr = append(n.ptr, w[0])
	case "CNAME":
		n.cname = w[0]
	default:
		t.Fatalf("record type %q", typ)
	}
}

// text joins strings. YAML's "\x96" is a code point; the record has the byte.
func text(w words) string {
	var b strings.Builder
	for _, r := range strings.Join(w, "") {
		b.WriteByte(byte(r))
	}
	return b.String()
}

// query is the case as an SMTP server would ask it.
func (st *suiteTest) query() Query {
	q := Query{Addr: netip.MustParseAddr(st.Host), Sender: st.MailFrom, HELO: st.HELO}
	q.Domain = st.HELO
	if st.MailFrom != "" {
		q.Domain = st.MailFrom[strings.LastIndexByte(st.MailFrom, '@')+1:]
	}
	return q
}

func TestSuite(t *testing.T) {
	cases := 0
	for _, s := range readSuites(t) {
		for name, st := range s.Tests {
			cases++
			t.Run(s.Description+"/"+name, func(t *testing.T) {
				q := st.query()
				q.Explain = true
				got := CheckHost(context.Background(), s.dns(t), q)
				if !slices.Contains(st.Result, got.Result.String()) {
					t.Fatalf("CheckHost = %v (%v, %v), want %v", got.Result, got.Path, got.Why, st.Result)
				}
				want := st.Explanation
				if want == "DEFAULT" {
					want = ""
				}
				if st.Explanation != "" && got.Explanation != want {
					t.Errorf("explanation = %q, want %q", got.Explanation, want)
				}
			})
		}
	}
	if cases != 203 {
		t.Errorf("the suite has %d cases, want 203", cases)
	}
}

// TestSuite_defaultIdentity asks every case with a domain and an address only.
// Three of them name a sender or HELO that the record looks at.
func TestSuite_defaultIdentity(t *testing.T) {
	needIdentity := []string{}
	for _, s := range readSuites(t) {
		for name, st := range s.Tests {
			q := st.query()
			q.Sender, q.HELO = "", ""
			got := CheckHost(context.Background(), s.dns(t), q)
			if !slices.Contains(st.Result, got.Result.String()) {
				needIdentity = append(needIdentity, name)
			}
		}
	}
	slices.Sort(needIdentity)
	want := []string{"hello-macro", "macro-multiple-delimiters", "macro-reverse-split-on-dash"}
	if !slices.Equal(needIdentity, want) {
		t.Errorf("cases that need a sender or HELO: %v, want %v", needIdentity, want)
	}
}

// TestSuite_compiled compares the compiled Map with the suite.
func TestSuite_compiled(t *testing.T) {
	live := 0
	for _, s := range readSuites(t) {
		for name, st := range s.Tests {
			q := st.query()
			m, err := Compile(context.Background(), s.dns(t), q.Domain, CompileOptions{Sender: q.Sender, HELO: q.HELO})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got := resultOf(m, q.Addr)
			if got == Live {
				live++
				got = CheckHost(context.Background(), s.dns(t), q).Result
			}
			if !slices.Contains(st.Result, got.String()) {
				t.Errorf("%s: Compile(%q) has for %v = %v, want %v", name, q.Domain, q.Addr, got, st.Result)
			}
		}
	}
	if live == 0 {
		t.Error("no case was live; the suite has ptr and %{i}")
	}
}
