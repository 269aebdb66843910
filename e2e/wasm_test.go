package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// wasmExamples are the examples that are WebAssembly modules.
var wasmExamples = []string{"wasm-c", "wasm-rust", "wasm-go-command", "wasm-go-reactor", "wasm-assemblyscript"}

// builtWasm builds the examples once, as `make examples-wasm` does. The
// directory has one for each of them.
var builtWasm = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(binary), "wasm")
	cmd := exec.Command("../examples/build-wasm.sh", dir)
	cmd.Stderr = os.Stderr
	return dir, cmd.Run()
})

// wasmModules returns the directory of the examples that are WebAssembly
// modules.
func wasmModules(t *testing.T) string {
	t.Helper()
	need(t, "/usr/bin/clang", "clang")
	need(t, "/usr/lib/wasm32-wasi/libc.a", "wasi-libc")
	need(t, "/usr/lib/rustlib/wasm32-unknown-unknown", "libstd-rust-dev-wasm32")
	need(t, "../examples/wasm-assemblyscript/node_modules/assemblyscript", "assemblyscript of npm, which `make setup-wasm` gets")
	dir, err := builtWasm()
	if err != nil {
		t.Fatalf("build the examples: %v", err)
	}
	return dir
}

// Every example that is a WebAssembly module runs without a server, too.
func TestWasmInspect(t *testing.T) {
	dir := wasmModules(t)
	for _, name := range wasmExamples {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command(binary, "inspect", filepath.Join(dir, name, "bootstrap"), "--payload", `{"name":"A\"da"}`).Output()
			if err != nil || !strings.Contains(string(out), `"message":"Hello, A\"da!"`) {
				t.Errorf("it answered %s (%v)", out, err)
			}
		})
	}
}
