package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestReproducible compares the committed files with what the generator
// writes, byte for byte.
func TestReproducible(t *testing.T) {
	m, err := readModel(filepath.Join("..", "testdata", "lambda-service-2.json"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate(m)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes: run go generate", name)
		}
		if lines := bytes.Count(want, []byte("\n")); lines > 500 {
			t.Errorf("%s has %d lines", name, lines)
		}
	}
	committed, err := filepath.Glob(filepath.Join("..", "*_gen.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range committed {
		if files[filepath.Base(path)] == nil {
			t.Errorf("%s is not written by the generator any more", path)
		}
	}
}
