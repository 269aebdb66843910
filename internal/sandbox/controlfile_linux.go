package sandbox

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Files of cgroups are opened without package os: it takes them for ones that
// are waited for, since they can be polled, at five system calls each.

// openControl opens a file that exists.
func openControl(path string, flags int) (fd int, err error) {
	err = again(func() (err error) {
		fd, err = unix.Open(path, flags|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// openControlFile is openControl for a file that is passed on.
func openControlFile(path string, flags int) (*os.File, error) {
	fd, err := openControl(path, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// writeControl writes a file at once.
func writeControl(path, value string) error {
	fd, err := openControl(path, unix.O_WRONLY)
	if err != nil {
		return err
	}
	err = again(func() error {
		_, err := unix.Write(fd, []byte(value)) // the kernel takes all of it or none
		return err
	})
	return errors.Join(err, unix.Close(fd))
}

// readControl reads a whole file.
func readControl(path string) (content []byte, err error) {
	fd, err := openControl(path, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd) // only ever read
	for buf := make([]byte, 1<<10); ; {
		n := 0
		err := again(func() (err error) {
			n, err = unix.Read(fd, buf)
			return err
		})
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n <= 0 {
			return content, nil
		}
		content = append(content, buf[:n]...)
	}
}

// again calls f until no signal has interrupted it.
func again(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
