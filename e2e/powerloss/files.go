package powerloss

import (
	"maps"
	"slices"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// What the kernel asks of files.

// valid is how long the kernel may keep what it was told, in seconds: nobody
// else changes anything.
const valid = 3600

// String implements fuse.RawFileSystem.
func (d *Disk) String() string { return "powerloss" }

func (n *node) attr(out *fuse.Attr) {
	*out = fuse.Attr{Ino: n.id, Mode: n.mode, Owner: fuse.Owner{Uid: n.uid, Gid: n.gid}, Rdev: n.rdev, Nlink: uint32(n.links), Blksize: pageSize}
	out.SetTimes(&n.changed, &n.changed, &n.changed)
	switch {
	case n.isDir():
		out.Nlink = 2 * uint32(n.links)
	case n.isFile():
		out.Size, out.Blocks = uint64(n.now.size), uint64(len(n.now.pages)*pageSize/512)
	default:
		out.Size = uint64(len(n.target))
	}
}

// entry tells the kernel of a node.
func (d *Disk) entry(n *node, out *fuse.EntryOut) {
	out.NodeId, out.Generation, out.EntryValid, out.AttrValid = n.id, 1, valid, valid
	n.attr(&out.Attr)
	n.looked++
}

// Lookup implements fuse.RawFileSystem.
func (d *Disk) Lookup(_ <-chan struct{}, header *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	dir := d.nodes[header.NodeId]
	n := dir.names[name]
	if n == nil {
		return fuse.ENOENT
	}
	d.entry(n, out)
	return fuse.OK
}

// Forget implements fuse.RawFileSystem.
func (d *Disk) Forget(id, count uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.nodes[id]; n != nil {
		n.looked -= min(count, n.looked)
		d.release(n)
	}
}

// release forgets a node that nobody can reach any more, but a cut might.
func (d *Disk) release(n *node) {
	if n.links == 0 && n.opened == 0 && n.looked == 0 {
		delete(d.nodes, n.id)
		n.close()
	}
}

// GetAttr implements fuse.RawFileSystem.
func (d *Disk) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	out.AttrValid = valid
	d.nodes[in.NodeId].attr(&out.Attr)
	return fuse.OK
}

// SetAttr implements fuse.RawFileSystem.
func (d *Disk) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	n := d.nodes[in.NodeId]
	if mode, ok := in.GetMode(); ok {
		n.mode = n.mode&unix.S_IFMT | mode&0o7777
	}
	if uid, ok := in.GetUID(); ok {
		n.uid = uid
	}
	if gid, ok := in.GetGID(); ok {
		n.gid = gid
	}
	if size, ok := in.GetSize(); ok {
		if err := n.truncate(int64(size)); err != nil {
			return fuse.ToStatus(err)
		}
	}
	if at, ok := in.GetMTime(); ok {
		n.changed = at
	}
	out.AttrValid = valid
	n.attr(&out.Attr)
	return fuse.OK
}

func sortedNames(n *node) []string { return slices.Sorted(maps.Keys(n.names)) }

// open returns the number of a new handle.
func (d *Disk) open(n *node, flags uint32) uint64 {
	h := &handle{node: n, synced: flags&(unix.O_SYNC|unix.O_DSYNC) != 0}
	if n.isDir() {
		h.names = sortedNames(n)
	}
	n.opened++
	d.handle++
	d.handles[d.handle] = h
	return d.handle
}

// Open implements fuse.RawFileSystem.
func (d *Disk) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	n := d.nodes[in.NodeId]
	if in.Flags&unix.O_TRUNC != 0 {
		if err := n.truncate(0); err != nil {
			return fuse.ToStatus(err)
		}
	}
	out.Fh, out.OpenFlags = d.open(n, in.Flags), fuse.FOPEN_KEEP_CACHE
	return fuse.OK
}

func (d *Disk) close(fh uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h := d.handles[fh]; h != nil {
		delete(d.handles, fh)
		h.node.opened--
		d.release(h.node)
	}
}

// Release implements fuse.RawFileSystem.
func (d *Disk) Release(_ <-chan struct{}, in *fuse.ReleaseIn) { d.close(in.Fh) }

// ReleaseDir implements fuse.RawFileSystem.
func (d *Disk) ReleaseDir(in *fuse.ReleaseIn) { d.close(in.Fh) }

// Read implements fuse.RawFileSystem.
func (d *Disk) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	if st := d.enter(); st != fuse.OK {
		return nil, st
	}
	defer d.mu.Unlock()
	got, err := d.nodes[in.NodeId].read(buf[:min(len(buf), int(in.Size))], int64(in.Offset))
	return fuse.ReadResultData(got), fuse.ToStatus(err)
}

// Write implements fuse.RawFileSystem.
func (d *Disk) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	if st := d.enter(); st != fuse.OK {
		return 0, st
	}
	defer d.mu.Unlock()
	n := d.nodes[in.NodeId]
	if err := n.write(data, int64(in.Offset)); err != nil {
		return 0, fuse.ToStatus(err)
	}
	if h := d.handles[in.Fh]; h != nil && h.synced {
		n.syncContent()
	}
	return uint32(len(data)), fuse.OK
}

// Fsync implements fuse.RawFileSystem.
func (d *Disk) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	d.nodes[in.NodeId].syncContent()
	return fuse.OK
}

// Flush implements fuse.RawFileSystem.
func (d *Disk) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

// Fallocate implements fuse.RawFileSystem.
func (d *Disk) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	n, from, to := d.nodes[in.NodeId], int64(in.Offset), int64(in.Offset+in.Length)
	if in.Mode&^(unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0 {
		return fuse.Status(unix.EOPNOTSUPP)
	}
	var err error
	if in.Mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0 {
		err = n.zero(from, to)
	}
	if err == nil && in.Mode&unix.FALLOC_FL_KEEP_SIZE == 0 && to > n.now.size {
		err = n.truncate(to)
	}
	n.changed = time.Now()
	return fuse.ToStatus(err)
}

// Lseek finds data and holes. What is kept by a cut is said to have no holes.
func (d *Disk) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	if st := d.enter(); st != fuse.OK {
		return st
	}
	defer d.mu.Unlock()
	n := d.nodes[in.NodeId]
	switch {
	case int64(in.Offset) >= n.now.size:
		return fuse.Status(unix.ENXIO)
	case n.file != nil:
		at, err := unix.Seek(int(n.file.Fd()), int64(in.Offset), int(in.Whence))
		out.Offset = uint64(at)
		return fuse.ToStatus(err)
	case in.Whence == unix.SEEK_HOLE:
		out.Offset = uint64(n.now.size)
	default:
		out.Offset = in.Offset
	}
	return fuse.OK
}

// StatFs implements fuse.RawFileSystem.
func (d *Disk) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	const blocks = 64 << 30 / pageSize
	*out = fuse.StatfsOut{Blocks: blocks, Bfree: blocks, Bavail: blocks, Files: 1 << 20, Ffree: 1 << 20, Bsize: pageSize, Frsize: pageSize, NameLen: 255}
	return fuse.OK
}
