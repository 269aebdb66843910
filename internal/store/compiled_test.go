package store

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/millicent-run/millicent"
)

func put(t *testing.T, s *Store, p millicent.Package, slot, identity, content string) {
	t.Helper()
	if err := s.PutCompiled(p, slot, identity, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

// holds checks what a slot holds for an identity; nothing when want is empty.
func holds(t *testing.T, s *Store, p millicent.Package, slot, identity, want string) {
	t.Helper()
	file := s.Compiled(p, slot, identity)
	if want == "" {
		if file != "" {
			t.Errorf("%s %s: there is %s", slot, identity, file)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("%s %s: %q, %v; want %q", slot, identity, got, err, want)
	}
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("%s: the directory holds %v, %v", slot, entries, err)
	}
}

func TestCompiled(t *testing.T) {
	js, dir := newJetStream(t), t.TempDir()
	s := mustOpen(t, js, Config{Dir: dir})
	p := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"}))
	holds(t, s, p, "a", "one", "")
	put(t, s, p, "a", "one", "by one")
	put(t, s, p, "b", "one", "another slot")
	holds(t, s, p, "a", "one", "by one")
	holds(t, s, p, "b", "one", "another slot")
	holds(t, s, p, "a", "two", "") // an interpreter of another version

	put(t, s, p, "a", "two", "by two")
	holds(t, s, p, "a", "two", "by two")
	holds(t, s, p, "a", "one", "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, js, Config{Dir: dir})
	holds(t, s, p, "a", "two", "by two")
	if err := s.DropCompiled(p, "a"); err != nil {
		t.Fatal(err)
	}
	holds(t, s, p, "a", "two", "")
	holds(t, s, p, "b", "one", "another slot")
}

// What is not as it was put is not given out.
func TestCompiledDamage(t *testing.T) {
	overwrite := func(content string) func(file string) error {
		return func(file string) error { return os.WriteFile(file, []byte(content), 0o644) }
	}
	for name, damage := range map[string]func(file string) error{
		"other bytes": overwrite("by onE"),
		"cut off":     overwrite("by"),
		"empty":       overwrite(""),
		"more files":  func(file string) error { return os.WriteFile(file+"x", nil, 0o644) },
		"no digest":   func(file string) error { return os.Rename(file, filepath.Join(filepath.Dir(file), "one")) },
		"a link": func(file string) error {
			return errors.Join(os.Rename(file, file+".away"), os.Rename(file+".away", filepath.Join(filepath.Dir(file), "..", "away")),
				os.Symlink(filepath.Join("..", "away"), file))
		},
	} {
		t.Run(name, func(t *testing.T) {
			js, dir := newJetStream(t), t.TempDir()
			s := mustOpen(t, js, Config{Dir: dir})
			p := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"}))
			put(t, s, p, "a", "one", "by one")
			if err := errors.Join(damage(s.Compiled(p, "a", "one")), s.Close()); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, js, Config{Dir: dir})
			holds(t, s, p, "a", "one", "")
			put(t, s, p, "a", "one", "anew")
			holds(t, s, p, "a", "one", "anew")
		})
	}
}

func TestPutCompiledRefuses(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	p := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"}))
	put(t, s, p, "a", "one", "as it was")
	broken := errors.New("the compiler failed")
	unknown := millicent.Package{SHA256: strings.Repeat("a", 64)}
	for _, tt := range []struct {
		name     string
		pkg      millicent.Package
		slot, id string
		content  io.Reader
	}{
		{"broken", p, "a", "one", io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken))},
		{"too large", p, "a", "one", io.LimitReader(zeros{}, maxCompiled+1)},
		{"slot that leads out", p, "..", "one", strings.NewReader("x")},
		{"identity that leads out", p, "a", "../one", strings.NewReader("x")},
		{"no digest", millicent.Package{SHA256: "../x"}, "a", "one", strings.NewReader("x")},
		{"no package", unknown, "a", "one", strings.NewReader("x")},
	} {
		if err := s.PutCompiled(tt.pkg, tt.slot, tt.id, tt.content); err == nil {
			t.Errorf("%s: taken", tt.name)
		}
	}
	holds(t, s, p, "a", "one", "as it was")
	holds(t, s, unknown, "a", "one", "")
	if left, err := os.ReadDir(s.packages.dirs.tmp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// What was compiled goes with its package, also when a crash came between.
func TestCompiledGoesWithItsPackage(t *testing.T) {
	js, dir := newJetStream(t), t.TempDir()
	s := mustOpen(t, js, Config{Dir: dir})
	p := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"}))
	put(t, s, p, "a", "one", "content")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, js, Config{Dir: dir, Now: func() time.Time { return time.Now().Add(2 * packageAge) }})
	holds(t, s, p, "a", "one", "content")
	if n, err := s.Sweep(t.Context(), func(string) bool { return false }); err != nil || n != 1 {
		t.Fatalf("%d swept, %v", n, err)
	}
	holds(t, s, p, "a", "one", "")
	if entries, err := os.ReadDir(s.packages.dirs.compiled); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
	kept := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 2"}))
	put(t, s, kept, "a", "one", "kept")
	if err := errors.Join(
		os.CopyFS(s.packages.dirs.compiledDir(p), os.DirFS(s.packages.dirs.compiledDir(kept))),
		s.Close(),
	); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, js, Config{Dir: dir})
	s.packages.work.Wait() // leftovers are removed in the background
	if _, err := os.Stat(s.packages.dirs.compiledDir(p)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was compiled of a package that is gone is there: %v", err)
	}
	holds(t, s, kept, "a", "one", "kept")
}

// A server that is killed while it writes leaves nothing that is taken for
// compiled code.
func TestCompiledCutOff(t *testing.T) {
	js, dir := newJetStream(t), t.TempDir()
	s := mustOpen(t, js, Config{Dir: dir})
	p := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"}))
	killed := errors.New("killed")
	var during string
	err := s.PutCompiled(p, "a", "one", io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), readFunc(func([]byte) (int, error) {
		// What lies there now is what a kill would leave.
		during = filepath.Join(t.TempDir(), "packages")
		return 0, errors.Join(os.CopyFS(during, os.DirFS(dir)), killed)
	})))
	if !errors.Is(err, killed) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, js, Config{Dir: during})
	holds(t, s, p, "a", "one", "")
	s.packages.work.Wait()
	if runs, err := os.ReadDir(s.packages.dirs.tmps); err != nil || len(runs) != 1 {
		t.Errorf("left of the earlier run: %v, %v", runs, err)
	}
}

type readFunc func(b []byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }
