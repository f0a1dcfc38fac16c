package overrides

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// The last good set of a source is kept in one file, in text that people can
// read and that ParseRange reads:
//
//	dnsblproxy set 1
//	sum 9f86d0…
//	source "allow\x00efax\x00spf\x00efax.com"
//	time 2026-03-31T12:00:00Z
//	etag "\"33a64df5\""
//	modified "Tue, 31 Mar 2026 11:58:00 GMT"
//	agent "dnsblproxy/1.0"
//	192.0.2.0/24
//	live 198.51.100.0/24
//
// The lines from etag to agent are of feeds only. The sum is SHA-256 over
// everything below its line. A file that does not fit it, or is of another
// source, is set aside and never trusted.
const (
	stateMagic   = "dnsblproxy set 1"
	stateSuffix  = ".set"
	damaged      = ".damaged"
	maxState     = 256 << 20
	maxStateAge  = 30 * 24 * time.Hour // after which the file of a source that is gone is removed
	confirmEvery = time.Hour           // how often an unchanged set's time is written anew
)

// keptSet is what is kept of a source. Its content is nil if that is nothing.
type keptSet struct {
	content *content
	at      time.Time // when it was confirmed, in whole seconds
	valid   validators
}

// store keeps sets in a folder.
type store struct{ dir string }

func (st store) path(k sourceKey) string {
	sum := sha256.Sum256([]byte(k.String()))
	return filepath.Join(st.dir, k.kind.String()+"-"+hex.EncodeToString(sum[:10])+stateSuffix)
}

// save writes the set atomically.
func (st store) save(k sourceKey, set keptSet) error {
	if err := os.MkdirAll(st.dir, 0o750); err != nil {
		return fmt.Errorf("keeping a set: %w", err)
	}
	if err := renameio.WriteFile(st.path(k), encodeState(k.String(), set), 0o640); err != nil {
		return fmt.Errorf("keeping a set: %w", err)
	}
	return nil
}

// keptFile is a file of the folder, and of which source it says to be.
type keptFile struct{ path, key, time string }

// load returns what is kept of the source.
func (st store) load(k sourceKey) (keptSet, error) {
	return keptFile{path: st.path(k), key: k.String()}.read()
}

// read returns what is in the file. A damaged one is renamed, so that it is looked
// at once.
func (f keptFile) read() (keptSet, error) {
	data, err := readBounded(f.path, maxState)
	if errors.Is(err, os.ErrNotExist) {
		return keptSet{}, nil
	}
	if err != nil {
		return keptSet{}, fmt.Errorf("reading a kept set: %w", err)
	}
	set, err := decodeState(f.key, data)
	if err != nil {
		err = fmt.Errorf("the kept set %s is damaged: %w", f.path, err)
		return keptSet{}, errors.Join(err, os.Rename(f.path, f.path+damaged))
	}
	return set, nil
}

// byAsked returns the latest file for each thing that is asked, whatever rule it
// is named after.
func (st store) byAsked() map[string]keptFile {
	latest := make(map[string]keptFile)
	paths, _ := st.files()
	for _, path := range paths {
		data, _ := readBounded(path, maxState) // what cannot be read is nobody's
		head := strings.SplitN(string(data), "\n", 5)
		if len(head) < 5 {
			continue
		}
		key, _ := strconv.Unquote(strings.TrimPrefix(head[2], "source "))
		part := strings.SplitN(key, "\x00", 3)
		if f := (keptFile{path, key, head[3]}); len(part) == 3 && latest[part[2]].time < f.time {
			latest[part[2]] = f
		}
	}
	return latest
}

// sweep removes the files of sources that have been gone for long.
func (st store) sweep(used map[string]bool, now time.Time) error {
	paths, err := st.files()
	errs := []error{err}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err == nil && !used[p] && now.Sub(info.ModTime()) > maxStateAge {
			errs = append(errs, os.Remove(p))
		}
	}
	return errors.Join(errs...)
}

// files returns the paths of all kept sets. To filepath.Glob a folder's name may be
// a pattern.
func (st store) files() (paths []string, err error) {
	entries, err := os.ReadDir(st.dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), stateSuffix) {
			paths = append(paths, filepath.Join(st.dir, e.Name()))
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		err = nil // nothing was kept yet
	}
	return paths, err
}

func encodeState(key string, set keptSet) []byte {
	var body bytes.Buffer
	fmt.Fprintf(&body, "source %q\ntime %s\n", key, set.at.UTC().Format(time.RFC3339))
	for _, name := range validatorNames {
		if text := set.valid[name]; text != "" {
			fmt.Fprintf(&body, "%s %q\n", name, text)
		}
	}
	for _, r := range set.content.rangesOf(false) {
		fmt.Fprintln(&body, r)
	}
	for _, r := range set.content.rangesOf(true) {
		fmt.Fprintln(&body, "live", r)
	}
	sum := sha256.Sum256(body.Bytes())
	return fmt.Appendf(nil, "%s\nsum %x\n%s", stateMagic, sum, body.Bytes())
}

// decodeState is the inverse of encodeState for the same key.
func decodeState(key string, data []byte) (keptSet, error) {
	magic, rest, _ := strings.Cut(string(data), "\n")
	if magic != stateMagic {
		return keptSet{}, fmt.Errorf("it does not begin with %q", stateMagic)
	}
	sumLine, body, _ := strings.Cut(rest, "\n")
	if sum := sha256.Sum256([]byte(body)); sumLine != "sum "+hex.EncodeToString(sum[:]) {
		return keptSet{}, errors.New("its sum does not fit")
	}
	sc := bufio.NewScanner(strings.NewReader(body))
	if !sc.Scan() || sc.Text() != "source "+strconv.Quote(key) {
		return keptSet{}, errors.New("it is of another source")
	}
	sc.Scan()
	at, err := time.Parse("time "+time.RFC3339, sc.Text())
	if err != nil {
		return keptSet{}, errors.New("it has no time")
	}
	set := keptSet{at: at, valid: make(validators)}
	var fixed, live []Range
	for sc.Scan() {
		var r Range
		word, text, _ := strings.Cut(sc.Text(), " ")
		switch {
		case slices.Contains(validatorNames, word):
			err = set.valid.read(word, text)
		case word == "live":
			r, err = ParseRange(text)
			live = append(live, r)
		default:
			r, err = ParseRange(sc.Text())
			fixed = append(fixed, r)
		}
		if err != nil {
			return keptSet{}, err
		}
	}
	set.content = contentOfRanges(fixed, live)
	return set, sc.Err()
}
