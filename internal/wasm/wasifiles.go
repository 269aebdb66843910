package wasm

import (
	"encoding/binary"
	"slices"
	"time"
)

// maxFiles is how many bytes a request's files in memory may have.
const maxFiles = 64 << 20

// Kinds of files.
const (
	kindDevice    = 2
	kindDirectory = 3
	kindFile      = 4
)

// Flags of path_open and of descriptors.
const (
	openCreate    = 1
	openDirectory = 2
	openExclusive = 4
	openTruncate  = 8
	flagAppend    = 1
	rightWrite    = 1 << 6
)

// onFile is a function whose first parameter is an open descriptor.
func onFile(do func(c *syscall, f *file) errno) func(*syscall) errno {
	return func(c *syscall) errno {
		f := c.table().get(c.arg(0))
		if f == nil {
			return errBadFD
		}
		return do(c, f)
	}
}

// onPath is a function whose first parameter is a directory's descriptor, and
// which has a path as its i-th.
func onPath(i int, do func(c *syscall, at found) errno) func(*syscall) errno {
	return onFile(func(c *syscall, f *file) errno {
		at, e := c.path(f, i)
		if e != success {
			return e
		}
		return do(c, at)
	})
}

// path follows the path that is a function's i-th parameter.
func (c *syscall) path(from *file, i int) (found, errno) {
	b := c.bytes(c.arg(i), c.arg(i+1))
	if b == nil {
		return found{}, errFault
	}
	return c.files.walk(from, string(b))
}

func closeFile(c *syscall) errno {
	t := c.table()
	if t.get(c.arg(0)) == nil {
		return errBadFD
	}
	t.open[c.arg(0)] = nil
	return success
}

func renumber(c *syscall) errno {
	t := c.table()
	from, to := c.arg(0), c.arg(1)
	if t.get(from) == nil || t.get(to) == nil {
		return errBadFD
	}
	t.open[to] = t.open[from]
	if from != to {
		t.open[from] = nil
	}
	return success
}

func statDescriptor(c *syscall, f *file) errno {
	b := c.bytes(c.arg(1), 24)
	if b == nil {
		return errFault
	}
	clear(b)
	b[0] = kindOf(f)
	if f.append {
		b[2] = flagAppend
	}
	binary.LittleEndian.PutUint64(b[8:], 1<<30-1)  // all rights: what is not allowed fails
	binary.LittleEndian.PutUint64(b[16:], 1<<30-1) // and for what is opened from it
	return success
}

func kindOf(f *file) byte {
	switch {
	case f.stream:
		return kindDevice
	case f.node.isDir():
		return kindDirectory
	}
	return kindFile
}

// putStat writes what is known of a file where a parameter says.
func (c *syscall) putStat(i int, f *file) errno {
	b := c.bytes(c.arg(i), 64)
	if b == nil {
		return errFault
	}
	clear(b)
	b[16] = kindOf(f)
	binary.LittleEndian.PutUint64(b[24:], 1) // links
	if f.stream {
		return success
	}
	binary.LittleEndian.PutUint64(b[32:], uint64(f.node.size()))
	for at := 40; at < 64; at += 8 {
		binary.LittleEndian.PutUint64(b[at:], uint64(f.node.modified.UnixNano()))
	}
	return success
}

func statPath(c *syscall, at found) errno {
	if at.node == nil {
		return errNoEntry
	}
	return c.putStat(4, &file{node: at.node})
}

func truncate(c *syscall, f *file) errno {
	if f.stream || f.node.isDir() {
		return errInvalid
	}
	return c.files.resize(f.node, int64(min(c.p[1], 1<<62)), maxFiles)
}

// prestat says that the root is the only directory that is open from the
// beginning.
func prestat(c *syscall) errno {
	if c.arg(0) != fdRoot || !c.table().has(fdRoot) {
		return errBadFD
	}
	return c.put64(1, 1<<32) // a directory, with a name of one byte
}

func prestatName(c *syscall) errno {
	b := c.bytes(c.arg(1), c.arg(2))
	switch {
	case c.arg(0) != fdRoot:
		return errBadFD
	case len(b) == 0:
		return errFault
	}
	b[0] = '/'
	return success
}

// maxVectors is how many buffers one read or write may have.
const maxVectors = 1024

// each calls do with the buffers that parameters 1 and 2 name, until it is done
// with less than a buffer.
func (c *syscall) each(do func(b []byte) (int, errno)) (total int, err errno) {
	n := c.arg(2)
	if n > maxVectors {
		return 0, errInvalid
	}
	list := c.bytes(c.arg(1), n*8)
	if list == nil && n > 0 {
		return 0, errFault
	}
	for ; len(list) > 0; list = list[8:] {
		place, size := binary.LittleEndian.Uint32(list), binary.LittleEndian.Uint32(list[4:])
		b := c.bytes(uint64(place), uint64(size))
		if b == nil && size > 0 {
			return total, errFault
		}
		n, e := do(b)
		total += n
		if e != success || n < len(b) {
			return total, e
		}
	}
	return total, success
}

// transferred tells the guest how many bytes went over, where a parameter says.
func (c *syscall) transferred(i, n int, e errno) errno {
	if e != success && n == 0 {
		return e
	}
	return c.put32(i, uint32(n))
}

func read(c *syscall, f *file) errno {
	if f.stream {
		n, e := c.each(func(b []byte) (int, errno) {
			n := copy(b, c.stdin)
			c.stdin = c.stdin[n:]
			return n, success
		})
		return c.transferred(3, n, e)
	}
	n, e := c.readFrom(f.node, f.at)
	f.at += int64(n)
	return c.transferred(3, n, e)
}

func readAt(c *syscall, f *file) errno {
	if f.stream {
		return errSeek
	}
	n, e := c.readFrom(f.node, int64(min(c.p[3], 1<<62)))
	return c.transferred(4, n, e)
}

func (c *syscall) readFrom(n *node, at int64) (int, errno) {
	if n.isDir() {
		return 0, errIsDir
	}
	data, e := n.content()
	if e != success {
		return 0, e
	}
	return c.each(func(b []byte) (int, errno) {
		got := copy(b, data[min(at, int64(len(data))):])
		at += int64(got)
		return got, success
	})
}

func write(c *syscall, f *file) errno {
	if f.stream {
		n, e := c.each(func(b []byte) (int, errno) { return c.print(f, b) })
		return c.transferred(3, n, e)
	}
	at := f.at
	if f.append {
		at = f.node.size()
	}
	n, e := c.writeTo(f.node, at)
	f.at = at + int64(n)
	return c.transferred(3, n, e)
}

func writeAt(c *syscall, f *file) errno {
	if f.stream {
		return errSeek
	}
	n, e := c.writeTo(f.node, int64(min(c.p[3], 1<<62)))
	return c.transferred(4, n, e)
}

func (c *syscall) writeTo(n *node, at int64) (int, errno) {
	if n.isDir() {
		return 0, errIsDir
	}
	return c.each(func(b []byte) (int, errno) {
		if end := at + int64(len(b)); end > int64(len(n.data)) {
			if e := c.files.resize(n, end, maxFiles); e != success {
				return 0, e
			}
		}
		if n.readOnly {
			return 0, errReadOnly
		}
		n.modified = time.Now()
		at += int64(copy(n.data[at:], b))
		return len(b), success
	})
}

// print takes what a guest writes to its answer or its log: a command's
// standard output is its answer, all else is logged.
func (c *syscall) print(f *file, b []byte) (int, errno) {
	if c.instance.command == nil || f != c.files.open[fdOut] {
		if c.req.Log != nil {
			_, _ = c.req.Log.Write(b) // a log that is not kept fails no function
		}
		return len(b), success
	}
	if len(c.answer)+len(b) > MaxAnswer {
		panic(TooLarge(len(c.answer) + len(b)))
	}
	c.answer = append(c.answer, b...)
	return len(b), success
}

func seek(c *syscall, f *file) errno {
	if f.stream {
		return errSeek
	}
	at := int64(c.p[1])
	switch c.arg(2) {
	case 0:
	case 1:
		at += f.at
	case 2:
		at += f.node.size()
	default:
		return errInvalid
	}
	if at < 0 {
		return errInvalid
	}
	f.at = at
	return c.put64(3, uint64(at))
}

// readDir writes entries of a directory from a position on: as many as fit, and
// the last of them cut off, which tells the guest that there are more.
func readDir(c *syscall, f *file) errno {
	if f.stream || !f.node.isDir() {
		return errNotDir
	}
	b := c.bytes(c.arg(1), c.arg(2))
	if b == nil && c.arg(2) > 0 {
		return errFault
	}
	names := f.node.names()
	written := 0
	for i := min(c.p[3], uint64(len(names))); i < uint64(len(names)) && written < len(b); i++ {
		name := names[i]
		var head [24]byte
		binary.LittleEndian.PutUint64(head[:], i+1)
		binary.LittleEndian.PutUint64(head[8:], i+1)
		binary.LittleEndian.PutUint32(head[16:], uint32(len(name)))
		head[20] = kindOf(&file{node: f.node.list()[name]})
		written += copy(b[written:], head[:])
		written += copy(b[written:], name)
	}
	return c.put32(4, uint32(written))
}

func open(c *syscall, at found) errno {
	flags := c.arg(4)
	n := at.node
	switch {
	case n == nil && flags&openCreate == 0:
		return errNoEntry
	case n == nil:
		n = &node{}
		if e := c.files.make(at, n); e != success {
			return e
		}
	case flags&openExclusive != 0:
		return errExist
	case flags&openDirectory != 0 && !n.isDir():
		return errNotDir
	case n.isDir() && c.p[5]&rightWrite != 0 && flags&openDirectory == 0:
		return errIsDir
	case !n.isDir() && n.readOnly && (c.p[5]&rightWrite != 0 || flags&openTruncate != 0):
		return errReadOnly
	}
	if flags&openTruncate != 0 && !n.isDir() {
		if e := c.files.resize(n, 0, maxFiles); e != success {
			return e
		}
	}
	fd, e := c.files.add(&file{node: n, path: at.path, append: c.p[7]&flagAppend != 0})
	if e != success {
		return e
	}
	return c.put32(8, uint32(fd))
}

func makeDirectory(c *syscall, at found) errno {
	return c.files.make(at, &node{dir: true, entries: map[string]*node{}})
}

func removeDirectory(c *syscall, at found) errno {
	switch {
	case at.node == nil:
		return errNoEntry
	case !at.node.isDir():
		return errNotDir
	case len(at.node.list()) > 0:
		return errNotEmpty
	}
	return c.files.remove(at)
}

func unlink(c *syscall, at found) errno {
	switch {
	case at.node == nil:
		return errNoEntry
	case at.node.isDir():
		return errIsDir
	}
	return c.files.remove(at)
}

// rename moves a file or a directory, over another one of its kind if there is
// one.
func rename(c *syscall, from found) errno {
	dir := c.files.get(c.arg(3))
	if dir == nil {
		return errBadFD
	}
	to, e := c.path(dir, 4)
	switch {
	case e != success:
		return e
	case from.node == nil:
		return errNoEntry
	case from.dir == nil || to.dir == nil || from.dir.readOnly || to.dir.readOnly:
		return errReadOnly
	case to.node == from.node:
		return success
	case len(to.path) > len(from.path) && slices.Equal(to.path[:len(from.path)], from.path):
		return errInvalid // into itself
	case to.node != nil && to.node.isDir() != from.node.isDir():
		return errNotDir
	case to.node != nil && len(to.node.list()) > 0:
		return errNotEmpty
	case to.node != nil:
		if e := c.files.remove(to); e != success {
			return e
		}
	}
	delete(from.dir.entries, from.name)
	to.dir.entries[to.name] = from.node
	return success
}
