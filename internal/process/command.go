package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/process/bootstrap"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// wrapperVariable names a program that starts the runtime in its own way.
const wrapperVariable = "AWS_LAMBDA_EXEC_WRAPPER"

// The link of a runtime: the descriptor that it reads from, the second after
// standard error, which is followed by the one that it writes to; and the
// variable that tells a bootstrap of them, which takes it away.
const (
	linkFD       = logFD + 1
	linkVariable = "_MILLICENT_LINK_FD"
)

// entrypoints are where the runtimes of the provided family look for their
// program, in this order.
var entrypoints = []string{taskRoot + "/bootstrap", optDir + "/bootstrap"}

// command returns what to run for a version whose package is unpacked in
// dir; a failure when the package does not hold what its runtime needs.
func command(v *millicent.Version, rt Runtime, dir string) ([]string, *lifecycle.Failure) {
	args := languageCommand(rt)
	if args == nil {
		// Layers are not mounted yet, so only the package can hold one. The
		// wrapper is for language runtimes alone.
		if _, err := os.Lstat(filepath.Join(dir, "bootstrap")); err != nil {
			return nil, lifecycle.InvalidEntrypoint(fmt.Sprintf("Couldn't find valid bootstrap(s): %v", entrypoints))
		}
		return entrypoints[:1], nil
	}
	if wrapper := v.Environment[wrapperVariable]; wrapper != "" {
		args = append([]string{wrapper}, args...)
	}
	return args, nil
}

// languageCommand returns what serves a language runtime, nil for others.
func languageCommand(rt Runtime) []string {
	switch family, _ := splitRuntime(rt.Name); family {
	case familyPython:
		return slices.Concat([]string{rt.Interpreter}, bootstrap.PythonArgs, []string{path.Join(runtimeDir, bootstrap.Python)})
	case familyNode:
		return slices.Concat([]string{rt.Interpreter}, bootstrap.NodeArgs, []string{path.Join(runtimeDir, bootstrap.Node)})
	default:
		return nil
	}
}

// linked reports whether v's runtime speaks to the platform by a link: our own
// bootstraps do, but not behind a wrapper, which may start whatever it likes.
func linked(v *millicent.Version, rt Runtime) bool {
	family, _ := splitRuntime(rt.Name)
	return (family == familyPython || family == familyNode) && v.Environment[wrapperVariable] == ""
}

// startFailure says what a program that could not be started means to the
// function: a failure of its own, or nil when it is not its doing. A wrapper
// fails as it would under the shell that starts it on Lambda.
func startFailure(v *millicent.Version, args []string, err error) *lifecycle.Failure {
	missing := errors.Is(err, fs.ErrNotExist)
	if !missing && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.ENOEXEC) {
		return nil
	}
	switch args[0] {
	case v.Environment[wrapperVariable]:
		if missing {
			return exited(sandbox.ExitStatus{Code: 127}, false)
		}
		return exited(sandbox.ExitStatus{Code: 126}, false)
	case entrypoints[0], entrypoints[1]:
		cause := syscall.ENOENT
		if !missing {
			cause = syscall.EACCES
		}
		if errors.Is(err, syscall.ENOEXEC) {
			cause = syscall.ENOEXEC
		}
		return lifecycle.InvalidEntrypoint("fork/exec " + args[0] + ": " + cause.Error())
	default:
		return nil
	}
}
