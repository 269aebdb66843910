package bootstrap

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// LayOut writes the programs below dir, which may be there. What is there of
// the same names is replaced.
func LayOut(dir string) error {
	err := fs.WalkDir(Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		data, err := Files.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	})
	if err != nil {
		return err
	}
	program, err := nodeProgram()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "node", "program.js"), program, 0o644)
}

// apart are the files of the Node.js bootstrap that are not of its program.
var apart = []string{"bootstrap.cjs", "keep.cjs", "compile.cjs", "example-commonjs.cjs"}

// nodeProgram puts the modules of the Node.js bootstrap together: an
// expression that gives a function, which bootstrap.cjs calls. A module runs
// when it is first required, as it would by itself.
func nodeProgram() ([]byte, error) {
	modules, err := fs.Glob(Files, "node/*.cjs")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("(function (load, HERE, importModule) { 'use strict';\nconst modules = {\n")
	for _, name := range modules {
		if slices.Contains(apart, path.Base(name)) {
			continue
		}
		text, err := Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "'./%s'(module) {\n%s},\n", path.Base(name), text)
	}
	b.WriteString(`};
const loaded = new Map();
function require(name) {
  if (!name.startsWith('./')) return load(name);
  let module = loaded.get(name);
  if (module === undefined) {
    module = { exports: {} };
    loaded.set(name, module);
    modules[name](module);
  }
  return module.exports;
}
require('./main.cjs');
})
`)
	return b.Bytes(), nil
}
