package shared

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// keyed is a Cache without a server, for what needs only its secret.
func keyed(secret string) *Cache { return &Cache{o: Options{Secret: secret}} }

var testTime = time.Unix(1_700_000_000, 0)

func TestCache_open(t *testing.T) {
	c := keyed("a secret")
	question, data := []byte("question"), "an answer"
	seal := func(left time.Duration) []byte { return c.seal(answers, question, data, testTime.Add(left)) }
	good := seal(time.Minute)
	tests := []struct {
		name   string // what is wrong with the value
		value  []byte
		result string
		life   uint32
	}{
		{"nothing", good, hit, 60},
		{"a moment left", seal(time.Second), hit, 1},
		{"as long as values may be good for", seal(maxLife * time.Second), hit, maxLife},
		{"expired", seal(0), miss, 0},
		{"long expired", seal(-time.Hour), miss, 0},
		{"good for longer than anything", seal((maxLife + 1) * time.Second), invalid, 0},
		{"before the epoch", c.seal(answers, question, data, time.Unix(-1, 0)), miss, 0},
		{"empty", nil, invalid, 0},
		{"the MAC alone", good[len(good)-macLen:], invalid, 0},
		{"without its last octet", good[:len(good)-1], invalid, 0},
		{"without its first octet", good[1:], invalid, 0},
		{"an octet more", append(bytes.Clone(good), 0), invalid, 0},
		{"of another question", c.seal(answers, []byte("questioN"), data, testTime.Add(time.Minute)), invalid, 0},
		{"of another purpose", c.seal(warnings, question, data, testTime.Add(time.Minute)), invalid, 0},
		{"of another secret", keyed("a secreT").seal(answers, question, data, testTime.Add(time.Minute)), invalid, 0},
		{"question and data shifted", c.seal(answers, append(question, data[0]), data[1:], testTime.Add(time.Minute)), invalid, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, life, result := c.open(answers, question, tt.value, testTime)
			want := data
			if tt.result != hit {
				want = ""
			}
			if result != tt.result || life != tt.life || got != want {
				t.Errorf("open = %q, %d, %s, want %q, %d, %s", got, life, result, want, tt.life, tt.result)
			}
		})
	}
	for i := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if _, _, result := c.open(answers, question, bad, testTime); result != invalid {
			t.Errorf("the value opens with bit %d turned", i)
		}
	}
}

// TestCache_key: a key tells nothing of the question, and no two questions,
// purposes or secrets share one.
func TestCache_key(t *testing.T) {
	seen := map[string]string{}
	for _, secret := range []string{"a", "b"} {
		for _, p := range []purpose{answers, warnings} {
			for _, question := range []string{"", "k", "KEY.zen.example", "2.0.0.127"} {
				key := keyed(secret).key(p, []byte(question))
				what := secret + string(p) + question
				if other, taken := seen[key]; taken {
					t.Errorf("%q and %q have the key %q", what, other, key)
				}
				seen[key] = what
				if !strings.HasPrefix(key, keyPrefix) || len(question) > 1 && strings.Contains(key, question) {
					t.Errorf("the key of %q is %q", question, key)
				}
			}
		}
	}
}

// FuzzCache_open: whatever is put in the place of a value, nothing opens but
// what was sealed for that question, and then it says what was sealed.
func FuzzCache_open(f *testing.F) {
	c := keyed("a secret")
	f.Add([]byte("question"), "data", uint16(60), []byte("other"), []byte{}, 0)
	f.Add([]byte{}, "", uint16(1), []byte{}, []byte{1}, 3)
	f.Add([]byte("q"), "data", uint16(0), []byte("q"), c.seal(answers, []byte("q"), "x", testTime.Add(time.Hour)), 9)
	f.Fuzz(func(t *testing.T, question []byte, data string, left uint16, other, junk []byte, at int) {
		sealed := c.seal(answers, question, data, testTime.Add(time.Duration(left)*time.Second))
		got, life, result := c.open(answers, question, sealed, testTime)
		if ok := result == hit; result == invalid || ok != (left > 0) || ok && (got != data || life != uint32(left)) {
			t.Fatalf("open(seal(%q, %d s)) = %q, %d, %s", data, left, got, life, result)
		}
		if _, _, result := c.open(answers, other, sealed, testTime); result != invalid && !bytes.Equal(question, other) {
			t.Fatalf("the value for %q opens for %q", question, other)
		}
		// junk in the place of a part of the value, or of all of it.
		at = int(uint(at) % uint(len(sealed)+1))
		forged := append(bytes.Clone(sealed[:at]), junk...)
		for _, v := range [][]byte{forged, append(bytes.Clone(forged), sealed[at:]...), junk} {
			if _, _, result := c.open(answers, question, v, testTime); result != invalid && !bytes.Equal(v, sealed) && !ours(c, question, v) {
				t.Fatalf("a forged value opens: %x", v)
			}
		}
	})
}

// ours says whether v is what seal makes of its own parts: the definition of
// a sealed value.
func ours(c *Cache, question, v []byte) bool {
	for left := range 1 << 16 {
		if bytes.Equal(v, c.seal(answers, question, string(v[expiryLen:len(v)-macLen]), testTime.Add(time.Duration(left)*time.Second))) {
			return true
		}
	}
	return false
}
