package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestCheck_lists has check ask lists that do not serve us: it says in words
// what each wants, and leaves the state of the server alone.
func TestCheck_lists(t *testing.T) {
	t.Parallel()
	well, blocked, empty := startFaulty(t, "well.example"), startFaulty(t, "blocked.example"), startFaulty(t, "empty.example")
	blocked.Set(faultNamed("error code 254"))
	empty.Set(faultNamed("another owner"))
	proxy := startProxy(t, ProxyOptions{
		Config: zone("well.example", "", well.Addr) + zone("blocked.example", "", blocked.Addr) + zone("empty.example", "", empty.Addr),
	})
	status, _, stderr := proxy.command(t, "check")
	if status != 0 {
		t.Errorf("exit status %d for what is no mistake of the configuration", status)
	}
	for _, want := range []string{
		"zone blocked.example: the list does not serve us: blocked: the list does not answer this resolver or this key",
		"zone empty.example: the list does not list its test entry",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("check does not say %q but:\n%s", want, stderr)
		}
	}
	if strings.Contains(stderr, "well.example") {
		t.Errorf("check complains of a list that is well:\n%s", stderr)
	}
	if _, _, stderr = proxy.command(t, "check", "--offline"); strings.Contains(stderr, "zone ") {
		t.Errorf("check --offline has asked:\n%s", stderr)
	}
}

// TestCheck_shared: what a shared cache has of a list says nothing of the list.
func TestCheck_shared(t *testing.T) {
	t.Parallel()
	list, redis := startFaulty(t, "bl.example"), startRedis(t)
	proxy := startProxy(t, ProxyOptions{Env: []string{sharedSecret}, Config: redis.table("") + zone("bl.example", "probe = true", list.Addr)})
	eventually(t, soon, "the test entry to be shared", func() error {
		verdict(t, proxy.Addr, "127.0.0.2", "bl.example")
		if len(redis.keys(t)) == 0 {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	list.Set(faultNamed("error code 254"))
	if _, _, stderr := proxy.command(t, "check"); !strings.Contains(stderr, "zone bl.example: the list does not serve us: blocked") {
		t.Errorf("check does not ask the list, and says:\n%s", stderr)
	}
}
