package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/rootfs"
)

// disk is a mounted image.
type disk struct {
	size  int64 // as asked for
	loop  *loop
	fs    *os.File  // a mount of the file system, attached nowhere
	fresh diskState // before anybody used it
	kept  time.Time // since when it is in stock
}

// diskState is what changes about a file system that is written to.
type diskState struct {
	modified      syscall.Timespec // the root directory
	mode, links   uint64
	blocks, inode uint64 // free
}

// mountImage mounts f's file system through a loop device.
func mountImage(f *os.File) (*disk, error) {
	l, err := attachLoop(f)
	if err != nil {
		return nil, err
	}
	defer l.release()
	k := &disk{loop: l}
	if k.fs, err = k.mount(); err != nil {
		return nil, err
	}
	if k.fresh, err = k.state(); err != nil {
		return nil, errors.Join(err, k.fs.Close())
	}
	return k, nil
}

// mount returns a mount of the file system, attached nowhere.
func (k *disk) mount() (*os.File, error) {
	const attr = rootfs.NoSuid | rootfs.NoDev | rootfs.NoAtime
	fd, err := rootfs.New("ext4", attr, "source="+k.loop.path, "noinit_itable", "discard")
	if err != nil {
		return nil, fmt.Errorf("mount image: %w", err)
	}
	return os.NewFile(uintptr(fd), "tmp"), nil
}

func (k *disk) state() (st diskState, err error) {
	var root syscall.Stat_t
	var fs syscall.Statfs_t
	if err := errors.Join(syscall.Fstat(int(k.fs.Fd()), &root), syscall.Fstatfs(int(k.fs.Fd()), &fs)); err != nil {
		return st, fmt.Errorf("state of /tmp: %w", err)
	}
	return diskState{root.Mtim, uint64(root.Mode), uint64(root.Nlink), fs.Bfree, fs.Ffree}, nil
}

// untouched reports whether nothing was ever written in the file system: a
// file begins in the root directory, or in none at all and has gone by now.
// The time of the directory tells of the one; nobody inside can set it back,
// for it is root's. The kernel's count of what is free tells of the other.
func (k *disk) untouched() bool {
	now, err := k.state()
	return err == nil && now == k.fresh
}

// close gives the disk up and waits until the kernel has freed it. When the
// contents are not wanted, nothing that is still in memory is written out.
func (k *disk) close(ctx context.Context, discard bool) error {
	if discard {
		k.shutDown()
	}
	if err := k.fs.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return poll(ctx, func() (bool, error) { return k.loop.gone() })
}

// shutDown makes the file system forget what it has not written. It is a
// saving only: where it fails the data is written.
func (k *disk) shutDown() {
	const (
		ioctlShutdown = 0x8004587d // EXT4_IOC_SHUTDOWN
		noLogFlush    = 2
	)
	if k.untouched() { // there is nothing; and the kernel tells the console of each
		return
	}
	fd, err := unix.Openat(int(k.fs.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_ = unix.IoctlSetPointerInt(fd, ioctlShutdown, noLogFlush) // see above
}
