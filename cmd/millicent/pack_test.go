package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// contents returns what a zip file holds: name to "mode content".
func contents(t *testing.T, pack []byte) map[string]string {
	t.Helper()
	zr, err := zip.NewReader(bytes.NewReader(pack), int64(len(pack)))
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	for _, f := range zr.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		out[f.Name] = f.Mode().String() + " " + string(content)
	}
	return out
}

func nobody(int64, int64) {}

func TestPackDir(t *testing.T) {
	dir := folder(t, map[string]string{
		"app.py": "a", "lib/x.py": "x", "lib/__pycache__/x.pyc": "", "lib/y.pyc": "", ".git/HEAD": "", ".venv/bin/python": "",
		"node_modules/a/index.js": "n", "node_modules/.cache/z": "", "empty/": "", "run.sh": "#!", "bootstrap": "#!", "sub/bootstrap": "", "notes.md": "", "keep.md": "k",
		"build/out": "", "sub/build/in": "b", ".DS_Store": "",
		ignoreFile: "# docs\n*.md\n!keep.md\n\n/build/\n",
	})
	if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link.py": "app.py", "linked": "lib"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	var last, total int64
	pack, err := packDir(dir, func(done, of int64) { last, total = done, of })
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"app.py": "-rw-r--r-- a", "link.py": "-rw-r--r-- a", "lib/x.py": "-rw-r--r-- x", "linked/x.py": "-rw-r--r-- x",
		"node_modules/a/index.js": "-rw-r--r-- n", "run.sh": "-rwxr-xr-x #!",
		"bootstrap": "-rwxr-xr-x #!", "sub/bootstrap": "-rw-r--r-- ", "keep.md": "-rw-r--r-- k", "sub/build/in": "-rw-r--r-- b",
	}
	if diff := cmp.Diff(want, contents(t, pack)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if last != total || total == 0 {
		t.Errorf("reported %d of %d at the end", last, total)
	}
}

func TestPackIsDeterministic(t *testing.T) {
	files := map[string]string{"app.py": strings.Repeat("x = 1\n", 1000), "a/b/c": "c", "a/b.txt": "b", "a-b": "-"}
	first, second := folder(t, files), folder(t, files)
	err := filepath.WalkDir(second, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(second, "app.py"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := packDir(first, nobody)
	if err != nil {
		t.Fatal(err)
	}
	b, err := packDir(second, nobody)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("the same files give different packages")
	}
	if err := os.WriteFile(filepath.Join(second, "a", "b", "c"), []byte("d"), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err = packDir(second, nobody); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a, b) {
		t.Error("different files give the same package")
	}
}

func TestPackRefuses(t *testing.T) {
	large := folder(t, map[string]string{"app.py": "", "model.bin": ""})
	if err := os.Truncate(filepath.Join(large, "model.bin"), maxUnzipped+1); err != nil {
		t.Fatal(err)
	}
	loop := folder(t, map[string]string{"a/app.py": ""})
	if err := os.Symlink("..", filepath.Join(loop, "a", "up")); err != nil {
		t.Fatal(err)
	}
	dangling := folder(t, map[string]string{"app.py": ""})
	if err := os.Symlink("nowhere", filepath.Join(dangling, "link")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ dir, want string }{
		{large, "model.bin (262.1 MB)"},
		{loop, "a/up links to a folder that holds it"},
		{dangling, "no such file"},
		{folder(t, map[string]string{".git/HEAD": ""}), "no files to deploy"},
		{folder(t, map[string]string{"a": "", ignoreFile: "\n[\n"}), "line 2: bad pattern"},
	} {
		if _, err := packDir(tt.dir, nobody); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want an error with %q", err, tt.want)
		}
	}
}

func TestIgnore(t *testing.T) {
	list, err := parseIgnore(strings.NewReader("*.log\n/top\ndir/\na/b\n**/deep/*.txt\nlogs/**\n!logs/keep\nx?z\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"a.log": true, "x/a.log": true, "a.logs": false,
		"top": true, "x/top": false,
		"dir/": true, "x/dir/": true, "dir": false,
		"a/b": true, "x/a/b": false,
		"deep/a.txt": true, "x/y/deep/a.txt": true, "deep/x/a.txt": false,
		"logs/1": true, "logs/a/2": true, "logs/keep": false,
		"xyz": true, "xz": false,
	} {
		name, isDir := strings.CutSuffix(name, "/")
		if got := list.ignores(name, isDir); got != want {
			t.Errorf("%s (folder %v): ignored %v, want %v", name, isDir, got, want)
		}
	}
}

func FuzzIgnore(f *testing.F) {
	f.Add("**/a\n!b/\n/c/**/d", "a/b/c")
	f.Fuzz(func(t *testing.T, rules, name string) {
		if len(rules) > 200 || len(name) > 100 {
			return // many ** are slow, and only hurt who wrote them
		}
		list, err := parseIgnore(strings.NewReader(rules))
		if err != nil {
			return
		}
		list.ignores(name, false)
	})
}

func TestBuildGo(t *testing.T) {
	dir := folder(t, map[string]string{
		"go.mod":  "module example.com/hello\n\ngo 1.21\n",
		"main.go": "package main\n\nfunc main() { println(\"hello\") }\n",
	})
	var output bytes.Buffer
	pack, err := buildGo(t.Context(), dir, &output)
	if err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	got := contents(t, pack)
	if len(got) != 1 || !strings.HasPrefix(got["bootstrap"], "-rwxr-xr-x \x7fELF") {
		t.Errorf("not an executable bootstrap alone: %d files", len(got))
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { nonsense }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := buildGo(t.Context(), dir, &output); err == nil || !strings.Contains(output.String(), "nonsense") {
		t.Errorf("a program that does not build: %v, output %q", err, &output)
	}
}
