package millicenttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the millicent under test, once Main has built it.
var binary string

// Main builds the binary from its package, given relative to the test's
// directory, and runs m. The environment's MILLICENT_BINARY names one that is
// built already. after runs when the tests are over; its error fails them.
func Main(m *testing.M, pkg string, after func() error) int {
	dir, err := os.MkdirTemp("", "millicent-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // for a server that another user runs
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if binary = os.Getenv("MILLICENT_BINARY"); binary == "" {
		binary = filepath.Join(dir, "millicent")
		if err := Build(binary, pkg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	code := m.Run()
	if err := after(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// Build compiles a main package without C, for this machine or a sandbox.
func Build(out, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, msg)
	}
	return nil
}
