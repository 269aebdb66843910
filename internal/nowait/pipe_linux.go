package nowait

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Pipe returns the two ends of a pipe, of which the one at ours (0 to read, 1
// to write) is to be used by this process, and does not block.
func Pipe(ours int) (r, w *os.File, err error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	if err := syscall.SetNonblock(fds[ours], true); err != nil {
		return nil, nil, errors.Join(err, syscall.Close(fds[0]), syscall.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}
