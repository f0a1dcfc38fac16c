package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestReport asks two lists, restarts the proxy, and wants the figures of
// both runs: of the running server, and of what it kept.
func TestReport(t *testing.T) {
	t.Parallel()
	one, two := startFaulty(t, "one.example"), startFaulty(t, "two.example")
	one.List(map[string]string{"192.0.2.1": "127.0.0.2", "192.0.2.2": "127.0.0.2", "192.0.2.3": "127.0.0.2"})
	two.List(map[string]string{"192.0.2.2": "127.0.0.4"})
	proxy := startProxy(t, ProxyOptions{
		Top:    `state = "state"`,
		Config: zone("one.example", "", one.Addr) + zone("two.example", "", two.Addr) + "[allow.office]\ncidr = [\"192.0.2.3\"]\n",
	})
	for _, subject := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"} {
		for _, z := range []string{"one.example", "two.example"} {
			verdict(t, proxy.Addr, subject, z)
		}
	}
	type figures struct {
		Zone      string
		Questions int
		Listings  int
		Exempted  int `json:"exempted_listings"`
		Unique    int `json:"unique_listings"`
		Errors    int
	}
	want := fmt.Sprint([]figures{{"one.example", 4, 3, 1, 1, 0}, {"two.example", 4, 1, 0, 0, 0}})
	check := func(what string) error {
		var got []figures
		status, stdout, stderr := proxy.command(t, "report", "--since", "2h", "--json")
		if status != 0 {
			return fmt.Errorf("%s: status %d: %s", what, status, stderr)
		}
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, stdout)
		}
		if fmt.Sprint(got) != want {
			return fmt.Errorf("%s: %v, want %s", what, got, want)
		}
		return nil
	}
	// The list is asked about the exempt address in the background.
	eventually(t, startTimeout, "figures of the running server", func() error { return check("running") })

	if _, err := proxy.get("/api/v1/report?since=soon"); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("the API takes any span: %v", err)
	}
	proxy.Signal(t, syscall.SIGTERM)
	proxy.Wait(t, stopTimeout)
	if err := check("stopped"); err != nil {
		t.Error(err)
	}
	if _, stdout, stderr := proxy.command(t, "report"); !strings.Contains(stderr, "these are the figures that it kept") ||
		!strings.Contains(stdout, "one.example") {
		t.Errorf("without a server: %q, %q", stdout, stderr)
	}
	proxy.launch(t)
	if err := check("restarted"); err != nil {
		t.Error(err)
	}
	if status, _, stderr := proxy.command(t, "report", "--since", "soon"); status != 2 || !strings.Contains(stderr, `"soon" is no span`) {
		t.Errorf("--since soon: status %d, %s", status, stderr)
	}
}
