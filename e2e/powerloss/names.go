package powerloss

import (
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// What the kernel asks of directories.

// make makes a node in a directory and tells the kernel of it.
func (d *Disk) make(header *fuse.InHeader, name string, mode uint32, out *fuse.EntryOut, fill func(*node)) (*node, fuse.Status) {
	dir := d.nodes[header.NodeId]
	if dir.names[name] != nil {
		return nil, fuse.Status(unix.EEXIST)
	}
	d.next++
	n := &node{id: d.next, mode: mode, uid: header.Uid, gid: header.Gid, changed: time.Now(), dirty: map[int64]bool{},
		lenient: dir.lenient || name == d.cfg.Lenient, scratch: dir.scratch || name == d.cfg.Scratch}
	switch {
	case n.isDir():
		n.names, n.kept = map[string]*node{}, map[string]*node{}
	case n.isFile() && n.scratch:
		var err error
		if n.file, err = d.scratch(); err != nil {
			return nil, fuse.ToStatus(err)
		}
	case n.isFile():
		n.now.pages, n.synced.pages = map[int64]*page{}, map[int64]*page{}
	}
	if fill != nil {
		fill(n)
	}
	d.nodes[n.id] = n
	dir.apply(change{name, n})
	d.entry(n, out)
	return n, fuse.OK
}

// Mkdir implements fuse.RawFileSystem.
func (d *Disk) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	_, st := d.make(&in.InHeader, name, unix.S_IFDIR|in.Mode&0o7777, out, nil)
	return st
}

// Mknod implements fuse.RawFileSystem.
func (d *Disk) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	_, st := d.make(&in.InHeader, name, in.Mode, out, func(n *node) { n.rdev = in.Rdev })
	return st
}

// Symlink implements fuse.RawFileSystem.
func (d *Disk) Symlink(_ <-chan struct{}, header *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	_, st := d.make(header, name, unix.S_IFLNK|0o777, out, func(n *node) { n.target = target })
	return st
}

// Readlink implements fuse.RawFileSystem.
func (d *Disk) Readlink(_ <-chan struct{}, header *fuse.InHeader) ([]byte, fuse.Status) {
	if st := d.enter(); st != fuse.OK {
		return nil, st
	}
	defer d.mu.Unlock()
	return []byte(d.nodes[header.NodeId].target), fuse.OK
}

// Create implements fuse.RawFileSystem.
func (d *Disk) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	n, st := d.make(&in.InHeader, name, unix.S_IFREG|in.Mode&0o7777, &out.EntryOut, nil)
	if st != fuse.OK {
		return st
	}
	out.Fh = d.open(n, in.Flags)
	return fuse.OK
}

// Unlink implements fuse.RawFileSystem.
func (d *Disk) Unlink(_ <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	dir := d.nodes[header.NodeId]
	n := dir.names[name]
	if n == nil {
		return fuse.ENOENT
	}
	dir.apply(change{name, nil})
	d.release(n)
	return fuse.OK
}

// Rmdir implements fuse.RawFileSystem.
func (d *Disk) Rmdir(cancel <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	n := d.nodes[header.NodeId].names[name]
	full := n != nil && len(n.names) > 0
	d.mu.Unlock()
	if full {
		return fuse.Status(unix.ENOTEMPTY)
	}
	return d.Unlink(cancel, header, name)
}

// Rename is one change where it stays within a directory. Else a cut may come
// between its halves.
func (d *Disk) Rename(_ <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	source, target := d.nodes[in.NodeId], d.nodes[in.Newdir]
	n, old := source.names[from], target.names[to]
	switch {
	case n == nil:
		return fuse.ENOENT
	case in.Flags&^unix.RENAME_NOREPLACE != 0:
		return fuse.EINVAL
	case old != nil && in.Flags&unix.RENAME_NOREPLACE != 0:
		return fuse.Status(unix.EEXIST)
	case old != nil && len(old.names) > 0:
		return fuse.Status(unix.ENOTEMPTY)
	case source.scratch != target.scratch:
		return fuse.EXDEV
	case old != nil && old.isDir() != n.isDir():
		return fuse.EINVAL
	}
	if source == target {
		source.apply(change{from, nil}, change{to, n})
	} else {
		target.apply(change{to, n})
		source.apply(change{from, nil})
	}
	if old != nil && old != n {
		d.release(old)
	}
	return fuse.OK
}

// OpenDir implements fuse.RawFileSystem.
func (d *Disk) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	out.Fh = d.open(d.nodes[in.NodeId], 0)
	return fuse.OK
}

// ReadDir implements fuse.RawFileSystem.
func (d *Disk) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	h := d.handles[in.Fh]
	if in.Offset == 0 { // rewound
		h.names = sortedNames(h.node)
	}
	for i := int(in.Offset); i < len(h.names); i++ {
		e := fuse.DirEntry{Name: h.names[i], Off: uint64(i + 1)}
		if n := h.node.names[h.names[i]]; n != nil {
			e.Ino, e.Mode = n.id, n.mode
		}
		if e.Ino != 0 && !out.AddDirEntry(e) {
			break
		}
	}
	return fuse.OK
}

// FsyncDir implements fuse.RawFileSystem.
func (d *Disk) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	d.nodes[in.NodeId].syncNames()
	return fuse.OK
}
