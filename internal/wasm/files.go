package wasm

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what a request may have of files in memory.
const (
	maxOpen     = 256
	maxNodes    = 10_000
	maxPath     = 4096
	maxDepth    = 64
	maxNameSize = 255
)

// A node is a file, or a directory with its entries.
type node struct {
	dir      bool
	entries  map[string]*node
	data     []byte
	disk     *onDisk // where it is from, until it is looked at; nil for what is in memory
	readOnly bool
	modified time.Time
}

func (n *node) isDir() bool { return n.dir }

// names returns those of a directory's entries, sorted.
func (n *node) names() []string { return slices.Sorted(maps.Keys(n.list())) }

// Files are what guests may read: a package. They never change.
type Files struct {
	root *node

	mu     sync.Mutex
	mapped [][]byte
}

// NewFiles returns Files of contents by slash-separated path, which the caller
// has made sure lead nowhere else. The contents are shared.
func NewFiles(contents map[string][]byte, modified time.Time) *Files {
	dir := func() *node { return &node{dir: true, entries: map[string]*node{}, readOnly: true, modified: modified} }
	root := dir()
	for name, data := range contents {
		at := root
		parts := strings.Split(name, "/")
		for _, part := range parts[:len(parts)-1] {
			next := at.entries[part]
			if next == nil || !next.isDir() {
				next = dir()
				at.entries[part] = next
			}
			at = next
		}
		at.entries[parts[len(parts)-1]] = &node{data: data, readOnly: true, modified: modified}
	}
	return &Files{root: root}
}

// tree returns the root of what a request sees: the package at /var/task, and
// an empty /tmp.
func (f *Files) tree() *node {
	now := time.Now()
	directory := func(entries map[string]*node) *node {
		return &node{dir: true, entries: entries, readOnly: true, modified: now}
	}
	task := directory(nil)
	if f != nil {
		task = f.root
	}
	return directory(map[string]*node{
		"var": directory(map[string]*node{"task": task}),
		"tmp": {dir: true, entries: map[string]*node{}, modified: now},
	})
}

// An open file.
type file struct {
	node   *node
	path   []string // from the root
	at     int64
	append bool
	stream bool // standard input, output or error
}

// fileTable has a request's descriptors.
type fileTable struct {
	files *Files  // the package
	root  *node   // nil before its first use: few requests have one
	open  []*file // by descriptor; nil where it is closed
	bytes int64   // that its files in memory have
	nodes int

	first  [4]*file // what open begins as
	begins [4]file  // and what is open then
}

// Descriptors that are there from the beginning.
const (
	fdIn   = 0
	fdOut  = 1
	fdErr  = 2
	fdRoot = 3
)

// table returns the request's files, which are made at their first use.
func (g *guest) table() *fileTable {
	t := &g.files
	if t.open == nil {
		t.files = g.instance.program.cfg.Files
		for fd := range t.first {
			t.begins[fd].stream = fd != fdRoot
			t.first[fd] = &t.begins[fd]
		}
		t.open = t.first[:]
	}
	return t
}

// top returns the root.
func (t *fileTable) top() *node {
	if t.root == nil {
		t.root = t.files.tree()
	}
	return t.root
}

// has reports whether a descriptor is open.
func (t *fileTable) has(fd uint64) bool { return fd < uint64(len(t.open)) && t.open[fd] != nil }

// get returns an open file; nil when there is none.
func (t *fileTable) get(fd uint64) *file {
	if !t.has(fd) {
		return nil
	}
	f := t.open[fd]
	if f.node == nil && !f.stream {
		f.node = t.top()
	}
	return f
}

// add opens a file at the lowest free descriptor.
func (t *fileTable) add(f *file) (fd int, err errno) {
	for i, at := range t.open {
		if at == nil {
			t.open[i] = f
			return i, success
		}
	}
	if len(t.open) == maxOpen {
		return 0, errTooMany
	}
	t.open = append(t.open, f)
	return len(t.open) - 1, success
}

// found is what a path leads to.
type found struct {
	dir  *node  // that the last part is looked up in
	name string // the last part; empty for a directory itself
	node *node  // nil when there is nothing of that name
	path []string
}

// walk follows a path from a directory. There are no links; ".." ends at the
// root.
func (t *fileTable) walk(from *file, path string) (found, errno) {
	if from.node == nil || !from.node.isDir() {
		return found{}, errNotDir
	}
	if len(path) > maxPath {
		return found{}, errTooLong
	}
	parts := slices.Clone(from.path)
	if strings.HasPrefix(path, "/") {
		parts = nil
	}
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case part == "" || part == ".":
		case part == "..":
			parts = parts[:max(len(parts)-1, 0)]
		case len(part) > maxNameSize || strings.ContainsRune(part, 0):
			return found{}, errInvalid
		default:
			parts = append(parts, part)
		}
	}
	if len(parts) > maxDepth {
		return found{}, errTooLong
	}
	at := found{node: t.top(), path: parts}
	for _, part := range parts {
		if at.node == nil {
			return found{}, errNoEntry
		}
		if !at.node.isDir() {
			return found{}, errNotDir
		}
		at.dir, at.name = at.node, part
		at.node = at.dir.list()[part]
	}
	return at, success
}

// make adds a node where there is none.
func (t *fileTable) make(at found, n *node) errno {
	switch {
	case at.dir == nil || at.node != nil:
		return errExist
	case at.dir.readOnly:
		return errReadOnly
	case t.nodes == maxNodes:
		return errNoSpace
	}
	t.nodes++
	n.modified = time.Now()
	at.dir.entries[at.name] = n
	return success
}

// remove takes a node away, whose bytes stay counted while it is open: a
// request is too short to care.
func (t *fileTable) remove(at found) errno {
	if at.dir == nil || at.dir.readOnly {
		return errReadOnly
	}
	t.nodes--
	t.bytes -= int64(len(at.node.data))
	delete(at.dir.entries, at.name)
	return success
}

// resize makes a file so many bytes long.
func (t *fileTable) resize(n *node, size, most int64) errno {
	more := size - int64(len(n.data))
	switch {
	case n.readOnly:
		return errReadOnly
	case size < 0:
		return errInvalid
	case t.bytes+more > most:
		return errNoSpace
	}
	t.bytes += more
	if more <= 0 {
		n.data = n.data[:size]
		return success
	}
	n.data = append(n.data, make([]byte, more)...)
	return success
}
