package initproc

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Landlock as a second lock behind the mounts: reading and executing
// everywhere, writing in /tmp and /dev/shm, and to devices and the own files
// of /proc. Raw system calls: see landlock(7).

const (
	landlockRead  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	landlockWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

	landlockBeneath = 1 // LANDLOCK_RULE_PATH_BENEATH, which x/sys lacks
)

// landlockFS returns the rights over files that version abi knows.
func landlockFS(abi uintptr) uint64 {
	known := uint64(1<<13 - 1)
	if abi >= 2 {
		known |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		known |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 5 {
		known |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return known
}

// applyLandlock restricts the calling thread. It returns ENOSYS or EOPNOTSUPP
// where the kernel has no Landlock.
func applyLandlock() error {
	fd, err := ruleset()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(fd), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// ruleset makes the rules of every process inside.
func ruleset() (int, error) {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return -1, errno
	}
	fs := landlockFS(abi)
	attr := unix.LandlockRulesetAttr{Handled_access_fs: fs}
	size := unsafe.Sizeof(attr.Handled_access_fs)
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
		size = unsafe.Offsetof(attr.Scoped) + unsafe.Sizeof(attr.Scoped)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return -1, errno
	}
	rules := []struct {
		path  string
		allow uint64
	}{
		{"/", landlockRead},
		{"/tmp", fs},
		{"/dev/shm", fs},
		{"/dev", landlockWrite},
		{"/proc", landlockWrite},
	}
	for _, r := range rules {
		if err := landlockAllow(fd, r.path, r.allow&fs); err != nil {
			unix.Close(int(fd))
			return -1, err
		}
	}
	return int(fd), nil
}

func landlockAllow(ruleset uintptr, path string, allow uint64) error {
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed(path, err)
	}
	defer unix.Close(dir)
	attr := unix.LandlockPathBeneathAttr{Allowed_access: allow, Parent_fd: int32(dir)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, ruleset, landlockBeneath,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
