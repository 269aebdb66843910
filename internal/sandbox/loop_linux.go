package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// loop is a loop device. The kernel detaches it when its last user is gone.
type loop struct {
	path  string
	dev   *os.File // held until the file system is mounted
	label [64]byte // by which to recognise it: numbers and inodes are soon another's
}

// attachLoop makes f a block device.
func attachLoop(f *os.File) (*loop, error) {
	ctl, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer ctl.Close()
	cfg := unix.LoopConfig{Fd: uint32(f.Fd()), Size: 4096}
	copy(cfg.Info.File_name[:], "millicent-"+rand.Text())
	cfg.Info.Flags = unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO
	for range 256 { // others take devices at the same time
		n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("loop device: %w", err)
		}
		path := "/dev/loop" + strconv.Itoa(n)
		dev, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(dev.Fd()), &cfg)
		if err == nil {
			return &loop{path: path, dev: dev, label: cfg.Info.File_name}, nil
		}
		dev.Close() // not ours
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("loop device: %w", err)
		}
	}
	return nil, errors.New("no loop device to be had")
}

// release gives up this process's hold on the device.
func (l *loop) release() { l.dev.Close() }

// gone reports whether the device no longer has the image.
func (l *loop) gone() (bool, error) {
	dev, err := os.Open(l.path)
	if err != nil {
		return errors.Is(err, os.ErrNotExist), nil
	}
	defer dev.Close()
	info, err := unix.IoctlLoopGetStatus64(int(dev.Fd()))
	if errors.Is(err, unix.ENXIO) {
		return true, nil
	}
	return err == nil && info.File_name != l.label, err
}
