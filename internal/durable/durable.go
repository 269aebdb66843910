// Package durable makes files and directories that outlive a power cut: in
// whole, and with the names that lead to them, which on a disk are another
// directory's content and have to be synced for themselves.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// MkdirAll makes a directory and those that lead to it, as far as they are not
// there, and returns when that is durable.
func MkdirAll(dir string, mode fs.FileMode) error {
	parent := filepath.Dir(dir)
	_, err := os.Stat(dir)
	there := err == nil
	if errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := MkdirAll(parent, mode); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	// One that is there may have been made just before a crash.
	err = SyncDir(parent)
	if there && errors.Is(err, fs.ErrPermission) {
		return nil // it was made by someone else, for us
	}
	return err
}

// WriteFile writes a file and returns when it is durable. After a crash it is
// there in whole, or what was there before, and perhaps another one of its name
// with ".new" behind it.
func WriteFile(name string, content []byte, mode fs.FileMode) error {
	if err := write(name+".new", content, mode); err != nil {
		return errors.Join(err, remove(name+".new"))
	}
	if err := os.Rename(name+".new", name); err != nil {
		return errors.Join(err, remove(name+".new"))
	}
	return SyncDir(filepath.Dir(name))
}

func write(name string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func remove(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
