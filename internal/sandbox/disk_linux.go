package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/rootfs"
)

// disks makes the /tmp of sandboxes: each a sparse ext4 image on a loop
// device, so that what is written there is the disk's and not the memory's.
// An image is a copy of a formatted template of its size, and has no name any
// more once its device exists: with the last mount the kernel frees both.
type disks struct {
	dir  string
	mkfs string

	mu        sync.Mutex
	templates map[int64]*template
}

// template is the formatted image of one size.
type template struct {
	once sync.Once
	file *os.File
	err  error
}

// imagePrefix begins the names of images that have one.
const imagePrefix = "tmp-"

// openDisks checks that images can be made here. It removes what images an
// earlier Host left.
func openDisks(dir string) (*disks, error) {
	names, err := filepath.Glob(filepath.Join(dir, imagePrefix+"*"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			return nil, err
		}
	}
	d := &disks{dir: dir, templates: map[int64]*template{}}
	for _, place := range []string{"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"} {
		if _, err := os.Stat(place); err == nil {
			d.mkfs = place
			break
		}
	}
	if d.mkfs == "" {
		return nil, errors.New("mkfs.ext4 is not installed")
	}
	ctl, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return d, ctl.Close()
}

func (d *disks) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.templates {
		if t.file != nil {
			t.file.Close() // nameless already
		}
	}
	clear(d.templates)
}

// imageSize leaves room for the file system's own blocks, so that at least
// size bytes can be written.
func imageSize(size int64) int64 {
	const unit = 1 << 20
	return (size + size/32 + 4<<20 + unit - 1) / unit * unit
}

// template returns the formatted image of a size.
func (d *disks) template(ctx context.Context, size int64) (*os.File, error) {
	d.mu.Lock()
	t := d.templates[size]
	if t == nil {
		t = &template{}
		d.templates[size] = t
	}
	d.mu.Unlock()
	t.once.Do(func() {
		// Others may wait for it: it is not this caller's alone to end.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		t.file, t.err = d.format(ctx, size)
	})
	if t.err != nil { // the next sandbox tries again
		d.mu.Lock()
		if d.templates[size] == t {
			delete(d.templates, size)
		}
		d.mu.Unlock()
	}
	return t.file, t.err
}

// format makes the template of a size: without a journal, for nobody recovers
// a sandbox's /tmp.
func (d *disks) format(ctx context.Context, size int64) (f *os.File, err error) {
	f, err = d.newImage(imageSize(size))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close() // the other error is the one to tell
		}
	}()
	cmd := exec.CommandContext(ctx, d.mkfs, "-q", "-F", "-b", "4096", "-m", "0", "-I", "256", "-i", "32768",
		"-O", "^has_journal,^resize_inode,^huge_file", "-E", "lazy_itable_init=1,nodiscard,root_owner=0:0",
		fmt.Sprintf("/proc/self/fd/%d", 3))
	cmd.ExtraFiles = []*os.File{f}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	return f, prepare(ctx, f)
}

// prepare gives the template's root directory its mode and empties it.
func prepare(ctx context.Context, f *os.File) error {
	t, err := mountImage(f)
	if err != nil {
		return err
	}
	defer t.mount.Close()
	fd := int(t.mount.Fd())
	if err := unix.Fchmodat(fd, ".", 0o1777, 0); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	if err := unix.Unlinkat(fd, "lost+found", unix.AT_REMOVEDIR); err != nil {
		return fmt.Errorf("rmdir lost+found: %w", err)
	}
	return t.close(ctx, false)
}

// newImage returns an empty sparse file without a name.
func (d *disks) newImage(size int64) (*os.File, error) {
	f, err := os.CreateTemp(d.dir, imagePrefix)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Remove(f.Name()), f.Truncate(size)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// make returns a new file system of at least size bytes, mounted nowhere.
func (d *disks) make(ctx context.Context, size int64) (*disk, error) {
	t, err := d.template(ctx, size)
	if err != nil {
		return nil, err
	}
	f, err := d.newImage(imageSize(size))
	if err != nil {
		return nil, err
	}
	defer f.Close() // the device holds it
	if err := copySparse(f, t); err != nil {
		return nil, fmt.Errorf("copy image: %w", err)
	}
	return mountImage(f)
}

// copySparse copies what is not a hole. Both have the same size.
func copySparse(dst, src *os.File) error {
	if unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil {
		return nil
	}
	for end := int64(0); ; {
		start, err := unix.Seek(int(src.Fd()), end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		if end, err = unix.Seek(int(src.Fd()), start, unix.SEEK_HOLE); err != nil {
			return err
		}
		for start < end {
			to := start
			n, err := unix.CopyFileRange(int(src.Fd()), &start, int(dst.Fd()), &to, int(end-start), 0)
			if err != nil {
				return err
			}
			if n == 0 {
				return io.ErrUnexpectedEOF
			}
		}
	}
}

// disk is a mounted image.
type disk struct {
	loop  *loop
	mount *os.File // of the file system; attached in the sandbox later
}

// mountImage mounts f's file system through a loop device.
func mountImage(f *os.File) (*disk, error) {
	l, err := attachLoop(f)
	if err != nil {
		return nil, err
	}
	defer l.release()
	fd, err := rootfs.New("ext4", rootfs.NoSuid|rootfs.NoDev, "source="+l.path, "noinit_itable", "discard")
	if err != nil {
		return nil, fmt.Errorf("mount image: %w", err)
	}
	return &disk{loop: l, mount: os.NewFile(uintptr(fd), "tmp")}, nil
}

// close gives the disk up and waits until the kernel has freed it. When the
// contents are not wanted, nothing that is still in memory is written out.
func (d *disk) close(ctx context.Context, discard bool) error {
	if discard {
		d.shutDown()
	}
	if err := d.mount.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return poll(ctx, func() (bool, error) { return d.loop.gone() })
}

// shutDown makes the file system forget what it has not written. It is a
// saving only: where it fails the data is written.
func (d *disk) shutDown() {
	const (
		ioctlShutdown = 0x8004587d // EXT4_IOC_SHUTDOWN
		noLogFlush    = 2
	)
	fd, err := unix.Openat(int(d.mount.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_ = unix.IoctlSetPointerInt(fd, ioctlShutdown, noLogFlush) // see above
}
