package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	// startTimeout is how long a daemon may take to answer. Generous, because
	// with the race detector on a loaded machine everything is slow.
	startTimeout = time.Minute
	// stopTimeout is how long a daemon may take to leave after SIGTERM.
	stopTimeout = 30 * time.Second
	// soon is for what comes by itself, however long that takes here and now.
	soon = 2 * time.Minute
	// pollEvery is the pause between two looks of eventually.
	pollEvery = 10 * time.Millisecond
)

// awake is a clock that stands still while the machine does, and is slow while
// others have the processors. What the proxy promises in seconds is measured by it.
var awake = sync.OnceValue(func() func() time.Duration {
	var sum atomic.Int64
	go func() {
		last := time.Now()
		for now := range time.Tick(pollEvery) {
			sum.Add(int64(min(now.Sub(last), 2*pollEvery)))
			last = now
		}
	}()
	return func() time.Duration { return time.Duration(sum.Load()) }
})

// since is how long ago the clock awake showed start.
func since(start time.Duration) time.Duration { return awake()() - start }

// Process is a running program. Its output is kept, and shown when the test
// that started it has failed.
type Process struct {
	name   string
	cmd    *exec.Cmd
	output lockedBuffer
	once   sync.Once     // stop
	done   chan struct{} // closed once the process is reaped
	err    error         // what Wait said; readable once done is closed
}

// startProcess runs argv until the test ends. Extra environment variables are
// added to those of the test.
func startProcess(t testing.TB, env []string, argv ...string) *Process {
	t.Helper()
	p := &Process{
		name: filepath.Base(argv[0]),
		cmd:  exec.Command(argv[0], argv[1:]...),
		done: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout = &p.output
	p.cmd.Stderr = &p.output
	p.cmd.SysProcAttr = processAttributes()
	// A grandchild that keeps the pipe open must not hold Wait for ever.
	p.cmd.WaitDelay = stopTimeout

	started := make(chan error)
	go func() {
		// The kernel kills the child when the thread that started it
		// ends, so this goroutine keeps its thread until it has reaped it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		t.Fatalf("starting %s: %v", argv[0], err)
	}
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("last output of %s %q:\n%s", p.name, argv[1:], tail(p.output.String(), 60))
		}
	})
	return p
}

// Output is all that the process has written so far.
func (p *Process) Output() string { return p.output.String() }

// Signal sends s to the process.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("sending %v to %s: %v", s, p.name, err)
	}
}

// Wait returns the exit status once the process has left by itself; it fails
// the test if that takes longer than timeout.
func (p *Process) Wait(t testing.TB, timeout time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(timeout):
		t.Fatalf("%s still runs after %v", p.name, timeout)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Exited tells whether the process has left.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the process and whatever it started, and reaps it.
func (p *Process) stop(t testing.TB) {
	p.once.Do(func() {
		if !p.Exited() {
			p.cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-p.done:
			case <-time.After(stopTimeout):
				t.Errorf("%s did not leave within %v of SIGTERM", p.name, stopTimeout)
			}
		}
		killGroup(p.cmd.Process.Pid)
		<-p.done
	})
}

// eventually looks until the condition holds, which it says by returning nil,
// and fails the test with its last error if that takes longer than timeout.
func eventually(t testing.TB, timeout time.Duration, what string, condition func() error) {
	t.Helper()
	if err := poll(timeout, condition); err != nil {
		t.Fatalf("%s: not within %v: %v", what, timeout, err)
	}
}

func poll(timeout time.Duration, condition func() error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for start := awake()(); ; <-tick.C {
		late := since(start) > timeout // a last look is due
		if err := condition(); err == nil || late {
			return err
		}
	}
}

// ready waits until the daemon answers, or fails as soon as it has left.
func (p *Process) ready(t testing.TB, answers func() error) {
	t.Helper()
	gone := errors.New("left while starting")
	err := poll(startTimeout, func() error {
		if p.Exited() {
			return nil
		}
		return answers()
	})
	if p.Exited() {
		err = gone
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", p.name, err, tail(p.Output(), 60))
	}
}

// needProgram returns the path of a daemon, looked for in the folders of
// system daemons too. Without it the test skips, or fails under CI.
func needProgram(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin", "/sbin") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
			return path
		}
	}
	missing(t, fmt.Sprintf("%s is not installed; make packages installs it", name))
	return ""
}

// needRoot is for daemons that change their user or root folder, and for port 53.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "this test needs root: Postfix changes users, and resolv.conf knows no port but 53")
	}
}

// unconfined copies a daemon into the test's folder. The profiles that some
// systems have (AppArmor) go by path and allow the packaged configuration
// folder alone.
func unconfined(t testing.TB, program, dir string) string {
	t.Helper()
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.Base(program))
	// A process that another test starts meanwhile would hold the file open for
	// writing for a moment, and a program that is open so cannot be started.
	syscall.ForkLock.RLock()
	err = os.WriteFile(path, b, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// folder makes a private folder that daemons which drop their privileges can
// enter too (those of T.TempDir are closed to them), under a short path,
// because the path of a Unix socket has 107 bytes at most.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// write puts text into dir/name, replacing the file as a whole.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}

// lockedBuffer is a bytes.Buffer for one writer and several readers.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
