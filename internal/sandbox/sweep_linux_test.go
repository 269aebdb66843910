package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// owning is a server that makes three sandboxes, one of them frozen, says so,
// and waits to be killed.
func owning(name, dir string) error {
	h, err := Open(Config{Name: name, Dir: dir})
	if err != nil {
		return err
	}
	for i := range 3 {
		s, err := h.New(context.Background(), Spec{Tmp: 8 * mib, Memory: 64 * mib})
		if err != nil {
			return err
		}
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		script := "echo x >/tmp/x; sleep 1000 & echo ready; exec sleep 1000"
		if _, err = s.Start(Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Stdout: w}); err != nil {
			return err
		}
		if _, err := r.Read(make([]byte, 10)); err != nil {
			return err
		}
		if i == 2 {
			if err := s.Freeze(context.Background()); err != nil {
				return err
			}
		}
	}
	fmt.Println("ready")
	time.Sleep(time.Minute) // killed long before
	return nil
}

// own starts a server that owns sandboxes, in a process of its own.
func own(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "own", name, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		cmd.Process.Kill()
		t.Fatalf("the server said %q, %v", line, err)
	}
	return cmd
}

// TestSweep kills a server that owns sandboxes and opens its Host again.
func TestSweep(t *testing.T) {
	requireRoot(t)
	name, dir := fmt.Sprintf("test-sweep-%d", os.Getpid()), t.TempDir()
	cmd := own(t, name, dir)
	groups, err := openCgroups(name)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := groups.leftovers(); err != nil || len(left) != 3 {
		t.Errorf("the server has %d groups, %v; want 3", len(left), err)
	}
	children := descendants(t, cmd.Process.Pid)
	if len(children) < 3*3 {
		t.Errorf("the server has %d processes", len(children))
	}
	if _, err := Open(Config{Name: name, Dir: dir}); err == nil {
		t.Error("a second server opened the same directory")
	}
	if _, err := Open(Config{Name: name, Dir: t.TempDir()}); err == nil {
		t.Error("a second server of the same name opened")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if err := os.WriteFile(filepath.Join(dir, imagePrefix+"123"), []byte("x"), 0o600); err != nil {
		t.Fatal(err) // as if killed between making and unlinking
	}

	h, err := Open(Config{Name: name, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	left, err := h.groups.leftovers()
	if err != nil || len(left) != 0 {
		t.Errorf("left of the killed server: %d groups, %v", len(left), err)
	}
	if images, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(images) != 0 {
		t.Errorf("left of the killed server: %v, %v", images, err)
	}
	for _, pid := range children {
		if alive(pid) {
			t.Errorf("process %d of the killed server is left", pid)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for range 200 { // the devices of the killed server's disks end by themselves
		if n := measureLoops(t, dir); n == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a loop device is left")
}

// descendants lists a process's, by /proc.
func descendants(t *testing.T, pid int) (all []int) {
	t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that has ended
		}
		for _, f := range strings.Fields(string(b)) {
			var child int
			if _, err := fmt.Sscan(f, &child); err != nil {
				t.Fatal(err)
			}
			all = append(append(all, child), descendants(t, child)...)
		}
	}
	return all
}

// alive reports whether a process is there and no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z") && syscall.Kill(pid, 0) == nil
}

// TestServerEnds kills a server and sees its sandboxes end without anybody's
// help, the frozen one too where pid 1 is not.
func TestServerEnds(t *testing.T) {
	requireRoot(t)
	name, dir := fmt.Sprintf("test-ends-%d", os.Getpid()), t.TempDir()
	cmd := own(t, name, dir)
	children := descendants(t, cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	left := 0
	for range 500 {
		left = 0
		for _, pid := range children {
			if alive(pid) {
				left++
			}
		}
		if left == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if left > 0 {
		t.Errorf("%d of %d processes are left", left, len(children))
	}
	h, err := Open(Config{Name: name, Dir: dir}) // sweeps what it was in
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}
