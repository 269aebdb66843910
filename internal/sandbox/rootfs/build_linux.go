package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Dirs are the directories on which a sandbox mounts what is its own.
//
// Of those in the library path of functions the ones that their packages may
// bring are there before: the C library's loader asks once whether a directory
// exists, and a process may have started by the time that the package comes.
var Dirs = []string{
	"dev", "dev/shm", "etc", "mnt", "opt", "proc", "run", "sys", "tmp", "usr",
	"var", "var/lang", "var/runtime", "var/task", "var/task/lib",
}

// links that every root has. Those into /run lead to files that differ
// between sandboxes.
var links = map[string]string{
	"dev/fd": "/proc/self/fd", "dev/stdin": "/proc/self/fd/0",
	"dev/stdout": "/proc/self/fd/1", "dev/stderr": "/proc/self/fd/2",
	"etc/passwd": "../run/passwd", "etc/group": "../run/group",
	"etc/hosts": "../run/hosts", "etc/hostname": "../run/hostname",
	"etc/mtab": "../proc/mounts", "etc/os-release": "../usr/lib/os-release",
	"var/run": "../run",
}

// files that every root has.
var files = map[string]string{
	"etc/resolv.conf": "nameserver 169.254.100.1\noptions timeout:2 attempts:2\n",
	"etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n" +
		"networks: files\nprotocols: files\nservices: files\n",
	"etc/host.conf": "multi on\n",
	"etc/shells":    "/bin/sh\n",
	Program[1:]:     "",
}

// Program is an empty file, on which a program can be mounted.
const Program = "/var/program"

var devices = []string{"null", "zero", "full", "random", "urandom"}

// Build makes a root and attaches it on top of the root directory of the
// calling thread's mount namespace, which has to be a private one; paths of
// the caller still lead to the machine's own root. It returns the root's
// descriptor.
func Build() (int, error) {
	root, err := New("tmpfs", NoSuid, "mode=0755", "size=16m", "nr_inodes=16k")
	if err != nil {
		return -1, wrap("make root", err)
	}
	if err := build(root); err != nil {
		unix.Close(root)
		return -1, err
	}
	return root, nil
}

func build(root int) error {
	if err := Place(root, unix.AT_FDCWD, "/"); err != nil {
		return wrap("attach root", err)
	}
	for _, d := range Dirs {
		if err := unix.Mkdirat(root, d, 0o755); err != nil {
			return wrap("make "+d, err)
		}
	}
	for name, target := range links {
		if err := unix.Symlinkat(target, root, name); err != nil {
			return wrap("link "+name, err)
		}
	}
	for name, content := range files {
		if err := write(root, name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := programs(root); err != nil {
		return err
	}
	if err := settings(root); err != nil {
		return err
	}
	for _, d := range devices {
		name := "dev/" + d
		if err := write(root, name, nil, 0o644); err != nil {
			return err
		}
		if err := Bind("/"+name, root, name, NoSuid|NoExec); err != nil {
			return wrap("bind "+name, err)
		}
	}
	return wrap("protect root", Restrict(root, ReadOnly|NoSuid))
}

// programs shows /usr, and the directories beside it as the machine has them:
// links into /usr on a merged system, else directories.
func programs(root int) error {
	const attr = ReadOnly | NoSuid | NoDev
	if err := Bind("/usr", root, "usr", attr); err != nil {
		return wrap("bind usr", err)
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		fi, err := os.Lstat("/" + name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case fi.Mode()&fs.ModeSymlink != 0:
			err = relink(root, name)
		case fi.IsDir():
			if err = unix.Mkdirat(root, name, 0o755); err == nil {
				err = Bind("/"+name, root, name, attr)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrap("show "+name, err)
		}
	}
	return nil
}

// relink makes the machine's link of that name in root.
func relink(root int, name string) error {
	target, err := os.Readlink("/" + name)
	if err != nil {
		return err
	}
	return unix.Symlinkat(target, root, name)
}

func write(root int, name string, content []byte, mode uint32) error {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_CLOEXEC
	fd, err := unix.Openat(root, name, flags, mode)
	if err != nil {
		return wrap("make "+name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// mkdirs makes a directory and those above it.
func mkdirs(root int, name string) error {
	if name == "." {
		return nil
	}
	err := unix.Mkdirat(root, name, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err = mkdirs(root, filepath.Dir(name)); err == nil {
			err = unix.Mkdirat(root, name, 0o755)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// wrap names the step that err comes from; nil stays nil.
func wrap(step string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: "sandbox root", Path: strings.TrimSpace(step), Err: err}
}
