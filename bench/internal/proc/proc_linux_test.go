package proc

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestParseSchedstat(t *testing.T) {
	if d, err := parseSchedstat([]byte("1474820 81248 2\n")); err != nil || d != 1474820 {
		t.Errorf("parseSchedstat = %v, %v", d, err)
	}
	if _, err := parseSchedstat(nil); err == nil {
		t.Error("nothing was read as a time")
	}
}

func TestParseStatus(t *testing.T) {
	if n, err := parseStatus([]byte("Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t 1 kB\n")); err != nil || n != 2<<20 {
		t.Errorf("parseStatus = %d, %v, want %d", n, err, 2<<20)
	}
	for _, in := range []string{"", "Name:\tx\n", "VmRSS:\t x kB\n"} {
		if _, err := parseStatus([]byte(in)); err == nil {
			t.Errorf("parseStatus(%q) is no error", in)
		}
	}
}

// TestCPU has this process work and finds it in the figures.
func TestCPU(t *testing.T) {
	pid := os.Getpid()
	x := uint64(1)
	spent, err := Spent(pid, func() error {
		for began := time.Now(); time.Since(began) < 50*time.Millisecond; {
			for range 1000 {
				x = x*6364136223846793005 + 1
			}
		}
		return nil
	})
	if err != nil || spent <= 0 || x == 0 {
		t.Errorf("%v were spent, %v", spent, err)
	}
	if _, err := CPU(1 << 30); err == nil {
		t.Error("a process that there is not has had a processor")
	}
	if n, err := RSS(pid); err != nil || n < 1<<20 {
		t.Errorf("RSS = %d, %v", n, err)
	}
}

// TestStart has a process say on which processors it may run.
func TestStart(t *testing.T) {
	cpus, err := Processors(0)
	if err != nil {
		t.Fatal(err)
	}
	one := cpus[len(cpus)-1]
	cmd := exec.Command("sleep", "60")
	if err := Start(cmd, one); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if got, err := Processors(cmd.Process.Pid); err != nil || len(got) != 1 || got[0] != one {
		t.Errorf("the process runs on %v, %v, want %d", got, err, one)
	}
	if now, err := Processors(0); err != nil || len(now) != len(cpus) {
		t.Errorf("afterwards this one runs on %v, %v, want %v", now, err, cpus)
	}
}
