package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSignal ends a command that waits for its input by the first signal, and
// as by a signal: a shell that runs it in a loop ends the loop too.
func TestSignal(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			pipe := filepath.Join(t.TempDir(), "pipe")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), "dnsblproxy", "allow", "import", "--rule", "x", pipe)
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			writer, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for the reader
			if err != nil {
				t.Fatal(err)
			}
			defer writer.Close()
			if err := command.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = command.Wait() // tells of the signal as an error
			if status := command.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig {
				t.Errorf("the command ended with %s, want by the signal", command.ProcessState)
			}
		})
	}
}

// TestRun_fullDisk: what could not be printed is no wrong usage, and not done.
func TestRun_fullDisk(t *testing.T) {
	for _, line := range []string{
		"help serve", "serve --help", "completion bash", "completion fish", "version", "version --json",
		"check --offline --config ../../config.example.toml", "check --offline --json --config ../../config.example.toml",
	} {
		var told strings.Builder
		if got := run(strings.Fields(line), nil, fullDisk{}, &told); got != exitFailed || told.String() != "dnsblproxy: no space left\n" {
			t.Errorf("%s = %d, %q; want status %d and why", line, got, &told, exitFailed)
		}
	}
}

type fullDisk struct{ io.Writer }

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }
