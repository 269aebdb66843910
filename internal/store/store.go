package store

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

// Names of the buckets.
const (
	functionsBucket = "functions"
	packagesBucket  = "packages"
	keysBucket      = "keys"
)

const (
	// changeTimeout bounds one change of the store.
	changeTimeout = 30 * time.Second

	// maxAttempts bounds how often a change is tried that other nodes'
	// changes keep coming between.
	maxAttempts = 100
)

// Config configures a Store.
type Config struct {
	Dir    string           // directory of the package files
	Node   string           // this node's name; "" means "local"
	Region string           // for resource names in messages; "" means us-east-1
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil means none

	// Initialise initialises a version that starts from a snapshot, and compiles
	// one that Compiles says so of, before it becomes Active; ok says that there
	// is a snapshot. An *Error is why it becomes Failed instead, its Code the
	// reason's. One version of a tenant is compiled at a time. Nil does neither.
	Initialise func(ctx context.Context, v *millicent.Version) (ok bool, err error)

	// Compiles reports whether a version, whose package is unpacked, is to be
	// compiled. Nil compiles none.
	Compiles func(ctx context.Context, v *millicent.Version) bool
}

// Store keeps functions, versions, aliases, URLs, access keys and packages. It
// is safe for concurrent use.
type Store struct {
	cfg        Config
	index      *index
	functions  *table
	keys       *keyring
	packages   *packages
	activation *activation
	snapshots  *activation // of versions whose package is unpacked
	programs   *activation // likewise, of those that are compiled
	stop       context.CancelFunc
	janitor    sync.WaitGroup

	seed    maphash.Seed
	stripes [64]chan struct{} // each a lock for the functions that hash to it

	mu     sync.Mutex
	loaded bool // OnChange's functions are called from now on
	hooks  []func(before, after *millicent.Function)
}

// Open opens the buckets, loads everything into memory, and resumes the
// activations that a crash cut off. ctx bounds the opening alone.
func Open(ctx context.Context, js jetstream.JetStream, cfg Config) (*Store, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Node == "" {
		cfg.Node = "local"
	}
	life, stop := context.WithCancel(context.Background())
	s := &Store{cfg: cfg, index: newIndex(), stop: stop, seed: maphash.MakeSeed()}
	for i := range s.stripes {
		s.stripes[i] = make(chan struct{}, 1)
	}
	if err := s.open(ctx, life, js); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store: %w", err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx, life context.Context, js jetstream.JetStream) (err error) {
	// The packages come first: activation needs to know who holds them.
	if s.packages, err = openPackages(life, ctx, js, s.cfg); err != nil {
		return err
	}
	if s.keys, err = openKeyring(ctx, js, s.failed); err != nil {
		return err
	}
	s.activation = newActivation(life, false, s.activate)
	s.snapshots = newActivation(life, false, s.initialise)
	s.programs = newActivation(life, true, s.initialise)
	s.functions, err = openTable(ctx, js, functionsBucket, s.apply, s.failed)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.loaded = true
	s.mu.Unlock()
	for _, id := range s.index.unsettled() {
		s.activation.enqueue(id)
	}
	s.janitor.Go(func() { s.keepClean(life) })
	return nil
}

// Close stops the watches and the activation. What was not activated is, at
// the next Open.
func (s *Store) Close() error {
	s.stop()
	var errs []error
	if s.activation != nil {
		s.activation.wait()
		s.snapshots.wait()
		s.programs.wait()
	}
	s.janitor.Wait()
	if s.functions != nil {
		errs = append(errs, s.functions.close())
	}
	if s.keys != nil {
		errs = append(errs, s.keys.table.close())
	}
	if s.packages != nil {
		errs = append(errs, s.packages.close())
	}
	return errors.Join(errs...)
}

// NewRevision returns a new revision id for a version or an alias.
func NewRevision() string { return uuid.NewString() }

// OnChange calls f after each change of a function, in order, with the value
// before (nil when created) and after (nil when deleted), and when a published
// version has been activated, with the same value twice. f must not block,
// and has returned when the call that made the change returns. Changes made on
// another node in quick succession may be seen as one.
func (s *Store) OnChange(f func(before, after *millicent.Function)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, f)
}

// apply takes in one state of the functions bucket. It runs in the table's
// goroutine, or in Open.
func (s *Store) apply(e entry) error {
	if len(e.key) > 2 && e.key[:2] == "v." {
		v, err := s.index.setVersion(e)
		if err != nil || v == nil || !s.isLoaded() {
			return err
		}
		id := functionID{v.Version.Tenant, v.Version.Function}
		if unsettled(v.Version) {
			s.activation.enqueue(unsettledID{id, v.Version.Number})
		} else if f := s.index.function(id); f != nil && f.keys[v.Version.Number] == e.key {
			s.announce(f, f)
		}
		return nil
	}
	before, after, err := s.index.setFunction(e)
	if err != nil || !s.isLoaded() {
		return err
	}
	s.announce(before, after)
	if after != nil {
		for _, id := range s.index.unsettledOf(after) {
			s.activation.enqueue(id)
		}
	}
	return nil
}

func (s *Store) isLoaded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loaded
}

func (s *Store) announce(before, after *function) {
	if before == nil && after == nil {
		return
	}
	s.mu.Lock()
	hooks := s.hooks
	s.mu.Unlock()
	for _, hook := range hooks {
		hook(before.get(), after.get())
	}
}

// get returns the function's value, nil for none.
func (f *function) get() *millicent.Function {
	if f == nil {
		return nil
	}
	return f.value
}

// failed logs a value from a watch that could not be taken in: it was written
// by another node, so there is no caller to tell.
func (s *Store) failed(err error) {
	s.cfg.Log.Error("stored value not understood, keeping the one before", "error", err)
}

// lock takes the lock of a function's stripe, so that changes of this node do
// not conflict with one another. The caller must call unlock.
func (s *Store) lock(ctx context.Context, id functionID) (unlock func(), err error) {
	stripe := s.stripes[maphash.Comparable(s.seed, id)%uint64(len(s.stripes))]
	select {
	case stripe <- struct{}{}:
		return func() { <-stripe }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
