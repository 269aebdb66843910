package wasm

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// This file has the memory of instances: a private mapping of an image, taken
// back to what the image says by writing over the pages that have changed.
// Finding those and writing them costs microseconds; to drop them, so that the
// kernel brings them back at the next touch, costs a page fault each.

const (
	wasmPage = 64 << 10

	// maxRegions is how many stretches of changed pages are written over.
	// Where there are more, all are dropped.
	maxRegions = 512

	// maxRestore is how many bytes are written over; beyond it pages are
	// dropped, so that an instance does not keep what one request touched.
	maxRestore = 8 << 20

	// maxGrown is by how much a memory may be larger than its image and keep
	// the pages of that: most requests grow it by as much as the last did.
	maxGrown = 1 << 20
)

// memory is the linear memory of an instance: address space for the most that
// it may have, of which the first part is there. Its address never changes.
type memory struct {
	space  []byte // all of it
	size   int    // of what is there, for the guest
	ready  int    // of what can be touched; what is beyond size is zeros
	image  *image // that it begins with; nil for zeros
	budget *budget
	shrink bool // the next Reallocate is one to the image's size
	most   int  // the largest size since the last restore
	maps   int  // mappings of the image's parts

	refused bool // it wanted to be larger than it may, since the last restore

	looked  bool     // written is known
	written []region // the pages that are no longer the image's, when they were looked for last
}

var _ experimental.LinearMemory = (*memory)(nil)

// newMemory reserves space for a memory of at most so many bytes. With an image
// it begins as large as that.
func newMemory(most int, from *image, of *budget) (*memory, error) {
	m := &memory{image: from, budget: of}
	if of.full() {
		return nil, errors.New("reserve memory: the process that functions run in has none left")
	}
	var err error
	m.space, err = unix.Mmap(-1, 0, max(most, wasmPage), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes for a memory: %w", most, err)
	}
	if err = noHugePages(m.space); err == nil && from != nil && from.size > 0 {
		err = m.mapImage()
	}
	if err != nil {
		m.Free()
		return nil, fmt.Errorf("map an image: %w", err)
	}
	return m, nil
}

// maxMaps is how many mappings instances have before their images are no longer
// made of parts: the kernel has 65,530 for a process by default.
const maxMaps = 40_000

// mapImage puts the image at the beginning of the space.
func (m *memory) mapImage() (err error) {
	if m.budget.maps.Load() > maxMaps {
		if m.image, err = m.image.alone(); err != nil {
			return err
		}
	}
	m.maps = m.image.maps()
	m.budget.maps.Add(int64(m.maps))
	n := m.image.size
	m.image.each(0, n, func(of *image, start, end int) {
		if err == nil {
			_, err = unix.MmapPtr(int(of.file.Fd()), int64(start), unsafe.Pointer(&m.space[start]), uintptr(end-start),
				unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE)
		}
	})
	m.size, m.ready, m.most = n, n, n
	if err != nil {
		return err
	}
	return noHugePages(m.space[:n])
}

// noHugePages keeps the kernel from putting huge pages in place of small ones:
// what was not written is writable there.
func noHugePages(space []byte) error {
	if err := unix.Madvise(space, unix.MADV_NOHUGEPAGE); err != nil && !errors.Is(err, unix.EINVAL) { // a kernel that has none
		return fmt.Errorf("have no huge pages: %w", err)
	}
	return nil
}

// Reallocate implements experimental.LinearMemory.
func (m *memory) Reallocate(size uint64) []byte {
	if m.shrink {
		return m.space[:m.image.size]
	}
	if size > uint64(len(m.space)) {
		m.refused = true
		return nil
	}
	if n := int(size); n > m.size {
		if n > m.ready {
			if !m.budget.take(n - m.ready) {
				m.refused = true
				return nil
			}
			if unix.Mprotect(m.space[m.ready:n], unix.PROT_READ|unix.PROT_WRITE) != nil {
				m.budget.give(n - m.ready)
				return nil // the machine has none left: the guest is told that it cannot grow
			}
			m.ready = n
		}
		m.size, m.most = n, max(m.most, n)
	}
	return m.space[:m.size]
}

// Free implements experimental.LinearMemory. It is idempotent.
func (m *memory) Free() {
	if m.space != nil {
		m.budget.give(m.beyond())
		m.budget.maps.Add(-int64(m.maps))
		_ = unix.Munmap(m.space) // fails for no mapping of our own
		m.space = nil
	}
}

// beyond is how many bytes there are beyond the image.
func (m *memory) beyond() int {
	if m.image == nil {
		return m.ready
	}
	return m.ready - m.image.size
}

// restore takes the memory back to its image, and reports whether that was
// done: otherwise it must not be used again. With same no page was written but
// those that had been when they were looked for last.
func (m *memory) restore(scan *scanner, same bool) bool {
	n := m.image.size
	if m.ready > n+maxGrown {
		grown := m.space[n:m.ready]
		if unix.Madvise(grown, unix.MADV_DONTNEED) != nil || unix.Mprotect(grown, unix.PROT_NONE) != nil {
			return false
		}
		m.budget.give(m.ready - n)
		m.ready, same = n, false
	}
	m.size, m.most, m.refused = n, n, false
	if m.ready == 0 {
		return true
	}
	if !same || !m.looked {
		if m.look(scan); !m.looked {
			return unix.Madvise(m.space[:m.ready], unix.MADV_DONTNEED) == nil
		}
	}
	for _, r := range m.written {
		m.image.copyTo(m.space[r.start:r.start+r.length], r.start)
	}
	return true
}

// look finds the pages that were written, unless they are too many.
func (m *memory) look(scan *scanner) {
	regions, whole := scan.changed(m.space[:m.ready])
	bytes := 0
	for _, r := range regions {
		bytes += r.length
	}
	if m.looked = whole && bytes <= maxRestore; m.looked {
		m.written = append(m.written[:0], regions...)
	}
}

// same reports whether the memory is what its image says, byte by byte, and
// zeros where it may grow.
func (m *memory) same() bool {
	return m.image.equals(m.space[:m.size]) && allZero(m.space[m.size:m.ready])
}

// A region is a stretch of pages.
type region struct{ start, length int }

// scanner finds the pages of a private mapping that were written. It is not
// safe for concurrent use: an engine's restores take turns with some.
type scanner struct {
	pagemap int // /proc/self/pagemap
	plain   bool
	found   [maxRegions]pageRegion
	regions [maxRegions]region
	entries []uint64
}

// newScanner returns a scanner that reads a descriptor of /proc/self/pagemap.
// With plain it reads the file; else it asks by ioctl where the kernel can
// (since 6.7).
func newScanner(pagemap int, plain bool) *scanner {
	return &scanner{pagemap: pagemap, plain: plain}
}

// pageRegion and pmScanArg are the kernel's (include/uapi/linux/fs.h).
type pageRegion struct{ start, end, categories uint64 }

type pmScanArg struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages   uint64
	categoryInverted, categoryMask, categoryAnyOf, returnMask uint64
}

const (
	pagemapScan  = 3<<30 | 96<<16 | 'f'<<8 | 16 // _IOWR('f', 16, struct pm_scan_arg)
	pageIsFile   = 1 << 2
	pageIsThere  = 1 << 3
	pageIsSwaped = 1 << 4
)

// quickScan is the size up to which a scan is over at once: Go's scheduler need
// not be told of it, which would wake other threads.
const quickScan = 64 << 20

// changed returns the parts of a mapping that are no longer the file's. whole
// is false where that is not known, or there are too many.
func (s *scanner) changed(space []byte) (regions []region, whole bool) {
	if s.plain {
		return s.read(space)
	}
	start := uint64(uintptr(unsafe.Pointer(&space[0])))
	arg := pmScanArg{
		size: uint64(unsafe.Sizeof(pmScanArg{})), start: start, end: start + uint64(len(space)),
		vec: uint64(uintptr(unsafe.Pointer(&s.found[0]))), vecLen: maxRegions,
		categoryInverted: pageIsFile, categoryMask: pageIsFile, categoryAnyOf: pageIsThere | pageIsSwaped,
		returnMask: pageIsThere,
	}
	call := unix.Syscall
	if len(space) <= quickScan {
		call = unix.RawSyscall
	}
	n, _, errno := call(unix.SYS_IOCTL, uintptr(s.pagemap), pagemapScan, uintptr(unsafe.Pointer(&arg)))
	runtime.KeepAlive(s)
	if errno == unix.ENOTTY || errno == unix.EINVAL {
		s.plain = true // an older kernel
		return s.read(space)
	}
	if errno != 0 || n == maxRegions || arg.walkEnd != arg.end {
		return nil, false
	}
	for i, f := range s.found[:n] {
		s.regions[i] = region{int(f.start - start), int(f.end - f.start)}
	}
	return s.regions[:n], true
}

// Bits of an entry of pagemap (Documentation/admin-guide/mm/pagemap.rst).
const (
	entryFile    = 1 << 61
	entrySwapped = 1 << 62
	entryThere   = 1 << 63
)

// read is changed for older kernels.
func (s *scanner) read(space []byte) (regions []region, whole bool) {
	page := os.Getpagesize()
	pages := len(space) / page
	if len(s.entries) < pages {
		s.entries = make([]uint64, pages)
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&s.entries[0])), pages*8)
	first := int64(uintptr(unsafe.Pointer(&space[0]))) / int64(page)
	if n, err := unix.Pread(s.pagemap, raw, first*8); err != nil || n != len(raw) {
		return nil, false
	}
	regions = s.regions[:0]
	for i, e := range s.entries[:pages] {
		if e&(entryThere|entrySwapped) == 0 || e&entryFile != 0 {
			continue
		}
		if last := len(regions) - 1; last >= 0 && regions[last].start+regions[last].length == i*page {
			regions[last].length += page
			continue
		}
		if len(regions) == maxRegions {
			return nil, false
		}
		regions = append(regions, region{i * page, page})
	}
	return regions, true
}

// mapFile returns a file's content, which takes no memory but the kernel's
// cache. The file must stay as it is until unmap.
func mapFile(name string, size int) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != int64(size) || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s is not what it was", name), err)
	}
	return unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
}

func unmap(b []byte) error { return unix.Munmap(b) }
