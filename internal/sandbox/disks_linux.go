package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// disks makes the /tmp of sandboxes: each a sparse ext4 image on a loop
// device, so that what is written there is the disk's and not the memory's.
// An image is a copy of a formatted template of its size, and has no name any
// more once its device exists: with the last mount the kernel frees both.
//
// Making one takes the kernel longer than all the rest of a sandbox. So one in
// which nothing was ever written (see [disk.untouched]) goes to the next
// sandbox that wants its size; a few such ones are kept in stock.
type disks struct {
	dir  string
	mkfs string
	log  *slog.Logger

	mu        sync.Mutex
	templates map[int64]*template
	stock     []*disk     // the last one is the first to be used
	trim      *time.Timer // takes the first ones away when nobody wants them
	trimming  sync.WaitGroup
	closed    bool
}

// The unused disks that are kept are no more than so many, and each for a
// while only.
const (
	maxStock  = 64
	stockTime = 20 * time.Second
)

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
func openDisks(dir string, log *slog.Logger) (*disks, error) {
	names, err := filepath.Glob(filepath.Join(dir, imagePrefix+"*"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			return nil, err
		}
	}
	d := &disks{dir: dir, log: log, templates: map[int64]*template{}}
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

func (d *disks) close() error {
	d.mu.Lock()
	if d.trim != nil {
		d.trim.Stop() // one that runs finds nothing
	}
	d.closed = true
	for _, t := range d.templates {
		if t.file != nil {
			t.file.Close() // nameless already
		}
	}
	clear(d.templates)
	d.mu.Unlock()
	err := d.clearStock()
	d.trimming.Wait()
	return err
}

// spare returns how many unused disks are kept.
func (d *disks) spare() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.stock)
}

// clearStock gives up all unused disks.
func (d *disks) clearStock() error {
	d.mu.Lock()
	stock := d.stock
	d.stock = nil
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	for _, k := range stock {
		errs = append(errs, k.close(ctx, true))
	}
	return errors.Join(errs...)
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
	defer t.fs.Close()
	fd := int(t.fs.Fd())
	if err := unix.Fchmodat(fd, ".", 0o1777, 0); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	if err := unix.Unlinkat(fd, "lost+found", unix.AT_REMOVEDIR); err != nil {
		return fmt.Errorf("rmdir lost+found: %w", err)
	}
	// In the past, so that every later change of the directory shows.
	past := unix.NsecToTimespec(time.Now().Add(-time.Minute).UnixNano())
	if err := unix.UtimesNanoAt(fd, ".", []unix.Timespec{past, past}, 0); err != nil {
		return fmt.Errorf("set time: %w", err)
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

// take returns an empty disk of at least size bytes.
func (d *disks) take(ctx context.Context, size int64) (*disk, error) {
	d.mu.Lock()
	for i := len(d.stock) - 1; i >= 0; i-- {
		if k := d.stock[i]; k.size == size {
			d.stock = slices.Delete(d.stock, i, i+1)
			d.mu.Unlock()
			return k, nil
		}
	}
	d.mu.Unlock()
	return d.make(ctx, size)
}

// give takes a disk back whose sandbox has ended.
func (d *disks) give(ctx context.Context, k *disk) error {
	if d.keep(k) {
		return nil
	}
	return k.close(ctx, true)
}

// keep puts an untouched disk into the stock while there is room.
func (d *disks) keep(k *disk) bool {
	if !k.untouched() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.stock) == maxStock {
		return false
	}
	k.kept = time.Now()
	d.stock = append(d.stock, k)
	if len(d.stock) == 1 {
		d.trim = time.AfterFunc(stockTime, d.trimStock)
	}
	return true
}

// trimStock gives up the disks that nobody wanted for long.
func (d *disks) trimStock() {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.trimming.Add(1)
	defer d.trimming.Done()
	var old []*disk
	for len(d.stock) > 0 && time.Since(d.stock[0].kept) >= stockTime {
		old, d.stock = append(old, d.stock[0]), d.stock[1:]
	}
	if len(d.stock) > 0 {
		d.trim = time.AfterFunc(stockTime-time.Since(d.stock[0].kept), d.trimStock)
	}
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	for _, k := range old {
		if err := k.close(ctx, true); err != nil {
			d.log.Warn("a sandbox's disk is not freed", "error", err)
		}
	}
}

// make returns a new disk.
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
	k, err := mountImage(f)
	if err != nil {
		return nil, err
	}
	k.size = size
	return k, nil
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
