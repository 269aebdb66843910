package wasm

import (
	"slices"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

// A Description is what can be said of a module without running it.
type Description struct {
	ABI       ABI      `json:"abi"`
	Bytes     int      `json:"bytes"`
	Functions int      `json:"functions"` // of its own
	Imports   []string `json:"imports"`   // modules that it imports functions of, sorted
	Hooks     []string `json:"hooks"`     // which of _initialize, warmup and restored it has
	MinMemory int64    `json:"minMemory"` // bytes
	MaxMemory int64    `json:"maxMemory"` // bytes, what the module itself allows

	// Resets says that instances are taken back to an image after each
	// request. Otherwise each request has a new one, initialised anew.
	Resets bool `json:"resets"`
}

// Describe reads a module. It fails where Load would before it compiles.
func Describe(file []byte) (*Description, error) {
	m, abi, err := readModule(file)
	if err != nil {
		return nil, err
	}
	d := &Description{
		ABI: abi, Bytes: len(file), Functions: m.Functions(), Resets: !m.ChangesTables,
		MinMemory: int64(m.MinPages) * wasmPage, MaxMemory: int64(m.MaxPages) * wasmPage,
	}
	for _, i := range m.Imports {
		d.Imports = append(d.Imports, i.Module)
	}
	slices.Sort(d.Imports)
	d.Imports = slices.Compact(d.Imports)
	for _, h := range []struct {
		name string
		want module.Signature
	}{{exportInitialize, sigNone}, {exportWarmup, sigNone}, {exportRestored, sigRestored}} {
		if exports(m, h.name, h.want) {
			d.Hooks = append(d.Hooks, h.name)
		}
	}
	return d, nil
}

// readModule reads a module that this platform can run.
func readModule(file []byte) (*module.Module, ABI, error) {
	m, err := module.Parse(file)
	if err != nil {
		return nil, "", err
	}
	abi, err := detect(m)
	if err != nil {
		return nil, "", err
	}
	return m, abi, checkImports(m)
}

// exports reports whether a module has a function of a name and signature.
func exports(m *module.Module, name string, want module.Signature) bool {
	got, ok := m.Function(name)
	return ok && got == want
}
