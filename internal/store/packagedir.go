package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/durable"
)

// maxUnpacked is the size that a package's files must stay below.
const maxUnpacked = 262144000

// packageAge is how long a package stays that nothing refers to: a function
// may be about to.
const packageAge = time.Hour

// packageDirs are the directories of the package files; see
// docs/formats/packages.md.
type packageDirs struct {
	zips     string
	unpacked string
	compiled string
	tmps     string
	tmp      string // this run's own, in tmps
}

func (d packageDirs) zip(p millicent.Package) string { return filepath.Join(d.zips, p.SHA256+".zip") }
func (d packageDirs) dir(p millicent.Package) string { return filepath.Join(d.unpacked, p.SHA256) }

// openPackageDirs makes the directories under root, refuses those of a newer
// format, and puts away what was unpacked before the machine last started:
// those files were not synced, so that a power cut may have emptied them.
func openPackageDirs(root string) (packageDirs, error) {
	d := packageDirs{
		zips:     filepath.Join(root, "zip"),
		unpacked: filepath.Join(root, "unpacked"),
		compiled: filepath.Join(root, "compiled"),
		tmps:     filepath.Join(root, "tmp"),
	}
	for _, dir := range []string{d.zips, d.unpacked, d.compiled, d.tmps} {
		if err := durable.MkdirAll(dir, 0o700); err != nil {
			return d, err
		}
	}
	if err := checkPackageFormat(root); err != nil {
		return d, err
	}
	var err error
	if d.tmp, err = os.MkdirTemp(d.tmps, "run-"); err != nil {
		return d, err
	}
	return d, d.putAwayOldBoot()
}

// checkPackageFormat refuses a package directory of a newer format and marks
// a new one.
func checkPackageFormat(root string) error {
	name := filepath.Join(root, "format.json")
	var f struct {
		Format int `json:"format"`
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		f.Format = formatVersion
		if b, err = json.Marshal(f); err != nil {
			return err
		}
		return durable.WriteFile(name, append(b, '\n'), 0o600)
	}
	if err != nil {
		return err
	}
	if err := decode(b, &f, &f.Format); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// putAwayOldBoot moves the unpacked files aside unless they were made since
// the machine started.
func (d packageDirs) putAwayOldBoot() error {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	name := filepath.Join(d.unpacked, "boot")
	if got, err := os.ReadFile(name); err == nil && string(got) == string(boot) {
		return nil
	}
	if err := os.Rename(d.unpacked, filepath.Join(d.tmp, "unpacked")); err != nil {
		return err
	}
	if err := os.Mkdir(d.unpacked, 0o700); err != nil {
		return err
	}
	return os.WriteFile(name, boot, 0o600)
}

// removeLeftovers removes what earlier runs and openPackageDirs put aside.
func (d packageDirs) removeLeftovers(ctx context.Context) error {
	runs, err := os.ReadDir(d.tmps)
	if err != nil {
		return err
	}
	errs := []error{os.RemoveAll(filepath.Join(d.tmp, "unpacked"))}
	for _, run := range runs {
		if ctx.Err() != nil {
			break // the next run goes on
		}
		if run.Name() != filepath.Base(d.tmp) {
			errs = append(errs, os.RemoveAll(filepath.Join(d.tmps, run.Name())))
		}
	}
	return errors.Join(errs...)
}

// PackageDir returns the directory of a package's unpacked files, which it
// makes if need be; several calls for one package unpack it once. The files
// are to be mounted read-only, and may be in use for as long as an environment
// runs them: see Sweep. A package that is missing or damaged gives an
// *millicent.Error; the code is InvalidZipFileException when it is not a zip
// file that can be unpacked.
func (s *Store) PackageDir(ctx context.Context, p millicent.Package) (string, error) {
	return s.packages.dirOf(ctx, p)
}

func (p *packages) dirOf(ctx context.Context, pkg millicent.Package) (string, error) {
	if !validDigest(pkg.SHA256) {
		return "", millicent.Errorf(millicent.CodeInternal, "The function has no code package.")
	}
	if dir, ok := p.unpackedDir(pkg); ok {
		return dir, nil
	}
	// The flight belongs to the store: one caller's end is not the others'.
	result := p.flights.DoChan(pkg.SHA256, func() (any, error) { return nil, p.unpack(pkg) })
	select {
	case r := <-result:
		if r.Err != nil {
			return "", r.Err
		}
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if dir, ok := p.unpackedDir(pkg); ok {
		return dir, nil
	}
	return "", fmt.Errorf("package %s was removed while it was unpacked", pkg.SHA256)
}

// unpackedDir returns a package's directory if it is there, and keeps it from
// being swept for a while.
func (p *packages) unpackedDir(pkg millicent.Package) (string, bool) {
	p.mu.Lock()
	p.used[pkg.SHA256] = p.cfg.Now()
	p.mu.Unlock()
	dir := p.dirs.dir(pkg)
	fi, err := os.Lstat(dir)
	return dir, err == nil && fi.IsDir()
}

// unpack makes a package's directory: in full, or not at all.
func (p *packages) unpack(pkg millicent.Package) error {
	if !p.begin() {
		return errClosed
	}
	defer p.work.Done()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
	f, err := p.open(pkg)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := verify(f, pkg); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(p.dirs.tmp, "unpack-")
	if err != nil {
		return fmt.Errorf("unpack package: %w", err)
	}
	defer os.RemoveAll(tmp) // nothing is there once it is renamed
	if err := unpackZip(p.ctx, f, pkg.Size, tmp); err != nil {
		var bad *zipError
		if errors.As(err, &bad) {
			return &millicent.Error{Code: codeInvalidZip, Message: bad.message(), Err: err}
		}
		return fmt.Errorf("unpack package: %w", err)
	}
	if err := os.Rename(tmp, p.dirs.dir(pkg)); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("unpack package: %w", err)
	}
	return nil
}

// begin counts a flight that starts, unless the store is closed.
func (p *packages) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.work.Add(1)
	}
	return !p.closed
}

// verify checks that a zip file is the one that was deployed.
func verify(f *os.File, pkg millicent.Package) error {
	digest := sha256.New()
	n, err := io.Copy(digest, f)
	if err != nil {
		return fmt.Errorf("verify package: %w", err)
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != pkg.SHA256 || n != pkg.Size {
		return millicent.Errorf(millicent.CodeInternal,
			"The stored code package %s is damaged. Deploy the function again.", pkg.SHA256)
	}
	return nil
}

// Sweep removes the package files of this node that no function or version
// refers to, unless inUse says that an environment still runs them or they
// were put or asked for within the last hour. It returns how many it removed.
func (s *Store) Sweep(ctx context.Context, inUse func(sha string) bool) (int, error) {
	files, err := os.ReadDir(s.packages.dirs.zips)
	if err != nil {
		return 0, fmt.Errorf("sweep packages: %w", err)
	}
	removed, referred := 0, s.index.packages()
	for _, file := range files {
		digest, ok := strings.CutSuffix(file.Name(), ".zip")
		if !ok || !validDigest(digest) || referred[digest] || inUse(digest) {
			continue
		}
		gone, err := s.sweepPackage(ctx, digest)
		if err != nil {
			return removed, fmt.Errorf("sweep package %s: %w", digest, err)
		}
		if gone {
			removed++
		}
	}
	return removed, nil
}

// sweepPackage removes one package, unless it is needed.
func (s *Store) sweepPackage(ctx context.Context, digest string) (bool, error) {
	p := s.packages
	p.sweeping.Lock()
	defer p.sweeping.Unlock()
	pkg := millicent.Package{SHA256: digest}
	young := p.cfg.Now().Add(-packageAge)
	fi, err := os.Stat(p.dirs.zip(pkg))
	if err != nil {
		return false, err
	}
	if fi.ModTime().After(young) || s.index.packages()[digest] || !p.release(digest, young) {
		return false, nil
	}
	// The record goes first: a file without one is swept again, a record
	// without a file would be a promise.
	if err := p.forget(ctx, digest); err != nil {
		return false, err
	}
	if err := os.Remove(p.dirs.zip(pkg)); err != nil {
		return false, err
	}
	aside := filepath.Join(p.dirs.tmp, "swept-"+digest)
	if err := os.Rename(p.dirs.dir(pkg), aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, errors.Join(os.RemoveAll(aside), p.sweepCompiled(digest))
}

// release forgets when a package was last asked for, unless that was after a
// time.
func (p *packages) release(digest string, after time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used[digest].After(after) {
		return false
	}
	delete(p.used, digest)
	return true
}
