// Package bootstrap holds the programs that run functions written in Python
// and in Node.js: they load a handler and speak the Runtime API for it.
//
// Package process has LayOut write them below /var/runtime in every sandbox and
// starts
//
//	INTERPRETER PythonArgs... /var/runtime/python/bootstrap.py
//	INTERPRETER NodeArgs... /var/runtime/node/bootstrap.cjs
//
// with the environment of the Lambda runtimes. What a function may rely upon
// follows the runtime that was asked for (AWS_EXECUTION_ENV), not the version
// of the interpreter that serves it.
//
// Both programs need AWS_LAMBDA_RUNTIME_API as an IP address and a port, write
// log entries to the descriptor _LAMBDA_TELEMETRY_LOG_FD in frames when that
// is set (else to standard output, with \r within an entry), and have written
// every byte of an invocation's output before they post its response.
package bootstrap

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Files holds the folders python and node, and a module for functions.
//
//go:embed python/*.py python/millicent_runtime/*.py snapshot_restore_py/*.py node/*.cjs node/*.mjs
var Files embed.FS

// Paths of the programs within Files.
const (
	Python = "python/bootstrap.py"
	Node   = "node/bootstrap.cjs"

	// These compile a function's package: INTERPRETER PROGRAM ROOT MOST.
	PythonCompiler = "python/compile.py"
	NodeCompiler   = "node/compile.cjs"
)

// Digest returns a digest of the programs of a language, "python" or "nodejs".
func Digest(family string) string {
	digest := sha256.New()
	err := fs.WalkDir(Files, strings.TrimSuffix(family, "js"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := Files.ReadFile(name)
		fmt.Fprintf(digest, "%s %d\n%s", name, len(data), data)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("bootstrap: %v", err)) // the files are in the binary
	}
	return hex.EncodeToString(digest.Sum(nil))
}

// Compile returns the arguments that make an interpreter of a language,
// "python" or "nodejs", compile what LayOut has written below dir. Where the
// files are mounted read-only every start compiles them anew otherwise.
func Compile(family, dir string) []string {
	if family == "python" {
		return []string{"-I", "-m", "compileall", "-q", filepath.Join(dir, "python")}
	}
	return []string{filepath.Join(dir, "node", "keep.cjs")}
}

// PythonArgs and NodeArgs go between interpreter and program.
var (
	PythonArgs []string
	NodeArgs   []string
)

// NodeHeapArgs returns arguments that fit Node.js's heap to a function's
// memory, to go before NodeArgs; major is the version of the interpreter. V8
// sizes its heap by the machine otherwise, since the sandbox's own limit is
// out of its sight: an echo of 100 KB events grew to 270 MB by Node.js 24.
//
// Versions before 24 stay near 100 MB by themselves and get none: any such
// argument makes them refuse their own code cache, which costs 4 ms a start.
func NodeHeapArgs(major, memoryMB int) []string {
	if major < 24 || memoryMB <= 0 {
		return nil
	}
	young := min(max(memoryMB/20, 1), 32)
	return []string{
		fmt.Sprintf("--max-semi-space-size=%d", young),
		fmt.Sprintf("--max-old-space-size=%d", memoryMB*9/10),
	}
}
