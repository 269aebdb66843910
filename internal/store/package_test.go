package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func TestPackages(t *testing.T) {
	js, dir := newJetStream(t), t.TempDir()
	s := mustOpen(t, js, Config{Dir: dir, Node: "a"})
	content := zipOf(t, file{name: "app.py", content: "x = 1"})
	p := putZip(t, s, content)
	if p.Size != int64(len(content)) || !validDigest(p.SHA256) {
		t.Errorf("stored as %v", p)
	}
	if again := putZip(t, s, content); again != p {
		t.Errorf("the same content is %v, then %v", p, again)
	}
	r, err := s.OpenPackage(p)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
		t.Errorf("read back %d bytes, %v", len(got), err)
	}
	held := s.packages.records[p.SHA256]
	if _, ok := held.Holders["a"]; held.Size != p.Size || len(held.Holders) != 1 || !ok {
		t.Errorf("record says %+v", held)
	}
	fi, err := os.Stat(s.packages.dirs.zip(p))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", fi.Mode(), err)
	}
}

func TestPutPackageRefuses(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	if _, err := s.PutPackage(t.Context(), strings.NewReader("12345"), 5); err != nil {
		t.Errorf("of the limit's size: %v", err)
	}
	_, err := s.PutPackage(t.Context(), strings.NewReader("123456"), 5)
	wantError(t, err, "RequestEntityTooLargeException", "Zipped size must be smaller than 5 bytes")
	broken := errors.New("connection lost")
	_, err = s.PutPackage(t.Context(), io.MultiReader(strings.NewReader("12"), iotest.ErrReader(broken)), 5)
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
	if left, err := os.ReadDir(s.packages.dirs.tmp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOpenPackageRefuses(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	for _, digest := range []string{"", "../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("a", 64)} {
		if _, err := s.OpenPackage(millicent.Package{SHA256: digest}); millicent.ErrorCode(err) != millicent.CodeNotFound {
			t.Errorf("%q: %v", digest, err)
		}
		if _, err := s.PackageDir(t.Context(), millicent.Package{SHA256: digest}); err == nil {
			t.Errorf("%q has a directory", digest)
		}
	}
}

func TestPackageDir(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	p := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"}, file{name: "lib/a.py"}))
	var wg sync.WaitGroup
	dirs := make([]string, 8)
	for i := range dirs {
		wg.Go(func() {
			var err error
			if dirs[i], err = s.PackageDir(t.Context(), p); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, dir := range dirs {
		if dir != dirs[0] {
			t.Errorf("directories %q and %q", dirs[0], dir)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dirs[0], "app.py")); err != nil || string(got) != "x = 1" {
		t.Errorf("app.py: %q, %v", got, err)
	}
	if left, err := os.ReadDir(s.packages.dirs.tmp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	before, err := os.Stat(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PackageDir(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(dirs[0]); err != nil || !os.SameFile(before, after) {
		t.Errorf("unpacked twice: %v", err)
	}
	// A cache that was thrown away is made anew.
	if err := os.RemoveAll(dirs[0]); err != nil {
		t.Fatal(err)
	}
	if dir, err := s.PackageDir(t.Context(), p); err != nil || dir != dirs[0] {
		t.Errorf("after removal: %q, %v", dir, err)
	}
}

func TestPackageDirOfDamagedFile(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	content := zipOf(t, file{name: "app.py", content: "x = 1"})
	p := putZip(t, s, content)
	name := s.packages.dirs.zip(p)
	for _, damaged := range [][]byte{nil, content[:len(content)-1], append(bytes.Clone(content), 0), bytes.Replace(content, []byte("app"), []byte("bad"), 2)} {
		if err := os.WriteFile(name, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := s.PackageDir(t.Context(), p)
		wantError(t, err, millicent.CodeInternal, "The stored code package "+p.SHA256+" is damaged. Deploy the function again.")
	}
	if putZip(t, s, content) != p { // deploys it again
		t.Error("the content has another name")
	}
	if _, err := s.PackageDir(t.Context(), p); err != nil {
		t.Errorf("after deploying again: %v", err)
	}
	missing := millicent.Package{SHA256: strings.Repeat("0", 64)}
	_, err := s.PackageDir(t.Context(), missing)
	wantError(t, err, millicent.CodeNotFound, "The code package "+missing.SHA256+" is not on this node.")
	bad := putZip(t, s, []byte("no zip"))
	if _, err := s.PackageDir(t.Context(), bad); millicent.ErrorCode(err) != codeInvalidZip {
		t.Errorf("no zip file: %v", err)
	}
}

// A caller that gives up does not end the unpacking that others wait for.
func TestPackageDirOutlivesCaller(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	p := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"}))
	for range activators {
		s.packages.slots <- struct{}{} // unpacking has to wait
	}
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := s.PackageDir(ctx, p)
		gaveUp <- err
	}()
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-s.packages.slots
	if _, err := s.PackageDir(t.Context(), p); err != nil {
		t.Errorf("the other caller: %v", err)
	}
	for range activators - 1 {
		<-s.packages.slots
	}
}

func TestSweep(t *testing.T) {
	js, dir := newJetStream(t), t.TempDir()
	now := time.Now()
	s := mustOpen(t, js, Config{Dir: dir, Now: func() time.Time { return now }})
	put := func(content string) millicent.Package {
		return putZip(t, s, zipOf(t, file{name: "app.py", content: content}))
	}
	draft, published, running, useless := put("draft"), put("published"), put("running"), put("useless")
	mustCreate(t, s, newFunction("hello", published))
	awaitSettled(t, s, "hello", millicent.Latest)
	mustPublish(t, s, "hello")
	mustUpdate(t, s, "hello", func(f *millicent.Function) { f.Draft.Package = draft })
	for _, p := range []millicent.Package{running, useless} {
		if _, err := s.PackageDir(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	inUse := func(sha string) bool { return sha == running.SHA256 }
	sweep := func(want int) {
		t.Helper()
		if n, err := s.Sweep(t.Context(), inUse); err != nil || n != want {
			t.Errorf("swept %d, %v, want %d", n, err, want)
		}
	}
	sweep(0) // all are young
	now = now.Add(50 * time.Minute)
	if _, err := s.PackageDir(t.Context(), useless); err != nil {
		t.Fatal(err)
	}
	now = now.Add(50 * time.Minute)
	sweep(0) // it was asked for within the hour
	now = now.Add(50 * time.Minute)
	sweep(1)
	for _, p := range []millicent.Package{draft, published, running} {
		if _, err := s.PackageDir(t.Context(), p); err != nil {
			t.Errorf("a package that is needed is gone: %v", err)
		}
	}
	for _, name := range []string{s.packages.dirs.zip(useless), s.packages.dirs.dir(useless)} {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	if _, ok := s.packages.records[useless.SHA256]; ok {
		t.Error("the record of the swept package is still there")
	}
	if put("useless") != useless {
		t.Error("the content has another name")
	}
	if _, err := s.PackageDir(t.Context(), useless); err != nil {
		t.Errorf("put again after the sweep: %v", err)
	}
}

// Sweeping takes this node off a package's holders, and leaves the others.
func TestSweepLeavesOtherHolders(t *testing.T) {
	js := newJetStream(t)
	later := func() time.Time { return time.Now().Add(2 * packageAge) }
	a, b := mustOpen(t, js, Config{Node: "a", Now: later}), mustOpen(t, js, Config{Node: "b"})
	content := zipOf(t, file{name: "app.py"})
	p := putZip(t, a, content)
	putZip(t, b, content)
	if n, err := a.Sweep(t.Context(), func(string) bool { return false }); err != nil || n != 1 {
		t.Fatalf("swept %d, %v", n, err)
	}
	var holders []string
	for node := range a.packages.records[p.SHA256].Holders {
		holders = append(holders, node)
	}
	if diff := cmp.Diff([]string{"b"}, holders); diff != "" {
		t.Errorf("holders (-want +got):\n%s", diff)
	}
}

// What was unpacked before the machine started last is not trusted, nor is
// what a killed process left half done.
func TestPackageDirectoryAfterRestart(t *testing.T) {
	js, dir := newJetStream(t), t.TempDir()
	s, err := Open(t.Context(), js, Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	p := putZip(t, s, zipOf(t, file{name: "app.py", content: "x = 1"}))
	unpacked, err := s.PackageDir(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	app := filepath.Join(unpacked, "app.py")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "tmp", "run-1", "unpack-1"), 0o700); err != nil {
		t.Fatal(err)
	}

	reopen := func() {
		t.Helper()
		s, err := Open(t.Context(), js, Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	reopen()
	if _, err := os.Stat(app); err != nil {
		t.Errorf("a restart of the server threw unpacked files away: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("left of earlier runs: %v, %v", left, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "unpacked", "boot"), []byte("another boot\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reopen()
	if _, err := os.Stat(app); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("files of another boot are still used: %v", err)
	}
	if got, err := mustOpen(t, js, Config{Dir: dir}).PackageDir(t.Context(), p); err != nil || got != unpacked {
		t.Errorf("unpacked again: %q, %v", got, err)
	}
}

func TestPackageDirectoryOfNewerFormat(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "format.json"), []byte(`{"format":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), newJetStream(t), Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "newer millicent") {
		t.Errorf("got %v", err)
	}
}
