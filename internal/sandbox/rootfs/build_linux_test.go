package rootfs

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBuild builds a root in a mount namespace of its own and walks it.
func TestBuild(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a mount namespace")
	}
	done := make(chan struct{})
	go func() { // its thread ends with it, and the namespace
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			t.Error(err)
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Error(err)
			return
		}
		root, err := Build()
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(root)
		if err := unix.Fchdir(root); err != nil {
			t.Error(err)
			return
		}
		walk(t)
	}()
	<-done
}

// walk checks the working directory.
func walk(t *testing.T) {
	machines := map[string]bool{"usr": true, "etc/ssl/certs": true, "etc/pki": true}
	known := map[string]bool{"bin": true, "sbin": true, "lib": true, "lib32": true, "lib64": true, "libx32": true}
	for d := range known {
		machines[d] = true
	}
	for _, d := range Dirs {
		known[strings.Split(d, "/")[0]] = true
	}
	count := 0
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		top := strings.Split(path, "/")[0]
		if e.IsDir() && machines[path] {
			return fs.SkipDir
		}
		if path != "." && !known[top] {
			t.Errorf("%s is there", path)
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		if fi.Mode().IsRegular() && fi.Mode().Perm()&0o004 == 0 {
			t.Errorf("%s is %v", path, fi.Mode())
		}
		count++
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if count < 30 {
		t.Errorf("%d files", count)
	}
	for _, name := range []string{"etc/shadow", "etc/passwd-", "etc/ssl/private", "etc/machine-id", "dev/mem", "root", "home"} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	if err := os.WriteFile("x", nil, 0o600); err == nil {
		t.Error("the root can be written to")
	}
}
