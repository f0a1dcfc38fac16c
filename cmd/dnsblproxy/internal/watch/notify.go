package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

const (
	// maxJobs bounds what waits to be told. More is told at the next look.
	maxJobs = 256

	commandTime = 30 * time.Second // also of all tries of a webhook
	commandEnd  = 2 * time.Second  // left to either when the server stops
	maxOutput   = 2048             // octets of a command's output that are kept for the log
)

// The values of the label result.
const (
	resultTold   = "told"
	resultFailed = "failed"
)

// Facts are what a command reads on standard input and a webhook gets, as
// JSON.
type Facts struct {
	Event   string    `json:"event"` // "listed" or "delisted"
	Watch   string    `json:"watch"`
	Address string    `json:"address"`
	Zone    string    `json:"zone"`
	Codes   []string  `json:"codes"`
	Text    string    `json:"text"`
	Removal string    `json:"removal"` // where to ask for removal; "" if unknown
	Since   time.Time `json:"since"`
}

func facts(key *Key, e *Entry, a *Answer, zone *Zone) Facts {
	f := Facts{
		Event: "delisted", Watch: key.Watch, Address: key.Addr.String(), Zone: key.Zone,
		Codes: []string{}, Since: e.Since,
	}
	if e.Listed {
		f.Event, f.Codes, f.Text, f.Removal = "listed", append(f.Codes, a.Codes...), a.Text, zone.Removal
	}
	return f
}

// job is something to tell.
type job struct {
	key     Key
	entry   Entry
	argv    []string
	webhook string // instead of argv
	facts   Facts
}

// enqueue has a job told. One that does not fit is told at the next look.
func (w *Watcher) enqueue(j job) {
	select {
	case w.jobs <- j:
	default:
		w.o.Log.Warn("too much to tell at once", slog.String("watch", j.key.Watch))
	}
}

// tellAll tells one job after the other until ctx is done.
func (w *Watcher) tellAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-w.jobs:
			w.tell(ctx, j)
		}
	}
}

// tell runs the command or posts to the webhook, unless that is out of date by
// now.
func (w *Watcher) tell(ctx context.Context, j job) {
	w.mu.Lock()
	current := w.current(&j)
	w.mu.Unlock()
	if !current {
		return
	}
	input, err := json.Marshal(j.facts)
	if err == nil {
		running, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandTime)
		stop := context.AfterFunc(ctx, func() { time.AfterFunc(commandEnd, cancel) })
		if j.webhook != "" {
			err = w.post(running, j.webhook, input)
		} else {
			err = w.o.Command(running, j.argv, append(input, '\n'))
		}
		stop()
		cancel()
	}
	if err != nil {
		w.told.WithLabelValues(j.key.Watch, resultFailed).Inc()
		w.o.Log.Warn("watch: nobody was told", slog.String("watch", j.key.Watch),
			slog.String("address", j.facts.Address), slog.String("zone", j.facts.Zone), slog.Any("error", err))
		return
	}
	w.told.WithLabelValues(j.key.Watch, resultTold).Inc()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current(&j) {
		j.entry.Told = true
		w.keep(j.key, j.entry)
	}
}

// current reports whether a job is to be told still. The caller holds w.mu.
func (w *Watcher) current(j *job) bool {
	e, ok := w.state[j.key]
	return ok && !e.Told && e.Listed == j.entry.Listed && e.Since.Equal(j.entry.Since)
}

// environment is all that a command gets: nothing of ours, which may hold
// keys.
func environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
}

// runCommand runs a process in a group of its own, so that its children end
// with it.
func runCommand(ctx context.Context, argv []string, input []byte) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdin = environment(), "/", bytes.NewReader(input)
	var said head
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil && len(said) > 0 {
		return fmt.Errorf("running %q: %w; it said %q", argv[0], err, bytes.TrimSpace(said))
	}
	if err != nil {
		return fmt.Errorf("running %q: %w", argv[0], err)
	}
	return nil
}

// head keeps the beginning of what is written to it.
type head []byte

func (h *head) Write(p []byte) (int, error) {
	*h = slices.Concat(*h, p[:min(len(p), maxOutput-len(*h))])
	return len(p), nil
}
