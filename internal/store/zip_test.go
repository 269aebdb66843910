package store

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

const couldNotUnzip = "Could not unzip uploaded file. Please check your file, then try to upload again."

// unpackAll unpacks a zip file beside a directory that nothing may touch.
func unpackAll(t testing.TB, content []byte) (dir string, err error) {
	t.Helper()
	base := t.TempDir()
	outside := filepath.Join(base, "outside")
	dir = filepath.Join(base, "package")
	for _, d := range []string{outside, dir} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = unpackZip(t.Context(), bytes.NewReader(content), int64(len(content)), dir)
	if got, err := os.ReadFile(secret); err != nil || string(got) != "secret" {
		t.Errorf("a file outside is now %q, %v", got, err)
	}
	for d, want := range map[string]int{base: 2, outside: 1} {
		if entries, err := os.ReadDir(d); err != nil || len(entries) != want {
			t.Errorf("%s now holds %v, %v", d, entries, err)
		}
	}
	return dir, err
}

// tree lists a directory: mode and content or target of each entry by name.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	got := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name) // name is below dir
		switch {
		case fi.IsDir():
			got[rel] = fi.Mode().String()
		case fi.Mode().Type() == fs.ModeSymlink:
			target, err := os.Readlink(name)
			got[rel] = "-> " + target
			return err
		default:
			content, err := os.ReadFile(name)
			got[rel] = fi.Mode().String() + " " + string(content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestUnpack(t *testing.T) {
	const link = fs.ModeSymlink | 0o777
	for _, tt := range []struct {
		name  string
		files []file
		want  map[string]string
	}{
		{"modes", []file{
			{"run", "1", 0o700}, {"plain", "2", 0o600}, {"other", "3", 0o001}, {"root", "4", fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky | 0o777},
			{"closed/", "", fs.ModeDir}, {"closed/in", "5", 0o222},
		}, map[string]string{
			"run": "-rwxr-xr-x 1", "plain": "-rw-r--r-- 2", "other": "-rwxr-xr-x 3", "root": "-rwxr-xr-x 4",
			"closed": "drwxr-xr-x", "closed/in": "-rw-r--r-- 5",
		}},
		{"names", []file{
			{"./a", "1", 0}, {"b//c", "2", 0}, {"./", "", fs.ModeDir | 0o755}, {"d\\e", "3", 0}, {"f/g/h/", "", fs.ModeDir | 0o755},
			{"ü 雨\n", "4", 0}, {"..x", "5", 0}, {"m/__pycache__/a.cpython-313.pyc", "6", 0},
		}, map[string]string{
			"a": "-rw-r--r-- 1", "b": "drwxr-xr-x", "b/c": "-rw-r--r-- 2", "d\\e": "-rw-r--r-- 3",
			"f": "drwxr-xr-x", "f/g": "drwxr-xr-x", "f/g/h": "drwxr-xr-x", "ü 雨\n": "-rw-r--r-- 4", "..x": "-rw-r--r-- 5",
			"m": "drwxr-xr-x", "m/__pycache__": "drwxr-xr-x", "m/__pycache__/a.cpython-313.pyc": "-rw-r--r-- 6",
		}},
		{"the last duplicate counts", []file{
			{"a", "first", 0o755}, {"b/", "", fs.ModeDir | 0o755}, {"./a", "second", 0}, {"b/", "", fs.ModeDir | 0o755},
		}, map[string]string{"a": "-rw-r--r-- second", "b": "drwxr-xr-x"}},
		{"links", []file{
			{"lib/real.so.1", "so", 0}, {"lib/real.so", "real.so.1", link}, {"bin/up", "../lib/real.so", link}, {"dir", "lib", link},
			{"dangling", "lib/none", link}, {"loop", "loop", link}, {"self", ".", link}, {"deep/down/up", "../..", link},
			{"absolute", "/etc/passwd", link}, {"out", "../outside/secret", link}, {"bin/out", "../../outside", link}, {"empty", "", link},
		}, map[string]string{
			"lib": "drwxr-xr-x", "lib/real.so.1": "-rw-r--r-- so", "lib/real.so": "-> real.so.1", "bin": "drwxr-xr-x",
			"bin/up": "-> ../lib/real.so", "dir": "-> lib", "dangling": "-> lib/none", "self": "-> .",
			"deep": "drwxr-xr-x", "deep/down": "drwxr-xr-x", "deep/down/up": "-> ../..",
		}},
		// Each link stays within by its looks, but the second goes up from
		// where the first leads.
		{"links out by way of links", []file{
			{"a/b/c/top", "../../..", link}, {"escape", "a/b/c/top/../outside/secret", link}, {"a/b/escape", "c/top/../../b", link},
		}, map[string]string{
			"a": "drwxr-xr-x", "a/b": "drwxr-xr-x", "a/b/c": "drwxr-xr-x", "a/b/c/top": "-> ../../..",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			content := zipOf(t, tt.files...)
			if err := CheckPackage(bytes.NewReader(content), int64(len(content))); err != nil {
				t.Errorf("CheckPackage: %v", err)
			}
			dir, err := unpackAll(t, content)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tree(t, dir)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnpackKeepsTimes(t *testing.T) {
	dir, err := unpackAll(t, zipOf(t, file{name: "d/"}, file{name: "d/f", content: "x"}))
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	for _, name := range []string{"d", "d/f"} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !fi.ModTime().Equal(want) {
			t.Errorf("%s has %v, %v, want %v", name, fi.ModTime(), err, want)
		}
	}
}

// header is an entry that is written as it is, sizes and checksum included.
type header struct {
	zip.FileHeader
	raw []byte
}

func rawZip(t testing.TB, headers ...header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, h := range headers {
		e, err := w.CreateRaw(&h.FileHeader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write(h.raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What CheckPackage refuses does not unpack either, and the other way round.
func TestBadZips(t *testing.T) {
	names := func(names ...string) []byte {
		var files []file
		for _, name := range names {
			files = append(files, file{name: name, content: "x"})
		}
		return zipOf(t, files...)
	}
	raw := func(h zip.FileHeader, content string) []byte {
		h.Name, h.CompressedSize64 = "f", uint64(len(content))
		return rawZip(t, header{h, []byte(content)})
	}
	good := zipOf(t, file{name: "app.py", content: strings.Repeat("incompressible? no", 100)})
	data := bytes.Index(good, []byte("app.py")) + len("app.py")
	damaged := bytes.Clone(good)
	damaged[data+10] ^= 0xff
	const tooLarge = "Unzipped size must be smaller than 262144000 bytes"
	for _, tt := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"nothing", nil, couldNotUnzip},
		{"text", []byte("def handler(event, context): pass"), couldNotUnzip},
		{"empty", zipOf(t), "Uploaded file must be a non-empty zip"},
		{"cut off", good[:len(good)-10], couldNotUnzip},
		{"damaged content", damaged, couldNotUnzip},
		{"absolute", names("/etc/passwd"), couldNotUnzip},
		{"parent", names("../outside/secret"), couldNotUnzip},
		{"parent within", names("a/../../outside/secret"), couldNotUnzip},
		{"harmless parent", names("a/../b"), couldNotUnzip},
		{"only a parent", names(".."), couldNotUnzip},
		{"NUL", names("a\x00b"), couldNotUnzip},
		{"long name", names(strings.Repeat("x", 256)), couldNotUnzip},
		{"long path", names(strings.Repeat("x/", maxPath/2) + "y"), couldNotUnzip},
		{"deep path", names(strings.Repeat("x/", maxDepth+1) + "y"), couldNotUnzip},
		{"file as directory", names("a", "a/b"), couldNotUnzip},
		{"directory as file", names("a/b", "a"), couldNotUnzip},
		{"device", zipOf(t, file{"null", "", fs.ModeDevice | fs.ModeCharDevice | 0o666}), couldNotUnzip},
		{"fifo", zipOf(t, file{"fifo", "", fs.ModeNamedPipe | 0o666}), couldNotUnzip},
		{"socket", zipOf(t, file{"socket", "", fs.ModeSocket | 0o666}), couldNotUnzip},
		{"link as directory", zipOf(t, file{"a", ".", fs.ModeSymlink | 0o777}, file{"a/b", "x", 0}), couldNotUnzip},
		{"long link", zipOf(t, file{"l", strings.Repeat("x", 4096), fs.ModeSymlink | 0o777}), couldNotUnzip},
		{"encrypted", raw(zip.FileHeader{Flags: 1, UncompressedSize64: 1}, "x"), couldNotUnzip},
		{"bzip2", raw(zip.FileHeader{Method: 12, UncompressedSize64: 1}, "x"), couldNotUnzip},
		{"wrong checksum", raw(zip.FileHeader{CRC32: 1, UncompressedSize64: 1}, "x"), couldNotUnzip},
		{"shorter than it says", raw(zip.FileHeader{UncompressedSize64: 2, CRC32: 0x8cdc1683}, "x"), couldNotUnzip},
		{"says it is huge", raw(zip.FileHeader{UncompressedSize64: 1 << 63}, "x"), tooLarge},
		{"says it is the limit", raw(zip.FileHeader{UncompressedSize64: maxUnpacked}, "x"), tooLarge},
		{"together too large", rawZip(t,
			header{zip.FileHeader{Name: "a", UncompressedSize64: maxUnpacked / 2}, nil},
			header{zip.FileHeader{Name: "b", UncompressedSize64: maxUnpacked / 2}, nil}), tooLarge},
		{"duplicates together too large", rawZip(t,
			header{zip.FileHeader{Name: "a", UncompressedSize64: maxUnpacked / 2}, nil},
			header{zip.FileHeader{Name: "a", UncompressedSize64: maxUnpacked / 2}, nil}), tooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckPackage(bytes.NewReader(tt.content), int64(len(tt.content)))
			wantError(t, err, millicent.CodeInvalid, tt.want)
			var bad *zipError
			if _, err := unpackAll(t, tt.content); !errors.As(err, &bad) {
				t.Errorf("unpacking: got %v", err)
			}
		})
	}
}

// Content that is more than the directory says is not read to its end.
func TestZipBomb(t *testing.T) {
	bomb := zipOf(t, file{name: "zeros", content: string(make([]byte, 8<<20))})
	// Claim one byte, in the directory and in the descriptor after the data.
	size := binary.LittleEndian.AppendUint32(nil, 8<<20)
	claimed := bytes.ReplaceAll(bomb, size, []byte{1, 0, 0, 0})
	if bytes.Equal(claimed, bomb) {
		t.Fatal("the size is not in the zip file")
	}
	err := CheckPackage(bytes.NewReader(claimed), int64(len(claimed)))
	wantError(t, err, millicent.CodeInvalid, couldNotUnzip)
	dir, err := unpackAll(t, claimed)
	if err == nil {
		t.Error("it unpacked")
	}
	if fi, err := os.Stat(filepath.Join(dir, "zeros")); err == nil && fi.Size() > 64<<10 {
		t.Errorf("%d bytes were written", fi.Size())
	}
}

func TestTooManyEntries(t *testing.T) {
	many := func(n int, name string) []byte {
		headers := make([]header, n)
		for i := range headers {
			headers[i] = header{FileHeader: zip.FileHeader{Name: fmt.Sprintf(name, i)}}
		}
		return rawZip(t, headers...)
	}
	for name, content := range map[string][]byte{
		"entries":     many(maxEntries+1, "%d"),
		"directory":   many(10_000, strings.Repeat("long/", 330)+"%d"),
		"directories": many(2_000, "%d/"+strings.Repeat("d/", 100)+"f"),
	} {
		err := CheckPackage(bytes.NewReader(content), int64(len(content)))
		if err == nil {
			t.Errorf("%s: passed", name)
			continue
		}
		wantError(t, err, millicent.CodeInvalid, couldNotUnzip)
	}
	content := many(10_000, "%d")
	if err := CheckPackage(bytes.NewReader(content), int64(len(content))); err != nil {
		t.Errorf("10,000 entries: %v", err)
	}
}

func TestUnpackEndsWithContext(t *testing.T) {
	js := newJetStream(t)
	s, err := Open(t.Context(), js, Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	p := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"}))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PackageDir(t.Context(), p); err == nil {
		t.Error("unpacked after Close")
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(zipOf(f, file{"a/b", "x", 0o755}, file{"l", "a", fs.ModeSymlink | 0o777}, file{"d/", "", fs.ModeDir | 0o755}))
	f.Add(zipOf(f, file{"../x", "x", 0}, file{"/y", "y", 0}))
	f.Add(zipOf(f, file{"a/b/c/top", "../../..", fs.ModeSymlink | 0o777}, file{"e", "a/b/c/top/../outside/secret", fs.ModeSymlink | 0o777}))
	f.Add(zipOf(f, file{"a", "1", 0}, file{"a", "2", 0}, file{"a/b", "3", 0}))
	f.Fuzz(func(t *testing.T, content []byte) {
		if a, err := readArchive(bytes.NewReader(content), int64(len(content))); err == nil && a.size > 1<<20 {
			t.Skip("slow")
		}
		checked := CheckPackage(bytes.NewReader(content), int64(len(content)))
		dir, err := unpackAll(t, content)
		if (checked == nil) != (err == nil) {
			t.Fatalf("CheckPackage says %v, unpacking %v", checked, err)
		}
		for name, what := range tree(t, dir) {
			if !strings.HasPrefix(what, "-> ") {
				continue
			}
			real, err := filepath.EvalSymlinks(filepath.Join(dir, name))
			if err != nil {
				continue // dangling
			}
			if rel, err := filepath.Rel(dir, real); err != nil || !filepath.IsLocal(rel) {
				t.Errorf("link %q leads to %q", name, real)
			}
		}
	})
}

func TestSortedDirectories(t *testing.T) {
	a, err := readArchive(func() (*bytes.Reader, int64) {
		b := zipOf(t, file{name: "z/y/"}, file{name: "z/"}, file{name: "f2"}, file{name: "a/"}, file{name: "f1"})
		return bytes.NewReader(b), int64(len(b))
	}())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range slices.Concat(a.dirs, a.files) {
		got = append(got, e.name)
	}
	if diff := cmp.Diff([]string{"a", "z", "z/y", "f2", "f1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
