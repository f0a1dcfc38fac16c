package overrides

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// pollEvery is how often rule files are looked at. A change is in force within
// 3 s, reading and building included.
const pollEvery = time.Second

// maxBusy is how many looks in a row may find a file being written before that
// is a failure.
const maxBusy = 30

// settle is how old a file's times have to be, or for how long they have been seen,
// before unchanged ones prove an unchanged file: coarse file systems count whole
// seconds.
const settle = 3 * time.Second

// watched is a rule file as it was last read. It is handed on from one
// configuration to the next, and read by one goroutine only.
type watched struct {
	path string

	good    bool // the last reading had no fault
	seen    stamp
	settled bool              // seen was old enough when the file was read
	sum     [sha256.Size]byte // of what was read

	latest stamp     // of the latest look
	since  time.Time // when that was seen first
	waits  int       // looks in a row that left the file to its writer
}

// stamp tells versions of a file apart, also across a rename over it.
type stamp struct {
	mtime, ctime time.Time // ctime follows every change, whatever sets mtime back
	size         int64
	inode        uint64
}

// errBusy says that the file changed while it was read, or may be going to.
var errBusy = errors.New("the file is being written; write it elsewhere and rename it when it is whole")

func stampOf(path string) (stamp, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	for err == unix.EINTR { // as a file system over a network may say
		err = unix.Stat(path, &st)
	}
	if err != nil {
		return stamp{}, &Problem{File: path, Msg: fileFault(err)}
	}
	return stamp{time.Unix(st.Mtim.Unix()), time.Unix(st.Ctim.Unix()), st.Size, uint64(st.Ino)}, nil
}

// read returns the file's content if it has changed since the last call, nil
// if it has not, be its stamp a new one. What changes while it is read is not
// trusted: errBusy. Nor is what was written a moment ago, for more may follow.
func (w *watched) read() (*content, error) {
	before, err := stampOf(w.path)
	if err != nil {
		w.seen, w.sum, w.good = stamp{}, [sha256.Size]byte{}, false // when it comes back it is read, whatever its stamp
		return nil, err
	}
	if before == w.seen && w.settled {
		return nil, nil
	}
	if w.underWay(before) {
		return nil, fmt.Errorf("%s: %w", w.path, errBusy)
	}
	settled := min(time.Since(before.mtime), time.Since(before.ctime)) > settle || time.Since(w.since) > settle
	if before == w.seen && w.unchanged() {
		w.settled = settled
		return nil, nil
	}
	data, readErr := readBounded(w.path, maxRuleFile)
	after, err := stampOf(w.path)
	if err != nil {
		return nil, err
	}
	if after != before {
		return nil, fmt.Errorf("%s: %w", w.path, errBusy)
	}
	// What the system refuses may be granted later, which leaves the stamp as it is.
	_, refused := errors.AsType[*os.PathError](readErr)
	w.seen, w.settled = before, settled && !refused
	if readErr != nil {
		w.sum, w.good = [sha256.Size]byte{}, false
		return nil, &Problem{File: w.path, Msg: fileFault(readErr)}
	}
	sum := sumOf(data)
	if sum == w.sum {
		return nil, nil
	}
	c, err := compileRuleFile(w.path, data)
	w.sum, w.good = sum, err == nil
	return c, err
}

// first is the first read. A file with a fault that may be just being written is
// looked at until then; one that changes meanwhile is busy.
func (w *watched) first(until time.Time) (c *content, err error) {
	changes := 0
	for was := (stamp{}); ; time.Sleep(pollEvery / 20) {
		now, gone := stampOf(w.path)
		if gone != nil {
			return nil, gone
		}
		if now != was {
			*w = watched{path: w.path}
			c, err = w.read()
			was, changes = now, changes+1
		}
		atRest := changes == 1 && time.Since(now.mtime) > pollEvery
		if err == nil || atRest || !time.Now().Before(until) {
			break
		}
	}
	if err != nil && changes > 1 {
		*w = watched{path: w.path, latest: stamp{size: -1}} // and so it has changed when it is looked at next
		err = fmt.Errorf("%s: %w", w.path, errBusy)
	}
	return c, err
}

// unchanged reports whether the file says what was read of it.
func (w *watched) unchanged() bool {
	h := sha256.New()
	err := eachPart(w.path, maxRuleFile, func(part []byte, _ int64) { h.Write(part) })
	return err == nil && [sha256.Size]byte(h.Sum(nil)) == w.sum
}

func sumOf(data []byte) [sha256.Size]byte {
	var p pace
	h := sha256.New()
	for part := range slices.Chunk(data, paceBytes) {
		h.Write(part)
		p.look()
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// underWay reports whether somebody may be writing the file: it has changed since
// the latest look. One that was renamed over another, after it was written, is
// whole; so fast a job that this does not show waits once. That ends in time for the
// change not to be a failure.
func (w *watched) underWay(now stamp) bool {
	before := w.latest
	if now != before {
		w.latest, w.since = now, time.Now()
	}
	renamed := w.seen != stamp{} && now.inode != before.inode && (now.ctime.After(now.mtime) || w.waits > 0)
	if before == (stamp{}) || now == w.seen || now == before || renamed || w.waits == maxBusy-1 {
		w.waits = 0
		return false
	}
	w.waits++
	return true
}
