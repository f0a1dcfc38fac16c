package dataset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"
)

// Status tells how a Store stands.
type Status struct {
	Zone     *Zone     // what is served; nil before the first good load and after the data's expiry
	Loaded   time.Time // when it was loaded
	Since    time.Time // when Zone or Err last became nil or ceased to be
	Err      error     // why the files as they are now are not served; nil when they are
	Problems []Problem // the lines skipped in the last load, good or not
}

// Store serves the newest good data of one zone's files. A change is read
// twice, a second apart, and counts only when both readings are the same, so that
// a file that is being written is not served half. What cannot be read, or does
// not come to rest, leaves the last good data in force.
type Store struct {
	specs  []Spec
	log    *slog.Logger
	now    func() time.Time
	seed   maphash.Seed
	status atomic.Pointer[Status]

	// The rest, and what status is, is for the goroutine of Open and then Run.
	tried   []fingerprint // the files as last loaded, or as refused
	recheck bool          // look at the bytes once more: a write within the clock's grain does not show in a stat
	said    string        // the last complaint, to make it once; empty: all is well
	moving  time.Time     // since when every look finds a file that is written to; zero: they stand still
	refused time.Time     // when what was read was no good; zero: it was
}

const (
	poll     = time.Second // between looks at the files
	settle   = time.Second // between the two readings of a changed file
	restless = time.Minute // a file may be written to before that is an error
	again    = time.Minute // from a bad reading to the next: what a disk failed to read shows in no stat
)

// NewStore returns a Store that has read nothing yet, and tells log of each load,
// good or not, and when the data expires.
func NewStore(specs []Spec, log *slog.Logger) *Store {
	s := &Store{specs: specs, log: log, now: time.Now, seed: maphash.MakeSeed()}
	s.status.Store(&Status{})
	return s
}

// Zone returns the data in force. It is nil when there is none: no load was
// good yet, or the data has expired.
func (s *Store) Zone() *Zone { return s.status.Load().Zone }

// Status returns how the Store stands.
func (s *Store) Status() Status { return *s.status.Load() }

// Open loads the files for the first time. After an error there is no data,
// and Run goes on trying.
func (s *Store) Open(ctx context.Context) error {
	z, problems, prints, err := load(ctx, s.specs, s.now(), s.seed)
	s.finish(ctx, z, problems, prints, err)
	return err
}

// Run looks at the files until ctx ends. Open comes first.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.poll(ctx)
			s.expire(ctx)
		}
	}
}

// poll takes up a change, if there is one.
func (s *Store) poll(ctx context.Context) {
	now, err := s.stat()
	if err != nil {
		s.tried = nil // when they come back they are read, whatever stat says
		s.finish(ctx, nil, nil, nil, err)
		return
	}
	if slices.EqualFunc(now, s.tried, func(a, b fingerprint) bool { return a.stamp == b.stamp }) {
		switch {
		case s.recheck:
			if s.sameBytes(ctx, s.tried) == nil {
				s.recheck = false
				return
			}
		case s.refused.IsZero() || time.Since(s.refused) < again:
			return
		}
	}
	s.reload(ctx, now)
}

// reload reads the files twice and takes them when they stand still.
func (s *Store) reload(ctx context.Context, now []fingerprint) {
	z, problems, prints, err := load(ctx, s.specs, s.now(), s.seed)
	if err == nil {
		wait := time.NewTimer(settle)
		defer wait.Stop()
		select {
		case <-ctx.Done():
		case <-wait.C:
			err = s.sameBytes(ctx, prints)
		}
	}
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, ErrChanged): // the next look sees it anew
		s.unsettled(ctx, err)
	case err != nil:
		s.tried, s.recheck = now, false
		s.finish(ctx, nil, problems, nil, err)
		s.refused = time.Now()
	default:
		s.finish(ctx, z, problems, prints, nil)
	}
}

// unsettled waits for files that are being written to, and complains once.
func (s *Store) unsettled(ctx context.Context, err error) {
	since := s.moving
	switch {
	case since.IsZero():
		since = s.now()
		s.log.LogAttrs(ctx, slog.LevelDebug, "zone files are being written", slog.Any("files", s.specs))
	case s.now().Sub(since) >= restless && !errors.Is(s.Status().Err, ErrChanged):
		s.finish(ctx, nil, nil, nil, fmt.Errorf("%w, every time for %v", err, restless))
	}
	s.moving = since
}

// finish publishes the outcome of a load.
func (s *Store) finish(ctx context.Context, z *Zone, problems []Problem, prints []fingerprint, err error) {
	s.moving, s.refused = time.Time{}, time.Time{}
	if err == nil {
		s.tried, s.recheck = prints, true
	}
	if errors.Is(err, errFuture) {
		s.tried = nil // time alone makes it good
	}
	said := s.said
	if s.said = ""; err != nil {
		s.said = err.Error()
	}
	if s.said != "" && s.said == said {
		return
	}
	st := s.Status()
	st.Err, st.Problems = err, problems
	if err == nil {
		st.Zone, st.Loaded = z, s.now()
	}
	s.publish(ctx, st)
}

// publish makes st the status and tells of it.
func (s *Store) publish(ctx context.Context, st Status) {
	if before := s.Status(); before.Since.IsZero() || (before.Err == nil) != (st.Err == nil) || (before.Zone == nil) != (st.Zone == nil) {
		st.Since = s.now()
	}
	s.status.Store(&st)
	for _, p := range st.Problems {
		s.log.LogAttrs(ctx, slog.LevelWarn, "zone file line skipped", slog.String("at", fmt.Sprintf("%s:%d", p.File, p.Line)), slog.String("reason", p.Text))
	}
	if st.Err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "zone files not loaded", slog.String("error", st.Err.Error()), slog.Bool("last_good_in_force", st.Zone != nil))
	} else {
		s.log.LogAttrs(ctx, slog.LevelInfo, "zone files loaded", slog.Int("entries", st.Zone.Entries()), slog.Int("bytes", st.Zone.Size()))
	}
}

// expire takes data out of force whose time is over. It is read again as any
// file that is no good is, since it may be the clock that is wrong.
func (s *Store) expire(ctx context.Context) {
	st := s.Status()
	if st.Zone == nil {
		return
	}
	err := st.Zone.expired(s.now())
	if err == nil {
		return
	}
	s.said, s.refused = cmp.Or(s.said, err.Error()), time.Now()
	st.Zone, st.Err, st.Problems = nil, err, nil
	s.publish(ctx, st)
}

// stat looks at every file without reading it, but for whether it may: that a
// file may be read again does not show in a stat.
func (s *Store) stat() ([]fingerprint, error) {
	var prints []fingerprint
	for _, spec := range s.specs {
		for _, name := range spec.Files {
			f, is, err := open(name)
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", name, bareError(err))
			}
			f.Close()
			prints = append(prints, fingerprint{name: name, stamp: is})
		}
	}
	return prints, nil
}

// sameBytes reads the files again; its error names the first that no longer is
// what prints say.
func (s *Store) sameBytes(ctx context.Context, prints []fingerprint) error {
	for _, p := range prints {
		now, err := read(ctx, p.name, s.seed, func(r io.Reader, _ int64) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if err != nil || now.stamp != p.stamp || now.hash != p.hash {
			return fmt.Errorf("reading %s: %w", p.name, ErrChanged)
		}
	}
	return nil
}
