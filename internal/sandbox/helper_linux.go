package sandbox

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/initproc"
)

// helper holds the small first-process program when it was built before this
// one; see helper/README.md.
//
//go:embed helper
var helper embed.FS

// Main runs the sandbox's first process when this program was started as
// such, and never returns then; otherwise it returns at once. A program that
// makes sandboxes calls it first thing in main (tests: in TestMain).
func Main() {
	if len(os.Args) == 1 && os.Args[0] == initproc.Name {
		initproc.Main()
	}
}

// openHelper returns the program to run as pid 1: the embedded one in a memory
// file that nobody can change any more, else nil for this program itself.
func openHelper() (*os.File, error) {
	program, err := helper.ReadFile("helper/init")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(initproc.Name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(initproc.Name, flags)
	}
	if err != nil {
		return nil, fmt.Errorf("memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), initproc.Name)
	if _, err := f.Write(program); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, errors.Join(fmt.Errorf("seal: %w", err), f.Close())
	}
	return f, nil
}

// helperPath is the path by which a child of this process executes f.
func helperPath(f *os.File) string {
	if f == nil {
		return "/proc/self/exe"
	}
	return fmt.Sprintf("/proc/self/fd/%d", f.Fd())
}
