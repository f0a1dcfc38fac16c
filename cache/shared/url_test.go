package shared

import (
	"strings"
	"testing"
)

func TestCheckURL(t *testing.T) {
	for _, url := range []string{
		"redis://127.0.0.1", "redis://127.0.0.1:6379/0", "rediss://user:pass@cache.example:6380/2", "valkey://[::1]:6379", "valkeys://h",
		"unix:///run/redis/redis.sock?db=1", "unix://:pass@/run/redis.sock",
		"redis://a:1?addr=b:2&addr=c:3", "redis://s1:26379/1?addr=s2:26379&master_set=mail",
	} {
		if err := CheckURL(url); err != nil {
			t.Errorf("CheckURL(%q) = %v", url, err)
		}
	}
	for url, want := range map[string]string{
		"":                                   "invalid URL scheme",
		"http://h":                           "invalid URL scheme",
		"127.0.0.1:6379":                     "cannot be read",
		"redis://:s3cret@h:port":             "cannot be read",
		"redis://:s3cret@h/x":                "invalid database number",
		"redis://:s3cret@h/1/2":              "invalid URL path",
		"redis://:/s3cret@h:6379":            "invalid database number", // a slash of the password
		"redis://:1/s3cret@h:6379/0":         "invalid URL path",        // likewise
		"unix://:s3cret@":                    "names no server",
		"redis://:s3cret@h?dial_timeout=abc": "invalid dial timeout",
	} {
		err := CheckURL(url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("CheckURL(%q) = %v, want %q", url, err, want)
		}
		if _, err := Open(Options{URL: url, Secret: "x"}); err == nil {
			t.Errorf("Open takes %q", url)
		}
	}
	if _, err := Open(Options{URL: "redis://127.0.0.1"}); err != ErrSecret {
		t.Errorf("without a secret: %v", err)
	}
}
