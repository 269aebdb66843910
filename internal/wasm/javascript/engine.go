// Package javascript has what functions in JavaScript and TypeScript need
// besides a place to run: the engine, which is a WebAssembly module from npm
// and embedded by `make build`; the modules that run in it before a function's
// own (prelude/, which main.js describes); and the bundler, which makes one ES
// module of a package's files.
//
// Bundling reads what a stranger wrote. It reads no file outside of the
// package, runs nothing of it, and has bounds of size and time.
package javascript

import (
	"embed"
	"errors"
)

//go:embed all:dist
var dist embed.FS

//go:embed prelude/*.js
var prelude embed.FS

// ErrNoEngine means that the program was built without the engine.
var ErrNoEngine = errors.New("this millicent was built without its JavaScript engine, which `make build` takes from npm: " +
	"functions of the runtime javascript cannot run")

// Engine returns QuickJS as a module.
func Engine() ([]byte, error) {
	file, err := dist.ReadFile("dist/quickjs.wasm")
	if err != nil {
		return nil, ErrNoEngine
	}
	return file, nil
}

// Prelude returns a module of our own; nil if there is none of the name.
func Prelude(name string) []byte {
	code, err := prelude.ReadFile("prelude/" + name)
	if err != nil {
		return nil
	}
	return code
}
