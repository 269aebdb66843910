package wasm

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A page of an instance is the image's until it is written to for the first
// time: then there is a page fault, on the thread that wrote. So where a thread
// had none while it ran a guest, no page was written that had not been before,
// and those are known from the last time that they were looked for. That spares
// most requests the search, which costs more than to write the pages back.
//
// It relies on this: nothing writes to a guest's memory but the thread between
// guest.enter and guest.leave; that counts the faults which the kernel has on
// its behalf, too; and the kernel makes no page writable without a fault, as it
// may where it puts huge pages in place of small ones: no memory has any.

// events are what a thread has had so far; negative where that is not known.
type events struct {
	faults   int64
	switches int64 // that another thread got its processor
}

var unknown = events{-1, -1}

// threadEvents are those of the calling thread.
func (i *Instance) threadEvents() events {
	if !countsEvents() {
		return unknown
	}
	return i.readEvents()
}

func (i *Instance) readEvents() events {
	u := &i.usage
	_, _, errno := unix.RawSyscall(unix.SYS_GETRUSAGE, unix.RUSAGE_THREAD, uintptr(unsafe.Pointer(u)), 0)
	if errno != 0 {
		return unknown
	}
	return events{u.Minflt + u.Majflt, u.Nvcsw + u.Nivcsw}
}

// countsEvents reports whether the kernel counts as threadEvents needs it:
// exactly those of the thread.
var countsEvents = sync.OnceValue(func() bool { return errors.Join(tryFaults(), trySwitches()) == nil })

// tries is how many faults of each kind are tried, and switches.
const tries = 8

// trySwitches gives the processor away, and looks whether that is counted each
// time.
func trySwitches() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i := &Instance{}
	for range tries {
		before := i.readEvents()
		if err := unix.Nanosleep(&unix.Timespec{Nsec: 1000}, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if after := i.readEvents(); before == unknown || after.switches <= before.switches {
			return errors.New("a switch of threads was not counted")
		}
	}
	return nil
}

// tryFaults makes page faults, and looks whether each is counted.
func tryFaults() error {
	fd, err := unix.MemfdCreate("millicent-try", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	size := tries * os.Getpagesize()
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return err
	}
	image, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	grown, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return errors.Join(err, unix.Munmap(image))
	}
	_ = unix.Madvise(grown, unix.MADV_NOHUGEPAGE) // a kernel without huge pages knows of none
	return errors.Join(faultsIn(image), faultsIn(grown), unix.Munmap(image), unix.Munmap(grown))
}

// faultsIn writes to each page of a mapping, once it was read.
func faultsIn(b []byte) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i := &Instance{}
	for at := 0; at < len(b); at += os.Getpagesize() {
		was := b[at]
		before := i.readEvents()
		b[at] = was + 1
		if after := i.readEvents(); before == unknown || after.faults <= before.faults {
			return errors.New("a page fault was not counted")
		}
	}
	return nil
}
