package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Attributes of mounts.
const (
	ReadOnly = unix.MOUNT_ATTR_RDONLY
	NoSuid   = unix.MOUNT_ATTR_NOSUID
	NoDev    = unix.MOUNT_ATTR_NODEV
	NoExec   = unix.MOUNT_ATTR_NOEXEC
	NoAtime  = unix.MOUNT_ATTR_NOATIME
)

// New makes a file system of the given type and returns its mount, attached
// nowhere. Each option is key=value, or a flag.
func New(typ string, attr int, options ...string) (int, error) {
	fs, err := unix.Fsopen(typ, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	for _, o := range options {
		key, value, ok := strings.Cut(o, "=")
		if ok {
			err = unix.FsconfigSetString(fs, key, value)
		} else {
			err = unix.FsconfigSetFlag(fs, key)
		}
		if err != nil {
			return -1, err
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attr)
}

// Place attaches a mount that is attached nowhere, at path relative to dir.
func Place(fd, dir int, path string) error {
	return unix.MoveMount(fd, "", dir, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// Clone returns a second mount, attached nowhere, of what is at path, with
// all that is mounted below it, and attr added everywhere in it. An empty
// path means dir itself.
func Clone(dir int, path string, attr uint64) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_RECURSIVE)
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	fd, err := unix.OpenTree(dir, path, flags)
	if err != nil || attr == 0 {
		return fd, err
	}
	if err := Restrict(fd, attr); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Restrict adds attr to a mount and to all below it.
func Restrict(fd int, attr uint64) error {
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attr})
}

// Bind makes what is at from visible at to, relative to dir.
func Bind(from string, dir int, to string, attr uint64) error {
	fd, err := Clone(unix.AT_FDCWD, from, attr)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return Place(fd, dir, to)
}
