package sandbox

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/rootfs"
)

// roots makes the root directories of sandboxes: it owns a thread in a mount
// namespace of its own, in which the one root that all others are copies of
// is mounted. Nothing of it shows in the machine's mounts.
type roots struct {
	work chan func(root int)
	done chan struct{}
}

// openRoots starts the thread and builds the root.
func openRoots() (*roots, error) {
	r := &roots{work: make(chan func(int)), done: make(chan struct{})}
	built := make(chan error)
	go r.serve(built)
	if err := <-built; err != nil {
		<-r.done
		return nil, err
	}
	return r, nil
}

// serve is the thread. It ends locked, so that the thread dies and the
// namespace with it.
func (r *roots) serve(built chan<- error) {
	defer close(r.done)
	runtime.LockOSThread()
	root, err := buildPrivately()
	built <- err
	if err != nil {
		return
	}
	defer unix.Close(root)
	for f := range r.work {
		f(root)
	}
}

func buildPrivately() (int, error) {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return -1, fmt.Errorf("mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return -1, fmt.Errorf("make mounts private: %w", err)
	}
	return rootfs.Build()
}

// clone returns a new root, attached nowhere.
func (r *roots) clone() (f *os.File, err error) {
	done := make(chan struct{})
	r.work <- func(root int) {
		defer close(done)
		var fd int
		if fd, err = rootfs.Clone(root, "", 0); err == nil {
			f = os.NewFile(uintptr(fd), "root")
		}
	}
	<-done
	if err != nil {
		return nil, fmt.Errorf("copy root: %w", err)
	}
	return f, nil
}

// close ends the thread. No clone may be running or follow.
func (r *roots) close() {
	close(r.work)
	<-r.done
}
