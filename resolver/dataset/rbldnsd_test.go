package dataset

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dnsblproxy/resolver/rbl"
)

// wireName is the wire form of a plain name, without the root.
func wireName(name string) []byte {
	var out []byte
	if name == "" {
		return out
	}
	for label := range strings.SplitSeq(name, ".") {
		out = append(append(out, byte(len(label))), label...)
	}
	return out
}

// lookup is Lookup of a name whatever it is.
func lookup(z *Zone, labels []byte, qtype uint16, ans *Answer) {
	z.Lookup(rbl.ParseLabels(labels, rbl.HoldsAll), labels, qtype, ans)
}

// look asks the zone what ask asks the daemon.
func look(z *Zone, labels string, qtype uint16, ans *Answer) reply {
	lookup(z, wireName(labels), qtype, ans)
	r := reply{rcode: int(ans.Rcode)}
	for i := range ans.Len() {
		r.records = append(r.records, fmt.Sprintf("%d %q", ans.TTL, ans.AppendRData(nil, i)))
	}
	slices.Sort(r.records)
	return r
}

// compare asks both about every name (labels left of the zone) and type.
func compare(t *testing.T, d *daemon, z *Zone, names []string, types ...uint16) {
	t.Helper()
	var ans Answer
	wrong, listed := 0, 0
	for _, name := range names {
		fqdn := name + ".test."
		if name == "" {
			fqdn = "test."
		}
		for _, qtype := range types {
			got, want := look(z, name, qtype, &ans), d.ask(t, fqdn, qtype)
			if len(want.records) > 0 {
				listed++
			}
			if got.String() == want.String() {
				continue
			}
			t.Errorf("%s %s = %v, rbldnsd says %v", name, dns.TypeToString[qtype], got, want)
			if wrong++; wrong > 10 {
				t.Fatal("and more")
			}
		}
	}
	if listed == 0 {
		t.Error("not one name was listed: this test shows nothing")
	}
	t.Logf("%d names of %d types, %d answers with records", len(names), len(types), listed)
}

// dataDir is a folder that rbldnsd may read although it gave up being root.
func dataDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "dataset")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// serveBoth loads specs and starts a daemon on them.
func serveBoth(t *testing.T, specs ...string) (*daemon, *Zone) {
	t.Helper()
	var parsed []Spec
	var args []string
	for _, s := range specs {
		kind, files, _ := strings.Cut(s, ":")
		parsed = append(parsed, Spec{Kind(kind), strings.Split(files, ",")})
		args = append(args, "test:"+s)
	}
	z, problems, err := Load(context.Background(), parsed, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Log(p)
	}
	return startDaemon(t, args...), z
}

var allTypes = []uint16{TypeA, TypeTXT, TypeMX, TypeNS, TypeSOA, dns.TypeAAAA}

func TestRbldnsd_ip4(t *testing.T) {
	for _, kind := range []Kind{IP4Set, IP4Trie, IP4TSet} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s/seed=%d", kind, seed), func(t *testing.T) {
				g := newGenerator(seed)
				dir := dataDir(t)
				a := writeFile(t, dir, "a", g.file4(kind, 600))
				b := writeFile(t, dir, "b", g.file4(kind, 200))
				d, z := serveBoth(t, string(kind)+":"+a+","+b)
				compare(t, d, z, g.names4(700), allTypes...)
			})
		}
	}
}

func TestRbldnsd_ip6(t *testing.T) {
	for _, kind := range []Kind{IP6Trie, IP6TSet} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s/seed=%d", kind, seed), func(t *testing.T) {
				g := newGenerator(seed)
				dir := dataDir(t)
				a := writeFile(t, dir, "a", g.file6(kind, 600))
				b := writeFile(t, dir, "b", g.file6(kind, 200))
				d, z := serveBoth(t, string(kind)+":"+a+","+b)
				compare(t, d, z, g.names6(700), allTypes...)
			})
		}
	}
}

func TestRbldnsd_dnset(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			g := newGenerator(seed)
			dir := dataDir(t)
			a := writeFile(t, dir, "a", g.fileNames(400))
			b := writeFile(t, dir, "b", g.fileNames(100))
			d, z := serveBoth(t, "dnset:"+a+","+b)
			compare(t, d, z, g.namesDomain(700), allTypes...)
		})
	}
}

// TestRbldnsd_several serves one zone from every kind of dataset at once, with
// records of its own, different TTLs, and two datasets that know one address.
func TestRbldnsd_several(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			g := newGenerator(seed)
			dir := dataDir(t)
			d, z := serveBoth(t,
				"ip4set:"+writeFile(t, dir, "set", "$TTL 1h\n"+g.file4(IP4Set, 300)),
				"ip4trie:"+writeFile(t, dir, "trie", "$SOA 0 ns.example. admin.example. 0 1h 15m 1w 10m\n"+g.file4(IP4Trie, 300)),
				"ip6trie:"+writeFile(t, dir, "six", "$NS 1d ns1.example.com ns2.example.com -ns3.example.com NS1.example.com\n"+g.file6(IP6Trie, 300)),
				"dnset:"+writeFile(t, dir, "names", "$TTL 90\n"+g.fileNames(200)+"\n"+"2.0.0.127 :9:from the names\n"),
				"generic:"+writeFile(t, dir, "generic", genericFile))
			names := slices.Concat(g.names4(150), g.names6(150), g.namesDomain(150), genericNames)
			compare(t, d, z, names, allTypes...)
		})
	}
}

const genericFile = `# records of a zone
$SOA 1d late.example. late.example. 7 1 2 3 4
@ A 192.0.2.1
@ 300 A 192.0.2.2
@ TXT "the zone itself"
@ MX 10 mx.example.com
WWW 3000 A 192.0.2.3
www 2m IN A 192.0.2.4
www A 192.0.2.3
www IN MX 5 Mail.Example.com.
about TXT unquoted "text" here
about TXT ""
about 60 txt "quoted"
$TTL 77
later A 127.1
later A 3
deep.er.name A 192.0.2.9
0 1h A 192.0.2.10
2.0.0.127 A 127.0.0.77
bad
bad A
bad AAAA ::1
`

var genericNames = []string{"", "www", "about", "later", "deep.er.name", "er.name", "bad", "0", "2.0.0.127", "1.0.0.127", "no.such.name"}

func TestRbldnsd_generic(t *testing.T) {
	dir := dataDir(t)
	d, z := serveBoth(t, "generic:"+writeFile(t, dir, "generic", genericFile))
	compare(t, d, z, genericNames, allTypes...)
}

// TestRbldnsd_noApex has neither SOA nor NS.
func TestRbldnsd_noApex(t *testing.T) {
	dir := dataDir(t)
	d, z := serveBoth(t, "ip4set:"+writeFile(t, dir, "set", "127.0.0.2"))
	compare(t, d, z, []string{"", "2.0.0.127", "0.0.127", "2.0.0.0.127", "256.0.0.127", "2.0.0.x"}, allTypes...)
}

// TestRbldnsd_manual is the manual's own examples.
func TestRbldnsd_manual(t *testing.T) {
	dir := dataDir(t)
	text := `$1 See http://www.example.com/bl
$2 for details
127.0.0.2  $1/spammer/$ $2
127.0.0.3  $1/relay/$ $2
127.0.0.4  This spammer wants some $$$$.  $1/$
:127.0.0.9:IP address $ is listed
127.0.1.4
127.0.1.5 :5
127.0.1.6 :6:
127.0.1.7 IP address $ running an open relay
127/8 ; loopback network
`
	base := `$= See http://www.example.com/bl?$= ($) for details
127.0.0.2    r123
127.0.0.3
127.0.0.4    =See other blocklists for details about $
127.0.0.5    =$= and $
127.0.0.6    $ in its own $1
127.0.0.7 :7:
`
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("%d.0.0.127", i), fmt.Sprintf("%d.1.0.127", i))
	}
	t.Run("values", func(t *testing.T) {
		d, z := serveBoth(t, "ip4set:"+writeFile(t, dir, "a", text))
		compare(t, d, z, names, TypeA, TypeTXT)
	})
	t.Run("base template", func(t *testing.T) {
		d, z := serveBoth(t, "ip4set:"+writeFile(t, dir, "b", base))
		compare(t, d, z, names, TypeA, TypeTXT)
	})
}

// TestRbldnsd_ipsum asks both about a real list, as each type that can hold it.
func TestRbldnsd_ipsum(t *testing.T) {
	raw, err := os.ReadFile("../../../shared/data/lists/ipsum-level3.txt")
	if err != nil {
		t.Skip("the real list is not here")
	}
	dir := dataDir(t)
	var reversed, six bytes.Buffer
	var names []string
	r := rand.New(rand.NewPCG(5, 5))
	for line := range strings.Lines(string(raw)) {
		a, _, _, ok := parseOctets([]byte(strings.TrimSpace(line)))
		if !ok {
			continue
		}
		fmt.Fprintf(&reversed, "%s\n", reverse4(a))
		fmt.Fprintf(&six, "2001:db8:%x:%x\n", a>>16, a&0xffff)
		if r.IntN(8) == 0 {
			names = append(names, reverse4(a), reverse4(a+uint32(r.IntN(3))-1), reverse4(a^1<<r.IntN(32)))
		}
	}
	text := ":127.0.0.3:listed three times, see https://example.com/$\n" + string(raw)
	for _, kind := range []Kind{IP4Set, IP4TSet, IP4Trie} {
		t.Run(string(kind), func(t *testing.T) {
			d, z := serveBoth(t, string(kind)+":"+writeFile(t, dir, string(kind), text))
			compare(t, d, z, names, TypeA, TypeTXT)
		})
	}
	t.Run("dnset", func(t *testing.T) {
		d, z := serveBoth(t, "dnset:"+writeFile(t, dir, "dnset", ":4:$\n"+reversed.String()))
		compare(t, d, z, names, TypeA, TypeTXT)
	})
	for i, name := range names {
		a := rbl.CodeFromAddr(rbl.ParseLabels(wireName(name), rbl.HoldsIP4).Addr)
		names[i] = reverse6(addr6{hi: 0x20010db8<<32 | uint64(a), lo: uint64(i)})
	}
	for _, kind := range []Kind{IP6Trie, IP6TSet} {
		t.Run(string(kind), func(t *testing.T) {
			d, z := serveBoth(t, string(kind)+":"+writeFile(t, dir, string(kind), ":5:six $\n"+six.String()))
			compare(t, d, z, names, TypeA, TypeTXT)
		})
	}
}

// TestRbldnsd_maxRange stays around the bound, and tries to widen it.
func TestRbldnsd_maxRange(t *testing.T) {
	const text = `10.0.0.0/16
$MAXRANGE4 256
10.1.0.0/24
10.2.0.0/23
10.3.0.0-10.3.0.254
10.4.0.0-10.4.1.0
10.5
$MAXRANGE4 /23
10.6.0.0/23
$MAXRANGE4 /28
10.7.0.0/28
10.8.0.0/27
!10.0.9.0/27
!10.0.10.0/28
192.0.2.1
192.0.2.2
192.0.2.3
192.0.2.4
`
	var names []string
	for i := range uint32(9) {
		names = append(names, reverse4(10<<24|i<<16), reverse4(10<<24|i<<16|255), reverse4(10<<24|i<<8|9<<8))
	}
	for _, kind := range []Kind{IP4Set, IP4Trie} {
		t.Run(string(kind), func(t *testing.T) {
			d, z := serveBoth(t, string(kind)+":"+writeFile(t, dataDir(t), "data", text))
			compare(t, d, z, names, TypeA)
		})
	}
}

// TestRbldnsd_odd is what the generator does not write: each text goes into a
// data set of every kind of its family, on its own.
func TestRbldnsd_odd(t *testing.T) {
	var addrs []string
	for i := range 15 {
		addrs = append(addrs, fmt.Sprintf("%d.0.0.10", i))
	}
	addrs = append(addrs, "", "2.0.0.127", "8.0.0.8", "1.1.0.10", "255.255.255.10")
	ip4 := []string{
		"10.0.0.1 :2:a:b\n10.0.0.2 :2::b\n10.0.0.3 \"quoted\"\n10.0.0.4 :127.0.0.1\n10.0.0.5 :127.0.0.2 :x\n10.0.0.6\t\ttab\ttext \n10.0.0.7:2:near\n" +
			"10.0.0.8;near\n010.0.0.9 lead\n10.0.0.10 :1.2.3.4.5:x\n10.0.0.11 :256:\n10.0.0.12 :127.0.0.2.:x\n10.0.0.13 :0.0.0.0:x\n10.0.0.14 :127.0.0.0:x\n",
		":3:def\n:4\n10.0.0.1\n::text\n10.0.0.2\n:5:\n10.0.0.3\n: :x\n10.0.0.4\n:6 x\n10.0.0.5\n:7:  \n10.0.0.6\n:8::x\n10.0.0.7\n",
		"$0 zero\n$9 nine\n$= base $= $ $0 $1 $9 $$ $x $\n10.0.0.1 \n10.0.0.2 txt $0 $\n10.0.0.3 =own $= $0\n10.0.0.4 :2:\n10.0.0.5 :2:=\n10.0.0.6 =\n10.0.0.7 :3:x$",
		"$=\n$= \n10.0.0.1 x\n$1\n$2 \n$TTL 0\n10.0.0.2 $1 $2\n$SOA 0 a. b. 0 0 0 0 0\n$NS 0 a b c\n",
		"$SOA 0 a. b. 0 0 0 0 0 # comment\n$SOA 5 x. y. 1 2 3 4 5 6\n$SOA 5 x. y. 1 2h 3m 4w 5d  \n$NS 1h\n$NS 1h -a\n$NS 1h a\n",
		"$NS x a\n$NS 1h .\n$TTL 1w1d\n$TTL 1W\n10.0.0.1 a\n10.0.0.2\n",
		"$NS a b\n$NS 4294967295 b\n$TTL 4294967296\n10.0.0.1 a\n10.0.0.2\n",
		"$ TTL 5\n#$ TTL 5\n;$TTL 6\n# $TTL 7\n10.0.0.1 a\n",
		" $TTL 5\n\t:5:x\n10.0.0.1\n !10.0.0.2\n!\n10.0.0.3 :2:x#y;z\n10.0.0.4 #x\n10.0.0.5 x #y\n10.0.0.6 ;$TTL 5\n",
		"10.0.0.1 a\n10.0.0.1 a\n10.0.0.1 b\n10.0.0.1 :3:a\n10.0.0.2\n!10.0.0.2\n!10.0.0.3\n10.0.0.3\n10.0.0.4/32 x\n10.0.0.4 y\n10.0.0.4-4 z\n10.0.0.5-10.0.0.8 r\n10.0.0.6-10 s\n!10.0.0.7\n",
		"10.0.0/24 a\n10.0.0.0-255 b\n10.0.0.0/25 c\n10.0.0.0/8 d\n10 e\n10.0 f\n10/16 g\n10.0.0.1 h\n" + strings.Repeat("10.0.0.9\n", 9),
		"10.0.0.1 a\xff\xfeb\x01\n10.0.0.2 " + strings.Repeat("$", 200) + "\n10.0.0.3 " + strings.Repeat("a", 254) + "\n10.0.0.4 " + strings.Repeat("a", 255) + "\n10.0.0.5 " + strings.Repeat("a", 253) + "$\n",
		"$MAXRANGE4 /33\n$MAXRANGE4 /32\n10.0.0.0/31\n10.0.0.4\n$MAXRANGE4 0\n$TIMESTAMP 2020:01:01 +0\n10.0.0.5\n10.0.0.6\n",
		"$TIMESTAMP 2020:01:01 2040:01:01\n$TIMESTAMP - -\n$TIMESTAMP 0 0\n$TIMESTAMP 0 2037:01:01\n10.0.0.5\n",
		"10.0.0.1/32x\n10.0.0.2/\n10.0.0.3/ 32\n10.0.0.4 /32\n10.0.0.5/032\n10.0.0.6 - 10.0.0.7\n10.0.0.8-\n10.0.0.9-10.0.0.10.\n10..0.11\n" + strings.Repeat("10.0.0.14\n", 9),
	}
	label := strings.Repeat("a", 63)
	names := []string{"", "2.0.0.127", "com", "a.com", "b.a.com", "c.b.a.com", "x_y.com", "up.com", "a.up.com", "*", "*.com", "*.*.com", "x.*.com",
		"xn--bcher-kva.example", "-.com", "trail.com", label + ".com", "q.com", "r.com", "s.com", "t.com"}
	dnset := []string{
		"a.com x $\n*.a.com y $\nx_y.com\nUP.com $\n*.UP.com :3:$\n*\n*.*.com :5:\ntrail.com. $\na..com\n" + label + ".com\nq.com:2:x\nr.com#x\ns.com;x\nt.com\tx\n!.t.com\n",
		".com x $\n!a.com\n*.b.a.com $\n!*.up.com\nup.com\n.\n*.\n..com\n...\n",
		"\\065.com x $\n\\a.com\n*.b\\.a.com $\n\"q.com\"\n@\n@.com\n",
		"a.com a\na.com b\n.a.com c\n*.a.com c\n!c.b.a.com\n!*.c.b.a.com\n.xn--bcher-kva.example\n",
		".com :2:x\n:3:y\na.com\n$1 v\n$= b $= $1\n",
	}
	hosts := []string{"", "www", "a", "b", "a.b", "c", "d", "2.0.0.127", "*", "x.w", "w", "*.w", "e"}
	generic := []string{
		"@ NS a.\nwww CNAME a.\n*.w A 1.2.3.4\n@ SOA x\na A 1.2.3.4 x\nb A 1.2.3.4.5\na.b TXT\nc TXT \"\nd TXT \"a\" \"b\"\ne MX a\n",
		"www TXT " + strings.Repeat("t", 300) + "\nb MX 5 .\nd TXT ;x\ne A 1.2.3.4 ; x\nw 0 A 1.2.3.4\n",
		"www 5 A 1.2.3.4\nwww 7 A 1.2.3.4\nwww 9 TXT x\na IN 5 A 1.2.3.4\nb CH A 1.2.3.4\nA.B. 5 in a 1.2.3.4\n!c A 1.2.3.4\n$= x\n$1 y\nd TXT $1 $\n",
	}
	for _, tt := range []struct {
		kind  Kind
		texts []string
		first string // an entry that both have
		ask   []string
	}{
		{IP4Set, ip4, "127.0.0.2\n", addrs}, {IP4Trie, ip4, "127.0.0.2\n", addrs}, {IP4TSet, ip4[:10], "127.0.0.2\n", addrs},
		{DNSet, dnset, "2.0.0.127\n", names}, {Generic, generic, "2.0.0.127 A 127.0.0.2\n", hosts},
	} {
		for i, text := range tt.texts {
			t.Run(fmt.Sprintf("%s/%d", tt.kind, i), func(t *testing.T) {
				d, z := serveBoth(t, string(tt.kind)+":"+writeFile(t, dataDir(t), "data", tt.first+text))
				compare(t, d, z, tt.ask, allTypes...)
			})
		}
	}
}

// TestRbldnsd_odd6 is TestRbldnsd_odd for IPv6, also in a zone that has other
// data sets: those answer for mapped addresses and for reversed names.
func TestRbldnsd_odd6(t *testing.T) {
	texts := []string{
		"::1 a\n::2:x\n1:2:3:4::/64 b\n1:2:3:4:5:6:7:8 c\n1:2:3:4:5:6:7:: d\n::2:3:4:5:6:7:8 e\n1::8/128 f\n1:0:0:0:0:0:0:9\n1:2 g\n1:2:3/48 h\n1:2:3:/48 i\n" +
			"1:2:3::/48 :3: j\n!1:2:3:5::/64\n! 1:2:3:6::1\n",
		":2:x\n::\n::/0 z\n::ffff:7f00:2 m\n::ffff:0:0/96 n\n::1.2.3.4 o\n2002:a00:1::/48 p\n64:ff9b::/96 q\n",
		"1:2:3:4/64\n1:2:3:4/63\n1:2:3:5/64 x\n1:2:3:4:/64\n1:2:3:4::\n0001:0002:0003:0004:5:6:7:8\n00001::\n1::2::3\n:1\n1:\nABCD:ef01::/32 Up $\n",
		"1:2:3:4::#c\n1:2:3:4::1;c\n1:2:3:4::2 ;c\n1:2:3:4::3\t:5:t\n:7:def $\n1:2:3:4::4\n::5 :8:\n1:2:3:4::6/128 =x\n$= b $=\n",
		"1:2:3:4\n1:2:3:4\n1:2:3:5 text\n!1:2:3:4::1\n!1:2:3:4:0:0:0:2\n!1:2:3:4::/64\n1:2:3:6::\n1:2:3:4:5\n:9:def\n1:2:3:7\n:8:two\n1:2:3:8\n",
		"1:2:3:4::/65 a\n1:2:3:4:8000::/65 b\n1:2:3:4::/127 c\n1:2:3:4::/128 d\n!1:2:3:4::1\n1:2:3:4::/66 e\n1:2:3:4::/64 f\n1:2::/32 g\n1:2:3:4::/64 h\n",
	}
	ask := []string{"", "2.0.0.127", "1.0.0.10"}
	for _, s := range []string{"::", "::1", "::2", "::5", "1:2:3:4::", "1:2:3:4::1", "1:2:3:4::2", "1:2:3:4::3", "1:2:3:4::4", "1:2:3:4::6", "1:2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7:0", "0:2:3:4:5:6:7:8", "1::8", "1::9", "1:2::", "1:2:3::", "1:2:3:5::", "1:2:3:5::1", "1:2:3:6::", "1:2:3:6::1", "1:2:3:7::1", "1:2:3:8::1",
		"::ffff:7f00:2", "::ffff:102:304", "2002:a00:1::", "2002:a00:1::5", "64:ff9b::1", "abcd:ef01::2", "1:2:3:4:8000::", "1:2:3:4:4000::", "1:2:3:4:5::",
		"ffff::", "8000::1", "7:7:7:7::"} {
		a, _, _, err := parsePrefix6([]byte(s))
		if err != nil {
			t.Fatal(s, err)
		}
		ask = append(ask, reverse6(a))
	}
	for _, kinds := range [][]string{{"ip6trie"}, {"ip6tset"}, {"ip6trie", "ip4set", "dnset"}} {
		for i, text := range texts {
			t.Run(fmt.Sprintf("%v/%d", kinds, i), func(t *testing.T) {
				dir := dataDir(t)
				specs := []string{kinds[0] + ":" + writeFile(t, dir, kinds[0], strings.Repeat("7:7:7:7\n", 20)+text)}
				for _, kind := range kinds[1:] {
					specs = append(specs, kind+":"+writeFile(t, dir, kind, map[string]string{"ip4set": "10.0.0.1 x\n1.2.3.4 $\n127.0.0.2\n", "dnset": "2.0.0.127 :9:\n*.2.2.1 x\n"}[kind]))
				}
				d, z := serveBoth(t, specs...)
				compare(t, d, z, ask, allTypes...)
			})
		}
	}
}
