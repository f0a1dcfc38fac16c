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
	"sync"
	"sync/atomic"
	"time"
)

// StoreOptions tune a Store.
type StoreOptions struct {
	Options
	Log *slog.Logger // nil: no log
	// Changed is called after each load, good or not, and when the data
	// expires, by the goroutine of Open or Run. It may be nil.
	Changed func(Status)
}

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
	specs []Spec
	o     StoreOptions
	seed  maphash.Seed
	zone  atomic.Pointer[Zone]

	mu     sync.Mutex
	status Status // written by the goroutine of Open and Run alone

	// The rest belongs to the goroutine of Open and then Run.
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

// NewStore returns a Store that has read nothing yet.
func NewStore(specs []Spec, o StoreOptions) *Store {
	o.Options = o.withDefaults()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Store{specs: specs, o: o, seed: maphash.MakeSeed()}
}

// Zone returns the data in force. It is nil when there is none: no load was
// good yet, or the data has expired.
func (s *Store) Zone() *Zone { return s.zone.Load() }

// Status returns how the Store stands.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Open loads the files for the first time. After an error there is no data,
// and Run goes on trying.
func (s *Store) Open(ctx context.Context) error {
	z, problems, prints, err := load(ctx, s.specs, s.o.Options, s.seed)
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
	if sameStats(now, s.tried) {
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
	z, problems, prints, err := load(ctx, s.specs, s.o.Options, s.seed)
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
		since = s.o.Now()
		s.o.Log.LogAttrs(ctx, slog.LevelDebug, "zone files are being written", slog.Any("files", s.specs))
	case s.o.Now().Sub(since) >= restless && !errors.Is(s.status.Err, ErrChanged):
		s.finish(ctx, nil, nil, nil, fmt.Errorf("%w, every time for %v", err, restless))
	}
	s.moving = since
}

// finish publishes the outcome of a load.
func (s *Store) finish(ctx context.Context, z *Zone, problems []Problem, prints []fingerprint, err error) {
	s.moving, s.refused = time.Time{}, time.Time{}
	if err == nil {
		s.tried, s.recheck = prints, true
		s.zone.Store(z)
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
	st := s.status
	st.Err, st.Problems = err, problems
	if err == nil {
		st.Zone, st.Loaded = z, s.o.Now()
	}
	s.publish(ctx, st)
}

// publish makes st the status and tells of it.
func (s *Store) publish(ctx context.Context, st Status) {
	if before := s.status; before.Since.IsZero() || (before.Err == nil) != (st.Err == nil) || (before.Zone == nil) != (st.Zone == nil) {
		st.Since = s.o.Now()
	}
	s.mu.Lock()
	s.status = st
	s.mu.Unlock()
	s.report(ctx, st)
}

func (s *Store) report(ctx context.Context, st Status) {
	for _, p := range st.Problems {
		s.o.Log.LogAttrs(ctx, slog.LevelWarn, "zone file line skipped", slog.String("at", fmt.Sprintf("%s:%d", p.File, p.Line)), slog.String("reason", p.Text))
	}
	if st.Err != nil {
		s.o.Log.LogAttrs(ctx, slog.LevelError, "zone files not loaded", slog.String("error", st.Err.Error()), slog.Bool("last_good_in_force", st.Zone != nil))
	} else {
		s.o.Log.LogAttrs(ctx, slog.LevelInfo, "zone files loaded", slog.Int("entries", st.Zone.Entries()), slog.Int("bytes", st.Zone.Size()))
	}
	if s.o.Changed != nil {
		s.o.Changed(st)
	}
}

// expire takes data out of force whose time is over. It is read again as any
// file that is no good is, since it may be the clock that is wrong.
func (s *Store) expire(ctx context.Context) {
	z := s.zone.Load()
	if z == nil {
		return
	}
	err := z.expired(s.o.Now())
	if err == nil {
		return
	}
	s.zone.Store(nil)
	s.said, s.refused = cmp.Or(s.said, err.Error()), time.Now()
	st := s.status
	st.Zone, st.Err, st.Problems = nil, err, nil
	s.publish(ctx, st)
}

// stat looks at every file without reading it, but for whether it may: that a
// file may be read again does not show in a stat.
func (s *Store) stat() ([]fingerprint, error) {
	var prints []fingerprint
	for _, spec := range s.specs {
		for _, name := range spec.Files {
			f, info, err := open(name)
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", name, bareError(err))
			}
			f.Close()
			prints = append(prints, fingerprint{name: name, info: info})
		}
	}
	return prints, nil
}

func sameStats(a, b []fingerprint) bool {
	return slices.EqualFunc(a, b, func(x, y fingerprint) bool { return x.sameStat(y.info) })
}

// sameBytes reads the files again; its error names the first that no longer is
// what prints say.
func (s *Store) sameBytes(ctx context.Context, prints []fingerprint) error {
	for _, p := range prints {
		now, err := hashFile(ctx, p.name, s.seed)
		if err != nil || !p.sameStat(now.info) || now.hash != p.hash {
			return fmt.Errorf("reading %s: %w", p.name, ErrChanged)
		}
	}
	return nil
}

func hashFile(ctx context.Context, name string, seed maphash.Seed) (fingerprint, error) {
	f, info, err := open(name)
	if err != nil {
		return fingerprint{}, err
	}
	defer f.Close()
	mark := fingerprint{name: name, info: info}
	var hash maphash.Hash
	hash.SetSeed(seed)
	buf := make([]byte, 1<<16)
	for {
		n, err := f.Read(buf)
		hash.Write(buf[:n])
		if err == io.EOF {
			mark.hash = hash.Sum64()
			return mark, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return mark, err
		}
	}
}
