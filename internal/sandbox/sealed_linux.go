package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// A SealedFile is made in memory: written once, and nobody's to change after
// that, so that processes inside may be given it.
type SealedFile struct{ file *os.File }

// NewSealedFile returns an empty one, to be written and sealed. The name is
// seen in the process table only.
func NewSealedFile(name string) (*SealedFile, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	return &SealedFile{os.NewFile(uintptr(fd), name)}, nil
}

// Write implements io.Writer, before Seal.
func (f *SealedFile) Write(p []byte) (int, error) { return f.file.Write(p) }

var _ io.Writer = (*SealedFile)(nil)

// Seal ends the writing and returns the file, opened for reading alone. It
// replaces f, which is closed either way.
func (f *SealedFile) Seal() (file *os.File, err error) {
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	err = withFD(f.file, func(fd int) error {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
			return err
		}
		file, err = os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
		return err
	})
	if err = errors.Join(err, f.file.Close()); err != nil {
		return nil, fmt.Errorf("seal a file in memory: %w", err)
	}
	return file, nil
}

// Close gives up a file that is not to be sealed.
func (f *SealedFile) Close() error { return f.file.Close() }
