package wasm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// onDisk is where a node of a package is. What a directory holds, and a file's
// content, is looked at when a guest asks for it first.
type onDisk struct {
	files *Files
	path  string
	size  int
	once  sync.Once
}

// OpenFiles returns the regular files below a directory, which must stay as
// they are until Close.
func OpenFiles(dir string) (*Files, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("open a package: %w", err)
	}
	f := &Files{}
	f.root = &node{dir: info.IsDir(), readOnly: true, modified: info.ModTime(), disk: &onDisk{files: f, path: dir}}
	return f, nil
}

// Close frees what the files hold. No request may run that can see them.
func (f *Files) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	for _, b := range f.mapped {
		err = errors.Join(err, unmap(b))
	}
	f.mapped = nil
	return err
}

// list returns a directory's entries. Those that cannot be read are not there.
func (n *node) list() map[string]*node {
	if n.disk != nil {
		n.disk.once.Do(func() { n.entries = n.disk.list() })
	}
	return n.entries
}

// list reads a directory. Only files and directories are taken: no link leads
// out of a package.
func (d *onDisk) list() map[string]*node {
	list, err := os.ReadDir(d.path)
	if err != nil {
		return nil
	}
	entries := make(map[string]*node, len(list))
	for _, entry := range list {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
			continue
		}
		at := &onDisk{files: d.files, path: filepath.Join(d.path, entry.Name()), size: int(info.Size())}
		entries[entry.Name()] = &node{dir: info.IsDir(), readOnly: true, modified: info.ModTime(), disk: at}
	}
	return entries
}

// size is how many bytes a file has.
func (n *node) size() int64 {
	if n.disk != nil && !n.dir {
		return int64(n.disk.size)
	}
	return int64(len(n.data))
}

// content returns a file's bytes, which are not to be changed.
func (n *node) content() ([]byte, errno) {
	if n.disk == nil || n.disk.size == 0 {
		return n.data, success
	}
	n.disk.once.Do(func() { n.data = n.disk.content() })
	if n.data == nil {
		return nil, errIO
	}
	return n.data, success
}

// content maps a file; nil when it cannot be.
func (d *onDisk) content() []byte {
	b, err := mapFile(d.path, d.size)
	if err != nil {
		return nil
	}
	d.files.mu.Lock()
	defer d.files.mu.Unlock()
	d.files.mapped = append(d.files.mapped, b)
	return b
}
