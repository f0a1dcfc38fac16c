package main

import (
	"testing"

	"dnsblproxy/cmd/dnsblproxy/internal/config"
)

// TestKeptRoot asks from a shell where the server of systemd keeps its figures.
func TestKeptRoot(t *testing.T) {
	t.Chdir("/etc")
	for _, tt := range []struct{ path, state, env, want string }{
		{systemConfig, "", "", "/var/lib/dnsblproxy"},
		{"dnsblproxy/config.toml", "", "", "/var/lib/dnsblproxy"},
		{systemConfig, "/srv/state", "", "/srv/state"},
		{systemConfig, "", "/run/state:/run/more", "/run/state"},
		{"config.toml", "", "", ""}, // a server of its own, which keeps nothing
	} {
		t.Setenv("STATE_DIRECTORY", tt.env)
		if got := keptRoot(&config.Config{Path: tt.path, State: tt.state}); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}
