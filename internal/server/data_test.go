package server

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMakeData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := makeData(dir); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := makeData(foreign); err == nil || !strings.Contains(err.Error(), "not a data directory") {
		t.Errorf("a directory of other files: %v", err)
	}
	if info, err := os.Stat(foreign); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("its mode was changed to %v", info.Mode())
	}
	file := filepath.Join(foreign, "thesis.txt")
	if err := makeData(file); err == nil {
		t.Error("a file as data directory is accepted")
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	first, err := loadSecret(dir)
	if err != nil || len(first) != secretSize {
		t.Fatalf("%d bytes, error %v", len(first), err)
	}
	again, err := loadSecret(dir)
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("the secret does not last: error %v", err)
	}
	other, err := loadSecret(t.TempDir())
	if err != nil || bytes.Equal(first, other) {
		t.Errorf("two directories have one secret, error %v", err)
	}
	name := filepath.Join(dir, "secret")
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if err := os.WriteFile(name, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadSecret(dir); err == nil {
		t.Error("a cut secret is accepted")
	}
}

func TestHostName(t *testing.T) {
	a, b := hostName("/var/lib/a"), hostName("/var/lib/b")
	if a == b || a != hostName("/var/lib/a") || len(a) > 24 {
		t.Errorf("names %q and %q", a, b)
	}
}
