package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/millicent-run/millicent"
)

// What interpreters make of a package's code is kept beside it:
//
//	compiled/PACKAGE/SLOT/IDENTITY.DIGEST
//
// A slot holds one file, of the identity that made it; another identity's
// takes its place. DIGEST is that of the content, so that a file that a crash
// or the disk has damaged is found out: it is not synced. To the store the
// content is bytes that a stranger made.

// maxCompiled bounds what is kept in a slot, in bytes.
const maxCompiled = 64 << 20

// compiledName is what slots and identities are made of.
var compiledName = regexp.MustCompile(`^[a-z0-9-]{1,100}$`)

// compiledID names a slot of a package.
type compiledID struct{ digest, slot string }

func (d packageDirs) compiledDir(p millicent.Package) string {
	return filepath.Join(d.compiled, p.SHA256)
}

// Compiled returns the path of the file that PutCompiled made in a slot for an
// identity, alone in its directory; empty when there is none, or another
// identity's. A file is read in full when it is asked for the first time, to
// see that it is whole.
func (s *Store) Compiled(p millicent.Package, slot, identity string) string {
	c := s.packages
	id := compiledID{p.SHA256, slot}
	c.mu.Lock()
	file, known := c.compiled[id]
	c.mu.Unlock()
	if !known {
		if file = c.findCompiled(p, slot); file == "" {
			return ""
		}
		c.mu.Lock()
		c.compiled[id] = file
		c.mu.Unlock()
	}
	if owner, _, _ := strings.Cut(filepath.Base(file), "."); owner != identity {
		return ""
	}
	return file
}

// findCompiled returns the whole file of a slot, if there is one.
func (c *packages) findCompiled(p millicent.Package, slot string) string {
	if !validDigest(p.SHA256) || !compiledName.MatchString(slot) {
		return ""
	}
	dir := filepath.Join(c.dirs.compiledDir(p), slot)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		return ""
	}
	file := filepath.Join(dir, entries[0].Name())
	if c.checkCompiled(file) != nil {
		return ""
	}
	return file
}

// checkCompiled returns an error unless a file is as it was put.
func (c *packages) checkCompiled(file string) error {
	fi, err := os.Lstat(file)
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxCompiled {
		return errors.New("no file of compiled code")
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, f); err != nil {
		return err
	}
	if _, want, _ := strings.Cut(filepath.Base(file), "."); hex.EncodeToString(digest.Sum(nil)) != want {
		return errors.New("damaged")
	}
	return nil
}

// PutCompiled keeps what is read from content in a slot, in place of what was
// there: in full, or not at all. Slot and identity are of lower-case letters, digits and hyphens; what
// is read may have 64 MiB.
func (s *Store) PutCompiled(p millicent.Package, slot, identity string, content io.Reader) error {
	if err := s.packages.putCompiled(p, slot, identity, content); err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	return nil
}

func (c *packages) putCompiled(p millicent.Package, slot, identity string, content io.Reader) error {
	if !validDigest(p.SHA256) || !compiledName.MatchString(slot) || !compiledName.MatchString(identity) {
		return fmt.Errorf("package %q, slot %q, identity %q", p.SHA256, slot, identity)
	}
	if !c.begin() {
		return errClosed
	}
	defer c.work.Done()
	tmp, err := os.MkdirTemp(c.dirs.tmp, "compiled-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	name, err := writeCompiled(tmp, identity, content)
	if err != nil {
		return err
	}
	// Not while the package is swept, which takes what was compiled along.
	c.sweeping.RLock()
	defer c.sweeping.RUnlock()
	if _, err := os.Stat(c.dirs.zip(p)); err != nil {
		return err
	}
	if err := os.MkdirAll(c.dirs.compiledDir(p), 0o700); err != nil {
		return err
	}
	dir := filepath.Join(c.dirs.compiledDir(p), slot)
	if err := c.dropCompiled(compiledID{p.SHA256, slot}); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.compiled[compiledID{p.SHA256, slot}] = filepath.Join(dir, name)
	return nil
}

// writeCompiled writes a slot's file into a directory and returns its name.
func writeCompiled(dir, identity string, content io.Reader) (name string, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "new"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, digest), io.LimitReader(content, maxCompiled+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	if n > maxCompiled {
		return "", fmt.Errorf("more than %d bytes", maxCompiled)
	}
	name = identity + "." + hex.EncodeToString(digest.Sum(nil))
	return name, os.Rename(f.Name(), filepath.Join(dir, name))
}

// DropCompiled removes what a slot holds. An environment that has it mounted
// sees it gone.
func (s *Store) DropCompiled(p millicent.Package, slot string) error {
	if !validDigest(p.SHA256) || !compiledName.MatchString(slot) {
		return nil // there is none
	}
	s.packages.sweeping.RLock()
	defer s.packages.sweeping.RUnlock()
	return s.packages.dropCompiled(compiledID{p.SHA256, slot})
}

// dropCompiled is DropCompiled with sweeping held.
func (c *packages) dropCompiled(id compiledID) error {
	c.mu.Lock()
	delete(c.compiled, id)
	c.mu.Unlock()
	aside, err := os.MkdirTemp(c.dirs.tmp, "dropped-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(aside)
	err = os.Rename(filepath.Join(c.dirs.compiledDir(millicent.Package{SHA256: id.digest}), id.slot), filepath.Join(aside, "slot"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// sweepCompiled removes all that was compiled of a package. sweeping is held.
func (c *packages) sweepCompiled(digest string) error {
	c.mu.Lock()
	for id := range c.compiled {
		if id.digest == digest {
			delete(c.compiled, id)
		}
	}
	c.mu.Unlock()
	return os.RemoveAll(filepath.Join(c.dirs.compiled, digest))
}

// sweepOrphanedCompiled removes what was compiled of packages that are gone: a
// crash came between.
func (c *packages) sweepOrphanedCompiled() error {
	entries, err := os.ReadDir(c.dirs.compiled)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		c.sweeping.Lock()
		if _, err := os.Stat(c.dirs.zip(millicent.Package{SHA256: entry.Name()})); errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, c.sweepCompiled(entry.Name()))
		}
		c.sweeping.Unlock()
	}
	return errors.Join(errs...)
}
