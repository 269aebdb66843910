package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// copied are the files and directories of /etc that programs in /usr need to
// run: patterns, each copied with what is below it. Only what everybody may
// read is copied.
var copied = []string{
	"ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "services", "protocols",
	"alternatives", "ssl/openssl.cnf", "pki/tls/openssl.cnf", "crypto-policies/back-ends",
	"python3*", "java-*", "nodejs", "perl", "locale.alias",
}

// shown are the directories of public certificates, bound rather than copied
// so that the machine's updates are seen.
var shown = []string{"ssl/certs", "pki/tls/certs", "pki/ca-trust/extracted"}

// Bounds of what is copied.
const (
	maxCopy  = 1 << 20 // bytes of one file
	maxDepth = 6
)

// settings fills /etc.
func settings(root int) error {
	for _, pattern := range copied {
		names, err := filepath.Glob("/etc/" + pattern)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := replicate(root, name[1:], maxDepth); err != nil {
				return wrap("copy "+name, err)
			}
		}
	}
	for _, dir := range shown {
		if err := show(root, "etc/"+dir); err != nil {
			return wrap("show /etc/"+dir, err)
		}
	}
	return nil
}

// replicate copies what everybody may read of name, and leaves out the rest.
func replicate(root int, name string, depth int) error {
	fi, err := os.Lstat("/" + name)
	if err != nil || depth == 0 {
		return absent(err)
	}
	if err := mkdirs(root, filepath.Dir(name)); err != nil {
		return err
	}
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		return absent(relink(root, name))
	case fi.IsDir() && fi.Mode().Perm()&0o005 == 0o005:
		entries, err := os.ReadDir("/" + name)
		if err != nil {
			return absent(err)
		}
		if err := mkdirs(root, name); err != nil {
			return err
		}
		for _, e := range entries {
			if err := replicate(root, name+"/"+e.Name(), depth-1); err != nil {
				return err
			}
		}
	case fi.Mode().IsRegular() && fi.Mode().Perm()&0o004 != 0 && fi.Size() <= maxCopy:
		content, err := os.ReadFile("/" + name)
		if err != nil {
			return absent(err)
		}
		return write(root, name, content, uint32(fi.Mode().Perm()&0o755))
	}
	return nil
}

// show binds a directory where the machine has one, or repeats its link.
func show(root int, name string) error {
	fi, err := os.Lstat("/" + name)
	if err != nil {
		return absent(err)
	}
	if err := mkdirs(root, filepath.Dir(name)); err != nil {
		return err
	}
	if fi.Mode()&fs.ModeSymlink != 0 {
		return relink(root, name)
	}
	if err := unix.Mkdirat(root, name, 0o755); err != nil {
		return err
	}
	return Bind("/"+name, root, name, ReadOnly|NoSuid|NoDev|NoExec)
}

// absent forgives what has gone, or was never there, or may not be read: the
// root does without.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
