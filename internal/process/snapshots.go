package process

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

// snapshots are the snapshots of versions: each of its own version, within a
// bound on their memory, the least used giving way. One that is missing, since
// it gave way, or the server was started anew, is made in the background when
// it is asked for; so is one that has become old.
type snapshots struct {
	initialise func(context.Context, *millicent.Version) (*snapshot, error)
	limit      int64 // bytes
	log        *slog.Logger

	ctx    context.Context // ends when close is called
	cancel context.CancelFunc
	slots  chan struct{} // has room for each that is being made
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	shots  map[snapshotID]*snapshot
	total  int64                    // bytes
	making map[snapshotID]bool      // in the background
	paused map[snapshotID]time.Time // until when none is made, after a failure
}

// A snapshotID names a version for good: a number comes again where a function
// is deleted and created anew.
type snapshotID struct {
	tenant, function, number string
	modified                 int64
}

func idOf(v *millicent.Version) snapshotID {
	return snapshotID{v.Tenant, v.Function, v.Number, v.Modified.UnixNano()}
}

const (
	snapshotMakers = 2
	snapshotLife   = 24 * time.Hour
	snapshotPause  = time.Minute // after a failure

	// Snapshots may have snapshotShare-th of the machine's memory, or the least
	// that is of use.
	snapshotShare  = 8
	leastSnapshots = 512 << 20
)

func newSnapshots(limit int64, log *slog.Logger, initialise func(context.Context, *millicent.Version) (*snapshot, error)) *snapshots {
	s := &snapshots{
		initialise: initialise, limit: limit, log: log, slots: make(chan struct{}, snapshotMakers),
		shots: map[snapshotID]*snapshot{}, making: map[snapshotID]bool{}, paused: map[snapshotID]time.Time{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// create makes the snapshot of a version that is about to be published, and
// keeps it.
func (s *snapshots) create(ctx context.Context, v *millicent.Version) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	shot, err := s.initialise(ctx, v)
	if err == nil {
		s.keep(idOf(v), shot)
	}
	return err
}

// take returns a version's snapshot, to be given back to release; nil when
// there is none, which one is made for then.
func (s *snapshots) take(v *millicent.Version) *snapshot {
	now := time.Now()
	id := idOf(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	shot := s.shots[id]
	if shot == nil || now.Sub(shot.made) > snapshotLife {
		s.remake(id, v, now)
	}
	if shot == nil || s.closed {
		return nil
	}
	shot.used = now
	shot.refs++
	return shot
}

// remake makes a snapshot in the background. mu is held.
func (s *snapshots) remake(id snapshotID, v *millicent.Version, now time.Time) {
	if s.closed || s.making[id] || now.Before(s.paused[id]) {
		return
	}
	s.making[id] = true
	s.work.Go(func() {
		err := s.create(s.ctx, v)
		if err != nil && s.ctx.Err() == nil {
			s.log.Warn("no snapshot, environments start without", "function", v.Function, "version", v.Number, "error", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.making, id)
		delete(s.paused, id)
		if err != nil {
			s.paused[id] = time.Now().Add(snapshotPause)
		}
	})
}

// release gives a snapshot back.
func (s *snapshots) release(shot *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shot.refs--
	s.free(shot)
}

// free closes what is neither kept nor in use. mu is held.
func (s *snapshots) free(shot *snapshot) {
	if shot.gone && shot.refs == 0 {
		if err := shot.file.Close(); err != nil {
			s.log.Warn("a snapshot is not freed", "error", err)
		}
	}
}

// keep keeps a snapshot, in place of an earlier one, and gives up others as
// the bound wants it.
func (s *snapshots) keep(id snapshotID, shot *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(id)
	shot.used = time.Now()
	s.shots[id] = shot
	s.total += shot.size
	for s.total > s.limit || s.closed && len(s.shots) > 0 {
		s.remove(s.leastUsed(id))
	}
}

// leastUsed names the snapshot whose last use is the longest ago, another than
// the newest if there is one. mu is held.
func (s *snapshots) leastUsed(newest snapshotID) snapshotID {
	found := newest
	for id, shot := range s.shots {
		if id != newest && (found == newest || shot.used.Before(s.shots[found].used)) {
			found = id
		}
	}
	return found
}

// remove gives up a snapshot, if there is one. mu is held.
func (s *snapshots) remove(id snapshotID) {
	shot := s.shots[id]
	if shot == nil {
		return
	}
	delete(s.shots, id)
	s.total -= shot.size
	shot.gone = true
	s.free(shot)
}

// spoilt gives up a snapshot that could not be used; another one is made when
// it is asked for.
func (s *snapshots) spoilt(v *millicent.Version, shot *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := idOf(v); s.shots[id] == shot {
		s.remove(id)
	}
}

// prune gives up what a function has and keep does not want.
func (s *snapshots) prune(tenant, function string, keep func(number string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.shots {
		if id.tenant == tenant && id.function == function && !keep(id.number) {
			s.remove(id)
		}
	}
	for id := range s.paused {
		if id.tenant == tenant && id.function == function && !keep(id.number) {
			delete(s.paused, id)
		}
	}
}

// close gives up everything, and returns once nothing is being made.
func (s *snapshots) close() {
	s.cancel()
	s.mu.Lock()
	s.closed = true
	for id := range s.shots {
		s.remove(id)
	}
	s.mu.Unlock()
	s.work.Wait()
}

// Initialise makes the snapshot that environments of a version to be published
// start from. ok is false where this machine has no snapshots of it. An *Error
// says why the version cannot be: its Code is the state's reason code.
func (l *Launcher) Initialise(ctx context.Context, v *millicent.Version) (ok bool, err error) {
	err = l.snapshots.create(ctx, v)
	if errors.Is(err, errUnsupported) {
		l.cfg.Log.Warn("versions start without snapshots", "function", v.Function, "version", v.Number, "runtime", v.Runtime, "error", err)
		return false, nil
	}
	return err == nil, err
}

// Retain gives up the snapshots of those versions of a function that are not
// kept.
func (l *Launcher) Retain(tenant, function string, kept func(number string) bool) {
	l.snapshots.prune(tenant, function, kept)
}
