package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrMostlyBad is wrapped by the error of Load about a file of which more lines
// are bad than good: most likely it is of another type.
var ErrMostlyBad = errors.New("more lines are bad than good")

// ErrChanged is wrapped by the error of Load about a file that was written to
// while it was read.
var ErrChanged = errors.New("the file changed while it was read")

// ErrExpired is wrapped by the error of Load about data whose own end has come
// ($TIMESTAMP).
var ErrExpired = errors.New("the data has expired")

// Passing reports whether an error of Load is about time alone: the file is
// being written, is meant for later, or has expired.
func Passing(err error) bool {
	return errors.Is(err, ErrChanged) || errors.Is(err, errFuture) || errors.Is(err, ErrExpired)
}

var errHuge = errors.New("the file is too large")

const (
	maxLine     = 1 << 16 // bytes
	maxFile     = 2 << 30 // bytes, unpacked
	maxProblems = 20      // skipped lines of a dataset that are described; the others are counted
	defaultTTL  = 35 * 60 // seconds, of records whose data sets none: rbldnsd's
)

// Load reads the datasets of one zone, as of now. Lines that cannot be read are
// skipped and returned as problems, also beside an error. An error means that
// the data as a whole is not to be used: a file is missing, mostly bad, changed
// while it was read, stamped for the future, or expired.
func Load(ctx context.Context, specs []Spec, now time.Time) (*Zone, []Problem, error) {
	z, problems, _, err := load(ctx, specs, now, maphash.MakeSeed())
	return z, problems, err
}

// load also returns what the files looked like when they were read.
func load(ctx context.Context, specs []Spec, now time.Time, seed maphash.Seed) (*Zone, []Problem, []fingerprint, error) {
	z := &Zone{}
	var problems []Problem
	var prints []fingerprint
	for _, spec := range specs {
		b, err := newBuilder(spec.Kind, now)
		if err != nil {
			return nil, problems, nil, err
		}
		for _, name := range spec.Files {
			mark, err := b.file(ctx, name, seed)
			if err != nil {
				return nil, append(problems, b.skipped()...), nil, fmt.Errorf("reading %s: %w", name, bareError(err))
			}
			prints = append(prints, mark)
			if mark.modified.After(z.modified) {
				z.modified = mark.modified
			}
		}
		problems = append(problems, b.skipped()...)
		z.add(b)
	}
	if err := z.expired(now); err != nil {
		return nil, problems, nil, err
	}
	if z.soa != nil {
		if serial := z.soa.serial(); binary.BigEndian.Uint32(serial) == 0 {
			binary.BigEndian.PutUint32(serial, uint32(z.modified.Unix()))
		}
	}
	return z, problems, prints, nil
}

// add takes over a finished dataset. SOA and name servers are those of the
// first dataset that has them; the data ends when the first of them ends.
func (z *Zone) add(b *builder) {
	s := b.done()
	z.sets = append(z.sets, s)
	z.has4 = z.has4 || s.ip4 != nil
	if z.soa == nil {
		z.soa = b.soa
	}
	if z.ns == nil {
		z.ns, z.nsTTL = b.ns, b.nsTTL
	}
	if !b.expires.IsZero() && (z.expires.IsZero() || b.expires.Before(z.expires)) {
		z.expires = b.expires
	}
}

// fingerprint tells whether a file is still the one that was read.
type fingerprint struct {
	name string
	stamp
	hash uint64 // of the bytes; 0 from stat alone
}

// stamp tells files, and states of one, apart as far as a stat does.
type stamp struct {
	device, inode     uint64
	size              int64
	modified, changed time.Time // the second follows every change, whatever sets the first back
}

// open opens a regular file. A pipe that nobody writes to would never be open.
func open(name string) (*os.File, stamp, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, stamp{}, err
	}
	is, err := stampOf(f)
	if err != nil {
		f.Close()
		return nil, stamp{}, err
	}
	return f, is, nil
}

func stampOf(f *os.File) (stamp, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return stamp{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return stamp{}, errors.New("this is no regular file")
	}
	return stamp{uint64(st.Dev), uint64(st.Ino), st.Size, time.Unix(st.Mtim.Unix()), time.Unix(st.Ctim.Unix())}, nil
}

// read hands a file's bytes to use, until ctx ends, and returns what the file is
// like. One that changes meanwhile is ErrChanged.
func read(ctx context.Context, name string, seed maphash.Seed, use func(r io.Reader, size int64) error) (fingerprint, error) {
	f, before, err := open(name)
	if err != nil {
		return fingerprint{}, err
	}
	defer f.Close()
	mark := fingerprint{name: name, stamp: before}
	var hash maphash.Hash
	hash.SetSeed(seed)
	if err := use(io.TeeReader(stoppable{ctx, f}, &hash), before.size); err != nil {
		return mark, err
	}
	mark.hash = hash.Sum64()
	after, err := stampOf(f)
	if err == nil && after != before {
		err = ErrChanged
	}
	return mark, err
}

// stoppable is a reader that fails when ctx has ended.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s stoppable) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(b)
}

// file reads one file of the dataset.
func (b *builder) file(ctx context.Context, name string, seed maphash.Seed) (fingerprint, error) {
	mark, err := read(ctx, name, seed, func(r io.Reader, size int64) error {
		if size > maxFile {
			return errHuge
		}
		b.startFile(name, size)
		return b.lines(r)
	})
	if err == nil && b.bad > b.good {
		err = fmt.Errorf("%w: %d against %d; is it a %s file?", ErrMostlyBad, b.bad, b.good, b.kind)
	}
	return mark, err
}

// bareError drops the operation and path of an os error: the caller names both.
func bareError(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

// lines feeds every line of r, which may be compressed by gzip.
func (b *builder) lines(r io.Reader) error {
	br := bufio.NewReaderSize(r, maxLine)
	if magic, _ := br.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return err
		}
		br = bufio.NewReaderSize(zr, maxLine)
	}
	total := int64(0)
	for {
		line, err := br.ReadSlice('\n')
		total += int64(len(line))
		if b.lineNo++; b.lineNo == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")) // of an editor on Windows
		}
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			var more []byte
			more, err = br.ReadSlice('\n')
			total += int64(len(more))
		}
		if err != nil && err != io.EOF {
			return err
		}
		if long {
			b.problem(errors.New("the line is too long"))
		} else if err := b.line(line); errors.Is(err, errFuture) {
			return err
		}
		if total > maxFile {
			return errHuge
		}
		if err == io.EOF {
			return nil
		}
	}
}
