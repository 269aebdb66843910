package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/singleflight"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/durable"
)

// packages is the package files of this node, and who holds which.
type packages struct {
	cfg   Config
	table *table
	dirs  packageDirs
	ctx   context.Context // ends with the store; unpacking lives in it

	flights  singleflight.Group
	slots    chan struct{}  // one for each unpacking at a time
	work     sync.WaitGroup // flights, and the removal of leftovers
	sweeping sync.RWMutex   // held to write while a file is swept, to read while one is put

	mu       sync.Mutex
	closed   bool // no flight starts any more
	records  map[string]held
	used     map[string]time.Time  // when an unpacked directory was last asked for
	compiled map[compiledID]string // files that are known to be whole
}

// held is a package's record in memory.
type held struct {
	packageRecord
	revision uint64
}

func openPackages(life, ctx context.Context, js jetstream.JetStream, cfg Config) (*packages, error) {
	dirs, err := openPackageDirs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the package directory: %w", err)
	}
	p := &packages{cfg: cfg, dirs: dirs, ctx: life, slots: make(chan struct{}, activators),
		records: make(map[string]held), used: make(map[string]time.Time),
		compiled: make(map[compiledID]string)}
	p.table, err = openTable(ctx, js, packagesBucket, p.apply, func(err error) {
		cfg.Log.Error("package record not understood", "error", err)
	})
	if err != nil {
		return nil, err
	}
	p.work.Go(func() {
		if err := errors.Join(dirs.removeLeftovers(life), p.sweepOrphanedCompiled()); err != nil {
			cfg.Log.Warn("leftovers of an earlier run not removed", "error", err)
		}
	})
	return p, nil
}

func (p *packages) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.work.Wait()
	return errors.Join(p.table.close(), os.RemoveAll(p.dirs.tmp))
}

func (p *packages) apply(e entry) error {
	if e.value == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.records, e.key)
		return nil
	}
	r, err := decodePackage(e.value)
	if err != nil {
		return fmt.Errorf("record of package %s: %w", e.key, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records[e.key] = held{r, e.revision}
	return nil
}

// PutPackage stores a zip file and returns its name and size. It is durable
// on return. More than limit bytes give an error with the code
// RequestEntityTooLargeException. The package stays for at least an hour,
// within which a function should refer to it.
func (s *Store) PutPackage(ctx context.Context, zip io.Reader, limit int64) (millicent.Package, error) {
	return s.packages.put(ctx, zip, limit)
}

func (p *packages) put(ctx context.Context, zip io.Reader, limit int64) (millicent.Package, error) {
	f, err := os.CreateTemp(p.dirs.tmp, "zip-")
	if err != nil {
		return millicent.Package{}, fmt.Errorf("store package: %w", err)
	}
	defer os.Remove(f.Name()) // fails once it is renamed, as it should
	pkg, err := receive(f, zip, limit)
	if err = errors.Join(err, f.Close()); err != nil {
		if isFinal(err) {
			return millicent.Package{}, err
		}
		return millicent.Package{}, fmt.Errorf("store package: %w", err)
	}
	p.sweeping.RLock()
	defer p.sweeping.RUnlock()
	// A file of this name is replaced: the new one is known to be whole.
	if err := os.Rename(f.Name(), p.dirs.zip(pkg)); err != nil {
		return millicent.Package{}, fmt.Errorf("store package: %w", err)
	}
	if err := durable.SyncDir(p.dirs.zips); err != nil {
		return millicent.Package{}, fmt.Errorf("store package: %w", err)
	}
	if err := p.record(ctx, pkg); err != nil {
		return millicent.Package{}, fmt.Errorf("record package: %w", err)
	}
	return pkg, nil
}

// receive copies a zip file to f, to disk, and digests it.
func receive(f *os.File, zip io.Reader, limit int64) (millicent.Package, error) {
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, digest), io.LimitReader(zip, limit+1))
	if err != nil {
		return millicent.Package{}, err
	}
	if n > limit {
		return millicent.Package{}, millicent.Errorf("RequestEntityTooLargeException",
			"Zipped size must be smaller than %d bytes", limit)
	}
	if err := f.Chmod(0o600); err != nil {
		return millicent.Package{}, err
	}
	if err := f.Sync(); err != nil {
		return millicent.Package{}, err
	}
	return millicent.Package{SHA256: hex.EncodeToString(digest.Sum(nil)), Size: n}, nil
}

// record notes durably that this node holds a package.
func (p *packages) record(ctx context.Context, pkg millicent.Package) error {
	return p.change(ctx, pkg.SHA256, func(r *packageRecord) {
		r.Size = pkg.Size
		if _, ok := r.Holders[p.cfg.Node]; !ok {
			r.Holders[p.cfg.Node] = p.cfg.Now().UTC()
		}
	})
}

// forget notes that this node does not hold a package any more.
func (p *packages) forget(ctx context.Context, digest string) error {
	return p.change(ctx, digest, func(r *packageRecord) { delete(r.Holders, p.cfg.Node) })
}

// change is the compare-and-set loop of a package's record. A record without
// holders is none; one that change leaves as it was is not written.
func (p *packages) change(ctx context.Context, digest string, change func(*packageRecord)) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	for range maxAttempts {
		p.mu.Lock()
		current, exists := p.records[digest]
		p.mu.Unlock()
		next := current.packageRecord
		next.Holders = maps.Clone(current.Holders)
		if next.Holders == nil {
			next.Holders = make(map[string]time.Time)
		}
		if !exists {
			next.Format, next.Created = formatVersion, p.cfg.Now().UTC()
		}
		change(&next)
		err := p.write(ctx, digest, next, current, exists)
		if !errors.Is(err, errConflict) && !errors.Is(err, errExists) {
			return err
		}
		if err := p.table.awaitChange(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w, %d times", errConflict, maxAttempts)
}

func (p *packages) write(ctx context.Context, digest string, next packageRecord, current held, exists bool) error {
	switch {
	case len(next.Holders) == 0 && !exists:
		return nil
	case len(next.Holders) == 0:
		return p.table.remove(ctx, digest, current.revision)
	case exists && next.Size == current.Size && maps.Equal(next.Holders, current.Holders):
		return nil
	}
	value, err := encode(next)
	if err != nil {
		return err
	}
	if exists {
		return p.table.update(ctx, digest, value, current.revision)
	}
	return p.table.create(ctx, digest, value)
}

// elsewhere reports whether other nodes hold a package and this one does not.
func (p *packages) elsewhere(pkg millicent.Package) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	holders := p.records[pkg.SHA256].Holders
	_, here := holders[p.cfg.Node]
	return !here && len(holders) > 0
}

// OpenPackage opens a stored zip file. CodeNotFound when this node does not
// hold it.
func (s *Store) OpenPackage(p millicent.Package) (io.ReadCloser, error) {
	f, err := s.packages.open(p)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (p *packages) open(pkg millicent.Package) (*os.File, error) {
	if !validDigest(pkg.SHA256) {
		return nil, millicent.Errorf(millicent.CodeNotFound, "The code package does not exist.")
	}
	f, err := os.Open(p.dirs.zip(pkg))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, millicent.Errorf(millicent.CodeNotFound, "The code package %s is not on this node.", pkg.SHA256)
	}
	if err != nil {
		return nil, fmt.Errorf("open package: %w", err)
	}
	return f, nil
}

// validDigest reports whether s is a digest as it is written in names.
func validDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == s
}
