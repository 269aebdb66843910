package wasm

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An image is the memory that instances begin with, and the values of their
// globals. It never changes. Programs of one module differ in little of it: an
// image may have a base, and in its own file only the parts where it differs
// from that.
type image struct {
	size    int
	globals []uint64
	filled  int // bytes of pages of its own that are not zeros

	file *os.File // sealed
	view []byte   // the whole of it, to read
	base *image   // nil for none; it has none itself
	own  []region // the parts of its own, where there is a base

	users atomic.Int32 // programs, and images that it is the base of

	once  sync.Once
	whole *image // the same without a base, once that was asked for
	err   error
}

// maxParts is how many parts of its own an image has that has a base. Each is a
// mapping of every instance, and so is what lies between them.
const maxParts = 20

// newImage returns an image of a memory, which shares with base, unless that is
// nil, what is the same. Pages of zeros take no room. It has one user.
func newImage(memory []byte, globals []uint64, base *image) (*image, error) {
	fd, err := unix.MemfdCreate("millicent-wasm", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("make an image: %w", err)
	}
	i := &image{size: len(memory), globals: globals, file: os.NewFile(uintptr(fd), "image")}
	if base != nil {
		i.own = base.differences(memory)
	}
	if i.own != nil {
		i.base = base
		base.users.Add(1)
	}
	i.users.Add(1)
	if err := i.fill(memory); err != nil {
		return nil, errors.Join(fmt.Errorf("make an image: %w", err), i.close())
	}
	return i, nil
}

// differences returns where a memory differs from an image, in at most maxParts
// parts; nil where that is next to all of it.
func (i *image) differences(memory []byte) []region {
	page := os.Getpagesize()
	var all []region
	for at := 0; at < len(memory); at += page {
		if at+page <= i.size && string(memory[at:at+page]) == string(i.view[at:at+page]) {
			continue
		}
		if n := len(all) - 1; n >= 0 && all[n].start+all[n].length == at {
			all[n].length += page
		} else {
			all = append(all, region{at, page})
		}
	}
	all = fewer(all, maxParts)
	bytes := 0
	for _, r := range all {
		bytes += r.length
	}
	if bytes > i.filled/4*3 {
		return nil
	}
	return append([]region{}, all...)
}

// fewer joins the regions that lie next to each other until there are at most n.
func fewer(all []region, n int) []region {
	if len(all) <= n {
		return all
	}
	gaps := make([]int, 0, len(all)-1)
	for i, r := range all[1:] {
		gaps = append(gaps, r.start-all[i].start-all[i].length)
	}
	slices.SortFunc(gaps, func(a, b int) int { return cmp.Compare(b, a) })
	least := gaps[n-1] // of which some may stay, as many as there is room for
	stay := n - 1 - slices.Index(gaps, least)
	joined := []region{all[0]}
	for _, r := range all[1:] {
		last := &joined[len(joined)-1]
		gap := r.start - last.start - last.length
		if gap == least {
			stay--
		}
		if gap > least || gap == least && stay >= 0 {
			joined = append(joined, r)
		} else {
			last.length = r.start + r.length - last.start
		}
	}
	return joined
}

// fill writes the image's own parts of a memory to its file, and seals that.
func (i *image) fill(memory []byte) error {
	if err := i.file.Truncate(int64(len(memory))); err != nil {
		return err
	}
	page := os.Getpagesize()
	var failed error
	i.each(0, len(memory), func(of *image, start, stop int) {
		for at := start; of == i && at < stop && failed == nil; {
			end := at
			for end < stop && !allZero(memory[end:end+page]) {
				end += page
			}
			if end > at {
				_, failed = i.file.WriteAt(memory[at:end], int64(at))
				i.filled += end - at
			}
			at = end + page
		}
	})
	if failed != nil {
		return failed
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(i.file.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return err
	}
	if len(memory) == 0 {
		return nil
	}
	view, err := unix.Mmap(int(i.file.Fd()), 0, len(memory), unix.PROT_READ, unix.MAP_SHARED)
	i.view = view
	return err
}

func allZero(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if *(*uint64)(unsafe.Pointer(&b[0])) != 0 {
			return false
		}
	}
	return true
}

// each calls do for the parts of what lies between start and end, in order:
// with the image that has them, itself or its base.
func (i *image) each(start, end int, do func(of *image, start, end int)) {
	if i.base == nil {
		if start < end {
			do(i, start, end)
		}
		return
	}
	for _, r := range i.own {
		if until := min(r.start, end); start < until {
			do(i.base, start, until)
			start = until
		}
		if until := min(r.start+r.length, end); start < until {
			do(i, start, until)
			start = until
		}
		if start >= end {
			return
		}
	}
	if start < end {
		do(i.base, start, end)
	}
}

// maps is how many mappings an instance of the image has.
func (i *image) maps() int { return 2*len(i.own) + 2 }

// copyTo writes what the image has at a place over part, and zeros where it has
// nothing.
func (i *image) copyTo(part []byte, place int) {
	if i.base == nil {
		clear(part[copy(part, i.view[min(place, i.size):]):])
		return
	}
	within := max(0, min(len(part), i.size-place))
	i.each(place, place+within, func(of *image, start, end int) {
		copy(part[start-place:], of.view[start:end])
	})
	clear(part[within:])
}

// equals reports whether a memory is what the image says.
func (i *image) equals(memory []byte) bool {
	same := len(memory) == i.size
	i.each(0, min(len(memory), i.size), func(of *image, start, end int) {
		same = same && string(memory[start:end]) == string(of.view[start:end])
	})
	return same
}

// alone returns the same image without a base, for when there may be no more
// mappings. It lives as long as i.
func (i *image) alone() (*image, error) {
	if i.base == nil {
		return i, nil
	}
	i.once.Do(func() {
		memory := make([]byte, i.size)
		i.copyTo(memory, 0)
		i.whole, i.err = newImage(memory, i.globals, nil)
	})
	return i.whole, i.err
}

// use counts another user.
func (i *image) use() *image {
	i.users.Add(1)
	return i
}

// close takes a user away. The last one frees the image. Memories that were
// made of it stay as they are, and cannot be restored any more.
func (i *image) close() error {
	if i.users.Add(-1) > 0 {
		return nil
	}
	var errs []error
	if i.view != nil {
		errs = append(errs, unix.Munmap(i.view))
		i.view = nil
	}
	if i.base != nil {
		errs = append(errs, i.base.close())
	}
	if i.whole != nil {
		errs = append(errs, i.whole.close())
	}
	return errors.Join(append(errs, i.file.Close())...)
}
