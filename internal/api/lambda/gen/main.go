// Command gen writes the wire types, the constraint checks and the tables of
// package lambda from the service model of the Lambda API.
//
// The types and checks cover the operations that nouns.go lists; the table of
// operations and the table of exceptions cover the whole model, so that an
// operation that is not built yet is still known by its name. What AWS was
// recorded to answer differently from its own model is in recorded.go.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(".", filepath.Join("testdata", "lambda-service-2.json")); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run writes the generated files into dir.
func run(dir, modelPath string) error {
	m, err := readModel(modelPath)
	if err != nil {
		return err
	}
	files, err := generate(m)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the generated files by name.
func generate(m *model) (map[string][]byte, error) {
	sources := typeFiles(m)
	sources["shapes_gen.go"] = shapesFile(m)
	sources["inputs_gen.go"] = inputsFile(m)
	sources["operations_gen.go"] = operationsFile(m)
	sources["exceptions_gen.go"] = exceptionsFile(m)
	files := map[string][]byte{}
	for name, src := range sources {
		formatted, err := src.format()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = formatted
	}
	return files, nil
}
