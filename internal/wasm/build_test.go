package wasm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// built has the modules that tests build, by name.
var built sync.Map

// errNotInstalled is a compiler that is not there. `make setup-wasm` gets all.
var errNotInstalled = errors.New("is not installed")

// npmTools has the compilers of npm's that the example in AssemblyScript takes.
const npmTools = "../../examples/wasm-assemblyscript/node_modules/.bin/"

// build returns a program of testdata as a module: a folder in Go, or a file of
// testdata/guests. Where its compiler is not installed the test is skipped.
func build(t testing.TB, name string) []byte {
	t.Helper()
	once, _ := built.LoadOrStore(name, sync.OnceValues(func() ([]byte, error) { return compile(name) }))
	module, err := once.(func() ([]byte, error))()
	if errors.Is(err, errNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// compile runs a compiler.
func compile(name string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "millicent-wasm")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "module.wasm")
	command := compiler(name, out)
	if _, err := os.Stat(command[0]); err != nil && filepath.Base(command[0]) != command[0] {
		return nil, fmt.Errorf("%s %w", command[0], errNotInstalled)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if filepath.Ext(name) == "" {
		cmd.Env = append(cmd.Env, "GOOS=wasip1", "GOARCH=wasm")
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	return os.ReadFile(out)
}

// compiler returns the command that makes a module of a program.
func compiler(name, out string) []string {
	file := "testdata/guests/" + name
	switch filepath.Ext(name) {
	case ".c":
		return []string{"/usr/bin/clang", "--target=wasm32-wasi", "-O2", "-s", "-Wall", "-Wextra", "-Werror", "-o", out, file}
	case ".rs":
		return []string{"/usr/bin/rustc", "--edition", "2021", "--target", "wasm32-unknown-unknown", "--crate-type", "cdylib",
			"-C", "opt-level=3", "-C", "panic=abort", "-C", "strip=symbols", "-C", "linker=wasm-ld", "-o", out, file}
	case ".ts":
		return []string{npmTools + "asc", file, "--outFile", out, "-O", "--runtime", "stub", "--use", "abort="}
	case ".wat":
		return []string{npmTools + "wasm-as", "-all", file, "-o", out}
	}
	command := []string{"go", "build", "-trimpath", "-ldflags=-s -w", "-o", out}
	if strings.HasSuffix(name, "reactor") {
		command = append(command, "-buildmode=c-shared")
	}
	return append(command, "./testdata/"+name)
}
