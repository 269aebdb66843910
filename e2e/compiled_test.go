package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// whole reports whether a file is what its name says.
func whole(file string) bool {
	data, err := os.ReadFile(file)
	sum := sha256.Sum256(data)
	return err == nil && strings.HasSuffix(file, "."+hex.EncodeToString(sum[:]))
}

// compiled waits until there are so many files of compiled code, all of them
// whole, and returns them.
func (s *server) compiled(n int) []string {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(s.data, "packages", "compiled", "*", "*", "*.*"))
		if err != nil {
			s.t.Fatal(err)
		}
		if len(files) == n && !slices.ContainsFunc(files, func(file string) bool { return !whole(file) }) {
			return files
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d files of compiled code, want %d: %v", len(files), n, files)
		}
	}
}

// TestCodeIsCompiledAhead: what is deployed is compiled without a call, cold
// starts use it, and neither kill -9 nor damage keeps them from answering.
func TestCodeIsCompiledAhead(t *testing.T) {
	s := up(t)
	fill := func(line string) string { return strings.Repeat(line+"\n", 4000) }
	for name, file := range map[string]string{
		"python/app.py": "def handler(event, context):\n    return 'answered'\n" + fill("X = [1, 2, 3]"),
		"node/index.js": "exports.handler = async () => 'answered';\n" + fill("exports.x = () => [1, 2, 3];"),
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
		s.mustCLI("deploy", filepath.Dir(path), "--no-url")
	}
	want := func(when string, compiled bool) {
		t.Helper()
		for _, name := range []string{"python", "node"} {
			id := s.request(name, `{}`)
			e, text := s.explained(id)
			if start := e.Delay.Start; start.Cause == "" || start.Compiled != compiled {
				t.Errorf("%s, %s: got %+v, want compiled %t\n%s", when, name, start, compiled, text)
			}
			if out := s.mustCLI("invoke", name); !strings.Contains(out, "answered") {
				t.Errorf("%s, %s: answered %s", when, name, out)
			}
		}
	}
	files := s.compiled(2)
	want("deployed", true)

	s.kill()
	s.start()
	want("after kill -9", true)

	s.kill()
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1] ^= 0x55
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.start()
	want("damaged", false)
	s.compiled(2)
	s.stop()
	s.start()
	want("made anew", true)
}
