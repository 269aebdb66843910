package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const linkMode = fs.ModeSymlink

// unpackZip unpacks a zip file into a directory that exists and is empty.
// Directories get mode 0755, files 0644, or 0755 if anyone may execute them,
// all the user's own; times are kept. Links are kept if they stay within the
// directory, and left out otherwise. What is wrong with the zip file itself is
// a *zipError; other errors are of the disk, or ctx's.
//
// Everything goes through an os.Root, so that no name, and no link that an
// entry made, can lead out of the directory.
func unpackZip(ctx context.Context, r io.ReaderAt, size int64, dir string) error {
	if isModule(r, size) {
		return unpackModule(r, size, dir)
	}
	a, err := readArchive(r, size)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	made := make(map[string]time.Time) // directories, and what time each is to have
	for _, e := range a.dirs {
		if err := makeDirs(root, e.name, made); err != nil {
			return err
		}
		made[e.name] = e.file.Modified
	}
	for _, e := range a.files {
		if err := makeDirs(root, path.Dir(e.name), made); err != nil {
			return err
		}
		if err := unpackFile(ctx, root, e); err != nil {
			return err
		}
	}
	if err := unpackLinks(ctx, root, a.links, made); err != nil {
		return err
	}
	return finishDirs(root, made)
}

// unpackModule makes the directory of a package that is a WebAssembly module.
func unpackModule(r io.ReaderAt, size int64, dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, moduleName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.NewSectionReader(r, 0, size))
	return errors.Join(err, f.Close())
}

// makeDirs makes a directory and those above it.
func makeDirs(root *os.Root, dir string, made map[string]time.Time) error {
	if _, ok := made[dir]; ok {
		return nil
	}
	if dir == "." {
		made[dir] = time.Time{}
		return nil
	}
	if err := makeDirs(root, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = time.Time{}
	return root.Mkdir(dir, 0o755)
}

func unpackFile(ctx context.Context, root *os.Root, e archived) error {
	perm := fs.FileMode(0o644)
	if e.file.Mode()&0o111 != 0 {
		perm = 0o755
	}
	f, err := root.OpenFile(e.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	err = copyEntry(ctx, f, e.file)
	err = errors.Join(err, f.Chmod(perm), f.Close())
	if err != nil {
		return err
	}
	return setTime(root, e.name, e.file.Modified)
}

// unpackLinks makes the links that stay within the package. They come after
// the files, so that no file was written through one, and are checked where
// they really lead once all are there: what looks as if it stayed within may
// lead out by way of another link.
func unpackLinks(ctx context.Context, root *os.Root, links []archived, made map[string]time.Time) error {
	for _, e := range links {
		var target strings.Builder
		if err := copyEntry(ctx, &target, e.file); err != nil {
			return err
		}
		if !staysWithin(e.name, target.String()) {
			continue
		}
		if err := makeDirs(root, path.Dir(e.name), made); err != nil {
			return err
		}
		if err := root.Symlink(target.String(), e.name); err != nil {
			return err
		}
	}
	for _, e := range links {
		_, err := root.Stat(e.name)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := root.Remove(e.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// staysWithin reports whether a link looks as if it stayed within the package.
func staysWithin(name, target string) bool {
	if target == "" || strings.ContainsRune(target, 0) || path.IsAbs(target) {
		return false
	}
	return filepath.IsLocal(path.Join(path.Dir(name), target))
}

// finishDirs gives the directories their modes and times, which the files in
// them have changed.
func finishDirs(root *os.Root, made map[string]time.Time) error {
	for dir, modified := range made {
		if err := root.Chmod(dir, 0o755); err != nil {
			return err
		}
		if err := setTime(root, dir, modified); err != nil {
			return err
		}
	}
	return root.Chmod(".", 0o755)
}

// setTime sets a file's times, unless the zip file had none that is one.
func setTime(root *os.Root, name string, modified time.Time) error {
	if modified.IsZero() {
		return nil
	}
	err := root.Chtimes(name, modified, modified)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EOVERFLOW) {
		return nil // the file system can't express it
	}
	return err
}
