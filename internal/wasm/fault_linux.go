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

// threadFaults is how many page faults the calling thread has had; negative
// where that is not known.
func (i *Instance) threadFaults() int64 {
	if !countsFaults() {
		return -1
	}
	return i.readFaults()
}

func (i *Instance) readFaults() int64 {
	_, _, errno := unix.RawSyscall(unix.SYS_GETRUSAGE, unix.RUSAGE_THREAD, uintptr(unsafe.Pointer(&i.usage)), 0)
	if errno != 0 {
		return -1
	}
	return i.usage.Minflt + i.usage.Majflt
}

// countsFaults reports whether the kernel counts page faults as threadFaults
// needs it: exactly those of the thread.
var countsFaults = sync.OnceValue(func() bool { return tryFaults() == nil })

// tries is how many faults of each kind are tried.
const tries = 8

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
		before := i.readFaults()
		b[at] = was + 1
		if after := i.readFaults(); before < 0 || after <= before {
			return errors.New("a page fault was not counted")
		}
	}
	return nil
}
