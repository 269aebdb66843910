package powerloss

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mounted mounts a disk until the test ends or unmount is called.
func mounted(t *testing.T, d *Disk) (dir string, unmount func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: to mount")
	}
	dir = t.TempDir()
	m, err := d.Mount(dir)
	if err != nil {
		t.Fatal(err)
	}
	done := false
	unmount = func() {
		t.Helper()
		if done {
			return
		}
		done = true
		if err := m.Unmount(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(unmount)
	return dir, unmount
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func syncFile(t *testing.T, name string) {
	t.Helper()
	f, err := os.Open(name)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// What was synced is there after each of many cuts; what was not is lost by
// some of them, and what is left is what was there or what was written.
func TestCut(t *testing.T) {
	d := New(Config{Lenient: "lenient", Scratch: "scratch", Dir: t.TempDir()})
	dir, unmount := mounted(t, d)
	in := func(name string) string { return filepath.Join(dir, name) }
	old, latest := bytes.Repeat([]byte("a"), 3*pageSize), bytes.Repeat([]byte("b"), 5*pageSize)
	for _, name := range []string{"synced", "unsynced", "appended", "renamed", "removed"} {
		must(t, os.WriteFile(in(name), old, 0o600))
		syncFile(t, in(name))
	}
	must(t, os.MkdirAll(in("lenient/below"), 0o755))
	syncFile(t, dir)

	must(t, os.WriteFile(in("unsynced"), latest, 0o600))
	f, err := os.OpenFile(in("appended"), os.O_WRONLY|os.O_APPEND|unix.O_SYNC, 0)
	must(t, err)
	_, err = f.WriteString("more")
	must(t, err)
	must(t, f.Close())
	must(t, os.Rename(in("renamed"), in("renamed.new")))
	must(t, os.Remove(in("removed")))
	must(t, os.WriteFile(in("nameless"), latest, 0o600))
	syncFile(t, in("nameless"))
	must(t, os.WriteFile(in("lenient/below/named"), latest, 0o600))
	syncFile(t, in("lenient/below/named"))
	must(t, os.WriteFile(in("lenient/below/other"), latest, 0o600))
	must(t, os.Mkdir(in("scratch"), 0o755))
	must(t, os.WriteFile(in("scratch/f"), latest, 0o600))
	syncFile(t, in("scratch"))
	syncFile(t, in("scratch/f"))

	random := rand.New(rand.NewPCG(1, 2))
	lost := map[string]int{}
	const cuts = 40
	for range cuts {
		after, unmount := mounted(t, d.Cut(random))
		got := func(name string) string {
			b, err := os.ReadFile(filepath.Join(after, name))
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			return string(b)
		}
		if got("synced") != string(old) || got("appended") != string(old)+"more" {
			t.Error("what was synced is lost")
		}
		if got("lenient/below/named") != string(latest) {
			t.Error("a synced file below a lenient directory is lost")
		}
		if got("scratch/f") != "" {
			t.Error("what is to be lost was kept")
		}
		if rest := strings.Trim(got("unsynced"), "ab\x00"); rest != "" {
			t.Errorf("%q came from nowhere", rest)
		}
		if (got("renamed") == "") == (got("renamed.new") == "") {
			t.Error("a rename was done by half")
		}
		for name, want := range map[string]string{"unsynced": string(latest), "renamed.new": string(old), "removed": "",
			"nameless": string(latest), "lenient/below/other": string(latest)} {
			if got(name) != want {
				lost[name]++
			}
		}
		unmount()
	}
	for _, name := range []string{"unsynced", "renamed.new", "removed", "nameless", "lenient/below/other"} {
		if n := lost[name]; n == 0 || n == cuts {
			t.Errorf("%s was lost by %d of %d cuts", name, n, cuts)
		}
	}
	d.Fail()
	if _, err := os.ReadFile(in("synced")); err == nil {
		t.Error("a disk without power answers")
	}
	unmount()
}

// A cut between the halves of a rename leaves a file with two names: it is
// there as long as it has one of them.
func TestHalfOfARename(t *testing.T) {
	d := New(Config{})
	dir, _ := mounted(t, d)
	from, to := filepath.Join("from", "f"), filepath.Join("to", "f")
	for _, name := range []string{"from", "to"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(dir, from), []byte("content"), 0o600))
	syncFile(t, filepath.Join(dir, from))
	for _, name := range []string{"from", "."} {
		syncFile(t, filepath.Join(dir, name))
	}
	must(t, os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)))
	syncFile(t, filepath.Join(dir, "to"))
	halves := 0
	random := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		after, unmount := mounted(t, d.Cut(random))
		if err := os.Remove(filepath.Join(after, from)); err == nil {
			halves++
		}
		if got, err := os.ReadFile(filepath.Join(after, to)); err != nil || string(got) != "content" {
			t.Errorf("%q (%v)", got, err)
		}
		unmount()
	}
	if halves == 0 || halves == 20 {
		t.Errorf("%d of 20 cuts came between the halves", halves)
	}
}

// The disk is one on which files are made, cut short, extended and filled with
// holes.
func TestFiles(t *testing.T) {
	for _, below := range []string{".", "scratch"} {
		t.Run(below, func(t *testing.T) {
			dir, _ := mounted(t, New(Config{Scratch: "scratch", Dir: t.TempDir()}))
			must(t, os.MkdirAll(filepath.Join(dir, below), 0o700))
			testFiles(t, filepath.Join(dir, below))
		})
	}
}

func testFiles(t *testing.T, dir string) {
	name := filepath.Join(dir, "f")
	f, err := os.Create(name)
	must(t, err)
	want := make([]byte, 3*pageSize+10)
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		switch off := random.IntN(len(want)); random.IntN(4) {
		case 0:
			must(t, f.Truncate(int64(off)))
			clear(want[off:])
			must(t, f.Truncate(int64(len(want))))
		case 1:
			n := random.IntN(len(want) - off)
			if n > 0 {
				must(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(n)))
			}
			clear(want[off : off+n])
		default:
			n := random.IntN(len(want) - off)
			for i := range n {
				want[off+i] = byte(random.IntN(256))
			}
			_, err := f.WriteAt(want[off:off+n], int64(off))
			must(t, err)
		}
		must(t, f.Truncate(int64(len(want))))
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("other bytes than were written (%v)", err)
		}
	}
	must(t, f.Close())
	must(t, os.Symlink("f", filepath.Join(dir, "l")))
	must(t, os.MkdirAll(filepath.Join(dir, "d", "e"), 0o755))
	if err := os.Remove(filepath.Join(dir, "d")); err == nil {
		t.Error("a directory that is not empty was removed")
	}
	must(t, os.Rename(filepath.Join(dir, "l"), filepath.Join(dir, "d", "e", "l")))
	if target, err := os.Readlink(filepath.Join(dir, "d", "e", "l")); err != nil || target != "f" {
		t.Errorf("link to %q (%v)", target, err)
	}
	must(t, os.RemoveAll(filepath.Join(dir, "d")))
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v (%v)", entries, err)
	}
}
