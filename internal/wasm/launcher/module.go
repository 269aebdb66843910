package launcher

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/wasm/module"
)

// names are what a package's module is called where the handler names no file.
var names = []string{"bootstrap.wasm", "main.wasm", "bootstrap"}

// maxEntries is how many files of a package's first level are looked at.
const maxEntries = 10_000

// FindModule returns which file of a package is its module: the one that the
// handler names, with or without .wasm; else one of the names that are usual;
// else the only module on the package's first level.
func FindModule(dir, handler string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("open a package: %w", err)
	}
	defer root.Close()
	if handler = path.Clean("/" + handler)[1:]; handler != "" {
		for _, name := range []string{handler, handler + ".wasm"} {
			if isModule(root, name) {
				return name, nil
			}
		}
	}
	for _, name := range names {
		if isModule(root, name) {
			return name, nil
		}
	}
	return only(root)
}

// only returns the only module that is there.
func only(root *os.Root) (string, error) {
	d, err := root.Open(".")
	if err != nil {
		return "", fmt.Errorf("open a package: %w", err)
	}
	defer d.Close()
	entries, err := d.ReadDir(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("open a package: %w", err)
	}
	var found []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".wasm") && isModule(root, e.Name()) {
			found = append(found, e.Name())
		}
	}
	switch len(found) {
	case 0:
		return "", errors.New("the package has no WebAssembly module: neither the handler names one, nor is there a bootstrap.wasm, a main.wasm, or any other")
	case 1:
		return found[0], nil
	}
	slices.Sort(found)
	return "", fmt.Errorf("the package has %d WebAssembly modules, %s and others: the handler must name one of them", len(found), found[0])
}

// IsModule reports whether a file of a package is a WebAssembly module.
func IsModule(dir, name string) bool {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	return isModule(root, name)
}

func isModule(root *os.Root, name string) bool {
	f, err := root.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	var head [8]byte
	_, err = io.ReadFull(f, head[:])
	return err == nil && module.IsModule(head[:])
}

// environ returns the variables that a version's code finds: defaults that the
// version's own may override, and what is reserved. What differs between its
// environments and invocations comes with each request.
func environ(kind lifecycle.Initialization, v *millicent.Version, region string) []string {
	env := map[string]string{"LANG": "en_US.UTF-8", "TZ": ":UTC", "PWD": lifecycle.TaskRoot}
	maps.Copy(env, v.Environment)
	for _, name := range lifecycle.ReservedNames() {
		delete(env, name)
	}
	maps.Copy(env, lifecycle.Variables(kind, v, region))
	env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + v.Runtime
	return lifecycle.List(env)
}
