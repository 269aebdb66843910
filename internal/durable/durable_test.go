package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWriteFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a", "b", "f")
	for range 2 { // the second finds the directories
		if err := MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, content := range []string{"first and long", "second"} {
		if err := WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != content {
			t.Errorf("got %q (%v), want %q", got, err, content)
		}
	}
	if fi, err := os.Stat(name); err != nil || fi.Mode() != 0o600 {
		t.Errorf("mode %v (%v)", fi.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(name)); err != nil || len(entries) != 1 {
		t.Errorf("left %v (%v)", entries, err)
	}
	if err := WriteFile(filepath.Dir(name), nil, 0o600); err == nil {
		t.Error("a directory was replaced by a file")
	}
	if _, err := os.Stat(filepath.Dir(name) + ".new"); err == nil {
		t.Error("a file is left of what failed")
	}
	if err := MkdirAll(filepath.Join(name, "d"), 0o700); err == nil {
		t.Error("a directory was made in a file")
	}
}
