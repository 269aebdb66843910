package sandbox

import (
	"fmt"
	"os"

	"github.com/millicent-run/millicent/internal/sandbox/initproc"
)

// Self is the mount that shows this very program inside, at Program, also
// after its file was replaced. Everybody has to be allowed to execute it.
func (h *Host) Self() (Mount, error) {
	if !h.rootless {
		return Mount{Source: "/proc/self/exe", Target: Program}, nil
	}
	path, err := os.Executable() // it is pid 1 that mounts, another program
	if err != nil {
		return Mount{}, fmt.Errorf("find this program: %w", err)
	}
	return Mount{Source: path, Target: Program}, nil
}

// Narrow confines the calling process, which is one of the platform's own
// inside a sandbox and has set up what it needs, to computing: from then on
// none of its threads can make a process, run a program, make a socket or
// connect one, or address another process, whatever code they run.
func Narrow() error { return initproc.Narrow() }
