package meter

import (
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// mapSize is how much of a journal's file is mapped into memory: far more than
// where it is left, for what is recorded while a group takes long to be written.
const mapSize = 4 << 20

// A mapping is the first mapSize bytes of a file, shared with the kernel: what is
// copied there is in the file as if it had been written, without a system
// call. The zero value has no room.
type mapping struct {
	mem []byte
}

// mapFile maps a file. It is filled with zeros up to mapSize first, so that its
// blocks are there before anything is copied to them. Where there is no room for
// them, or the file system can't do it, the mapping has no room: the file is
// written to as ever.
func mapFile(f *os.File) mapping {
	info, err := f.Stat()
	if err != nil {
		return mapping{}
	}
	if size := info.Size(); size < mapSize {
		if _, err := f.WriteAt(make([]byte, mapSize-size), size); err != nil {
			return mapping{}
		}
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, mapSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return mapping{}
	}
	return mapping{mem}
}

// put copies p to an offset, and reports whether it is there: it may not fit, and
// the kernel may have no page for it (a bad disk; a full one, where overwriting
// takes new blocks).
func (m *mapping) put(p []byte, at int64) (done bool) {
	if at+int64(len(p)) > int64(len(m.mem)) {
		return false
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { done = recover() == nil }()
	copy(m.mem[at:], p)
	return true
}

// close ends the mapping.
func (m *mapping) close() error {
	if m.mem == nil {
		return nil
	}
	mem := m.mem
	m.mem = nil
	return unix.Munmap(mem)
}
