package powerloss

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const pageSize = 4096

type page [pageSize]byte

// A content is the bytes of a file; pages that are not there are zeros.
type content struct {
	size  int64
	pages map[int64]*page
}

// A node is a file, a directory or a link: as it is, and as it was when it was
// last synced. Disk.mu guards it.
type node struct {
	id       uint64
	mode     uint32
	uid, gid uint32
	rdev     uint32
	changed  time.Time
	parent   *node // of the name it got last
	lenient  bool  // to sync it is to sync the names that lead to it
	links    int   // names that it has: two after half of a rename
	opened   int
	looked   uint64 // times that the kernel asked for it and did not forget

	target string // of a link

	scratch bool     // nothing of it is kept by a cut
	file    *os.File // has its content then

	now, synced content
	dirty       map[int64]bool // pages that differ

	names   map[string]*node
	kept    map[string]*node
	pending [][]change // since names were synced
}

// A change is one name that is new, or gone. Changes that belong together are
// made together.
type change struct {
	name string
	node *node // nil: gone
}

func (n *node) isDir() bool  { return n.mode&unix.S_IFMT == unix.S_IFDIR }
func (n *node) isFile() bool { return n.mode&unix.S_IFMT == unix.S_IFREG }

// apply changes the names of a directory.
func (n *node) apply(changes ...change) {
	if !n.scratch {
		n.pending = append(n.pending, changes)
	}
	for _, c := range changes {
		if old := n.names[c.name]; old != nil {
			old.links--
		}
		set(n.names, c)
		if c.node != nil {
			c.node.parent = n
			c.node.links++
		}
	}
	n.changed = time.Now()
}

func set(names map[string]*node, c change) {
	if c.node == nil {
		delete(names, c.name)
	} else {
		names[c.name] = c.node
	}
}

// syncNames makes the names of a directory durable.
func (n *node) syncNames() {
	if n.scratch {
		return
	}
	n.kept, n.pending = maps.Clone(n.names), nil
	if n.lenient {
		n.syncPath()
	}
}

// syncContent makes the content of a file durable.
func (n *node) syncContent() {
	if n.scratch {
		return
	}
	n.synced.size = n.now.size
	for i := range n.dirty {
		if p := n.now.pages[i]; p != nil {
			n.synced.pages[i] = p
		} else {
			delete(n.synced.pages, i)
		}
	}
	clear(n.dirty)
	if n.lenient {
		n.syncPath()
	}
}

// syncPath makes the names that lead to n durable, as far as it is lenient,
// and all that was done before in their directories.
func (n *node) syncPath() {
	for ; n.lenient && n.links > 0 && n.parent != nil && n.parent.lenient; n = n.parent {
		dir := n.parent
		last := -1
		for i, together := range dir.pending {
			if slices.ContainsFunc(together, func(c change) bool { return c.node == n }) {
				last = i
			}
		}
		for _, together := range dir.pending[:last+1] {
			for _, c := range together {
				set(dir.kept, c)
			}
		}
		dir.pending = dir.pending[last+1:]
	}
}

// page returns a page to write to.
func (n *node) page(i int64) *page {
	p := n.now.pages[i]
	switch p {
	case nil:
		p = new(page)
	case n.synced.pages[i]:
		c := *p
		p = &c
	}
	n.now.pages[i] = p
	n.dirty[i] = true
	return p
}

func (n *node) write(data []byte, off int64) error {
	n.changed = time.Now()
	if n.file != nil {
		n.now.size = max(n.now.size, off+int64(len(data)))
		_, err := n.file.WriteAt(data, off)
		return err
	}
	for len(data) > 0 {
		k := copy(n.page(off / pageSize)[off%pageSize:], data)
		data, off = data[k:], off+int64(k)
		n.now.size = max(n.now.size, off)
	}
	return nil
}

func (n *node) read(buf []byte, off int64) ([]byte, error) {
	buf = buf[:max(0, min(int64(len(buf)), n.now.size-off))]
	if n.file != nil {
		_, err := n.file.ReadAt(buf, off)
		return buf, err
	}
	for done := 0; done < len(buf); {
		at := off + int64(done)
		part := buf[done:min(len(buf), done+int(pageSize-at%pageSize))]
		if p := n.now.pages[at/pageSize]; p != nil {
			copy(part, p[at%pageSize:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return buf, nil
}

// zero makes bytes zero, without a change of the size.
func (n *node) zero(from, to int64) error {
	if n.file != nil {
		return unix.Fallocate(int(n.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, to-from)
	}
	for from < to {
		i := from / pageSize
		end := min(to, (i+1)*pageSize)
		switch {
		case n.now.pages[i] == nil:
		case from == i*pageSize && end == from+pageSize:
			delete(n.now.pages, i)
			n.dirty[i] = true
		default:
			clear(n.page(i)[from%pageSize : end-i*pageSize])
		}
		from = end
	}
	return nil
}

func (n *node) truncate(size int64) error {
	n.changed = time.Now()
	if n.file != nil {
		n.now.size = size
		return n.file.Truncate(size)
	}
	if size < n.now.size {
		for i := range n.now.pages {
			if i*pageSize >= size {
				delete(n.now.pages, i)
				n.dirty[i] = true
			}
		}
		if size%pageSize != 0 && n.now.pages[size/pageSize] != nil {
			clear(n.page(size / pageSize)[size%pageSize:])
		}
	}
	n.now.size = size
	return nil
}

// A cutter makes the nodes as they are after a cut.
type cutter struct {
	random *rand.Rand
	next   uint64
	made   map[*node]*node
	nodes  map[uint64]*node
}

// survivor returns what is left of a node and of all below it.
func (c *cutter) survivor(n *node) *node {
	if left := c.made[n]; left != nil {
		return left // two names: a rename between directories, half of it
	}
	c.next++
	left := &node{id: c.next, mode: n.mode, uid: n.uid, gid: n.gid, rdev: n.rdev, changed: n.changed,
		lenient: n.lenient, scratch: n.scratch, target: n.target, dirty: map[int64]bool{}}
	c.made[n], c.nodes[left.id] = left, left
	switch {
	case n.isDir():
		names := maps.Clone(n.kept)
		for _, together := range n.pending[:c.random.IntN(len(n.pending)+1)] {
			for _, ch := range together {
				set(names, ch)
			}
		}
		left.names = map[string]*node{}
		for name, child := range names {
			survivor := c.survivor(child)
			survivor.parent = left
			survivor.links++
			left.names[name] = survivor
		}
		left.kept = maps.Clone(left.names)
	case n.isFile():
		left.synced = c.content(n)
		left.now = content{left.synced.size, maps.Clone(left.synced.pages)}
	}
	return left
}

// content returns what is left of a file's content.
func (c *cutter) content(n *node) content {
	left := content{n.synced.size, maps.Clone(n.synced.pages)}
	if len(n.dirty) == 0 && n.now.size == n.synced.size {
		return left
	}
	luck := []float64{0, c.random.Float64(), 1}[c.random.IntN(3)] // of this file's pages
	if c.random.Float64() < luck {
		left.size = n.now.size
	}
	for i := range n.dirty {
		if c.random.Float64() >= luck {
			continue
		}
		var p page
		if old := left.pages[i]; old != nil {
			p = *old
		}
		part := pageSize
		if luck < 1 && c.random.IntN(4) == 0 {
			part = 512 * c.random.IntN(pageSize/512) // torn
		}
		if written := n.now.pages[i]; written != nil {
			copy(p[:part], written[:part])
		} else {
			clear(p[:part])
		}
		left.pages[i] = &p
	}
	for i, p := range left.pages { // nothing is beyond the end
		if end := left.size - i*pageSize; end <= 0 {
			delete(left.pages, i)
		} else if end < pageSize {
			cut := *p
			clear(cut[end:])
			left.pages[i] = &cut
		}
	}
	return left
}
