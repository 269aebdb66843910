package sandbox

import "testing"

// TestOnlyUntouchedDisksServeAgain runs scripts in sandboxes and sees whose
// /tmp goes to the next one.
func TestOnlyUntouchedDisksServeAgain(t *testing.T) {
	h := openHost(t)
	if h.disks == nil {
		t.Skip("no loop devices")
	}
	for _, tt := range []struct {
		name, script string
		again        bool
	}{
		{"nothing done", "true", true},
		{"read", "ls -la /tmp /tmp/*; stat -f /tmp; test -w /tmp", true},
		{"a file", "echo x > /tmp/x", false},
		{"an empty file", ": > /tmp/x", false},
		{"a file that was removed", "echo x > /tmp/x && rm /tmp/x", false},
		{"a directory that was removed", "mkdir /tmp/x && rmdir /tmp/x", false},
		{"a file in a directory", "mkdir /tmp/x && touch /tmp/x/y && rm -r /tmp/x", false},
		{"a link that was removed", "ln -s x /tmp/x && rm /tmp/x", false},
		{"a touch", "touch /tmp", false},
		{"times set back", "touch /tmp/x && rm /tmp/x && ! touch -d '2 minutes ago' /tmp", false},
		{"a large file in the background", "(dd if=/dev/zero of=/tmp/x bs=1M count=4; sleep 100) >/dev/null 2>&1 & while ! test -e /tmp/x; do sleep 0.01; done", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSandbox(t, h, Spec{Tmp: 3 * mib})
			d := s.disk
			if got := sh(t, s, tt.script); got.Code != 0 && tt.name != "read" {
				t.Fatalf("got %+v", got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			next := newSandbox(t, h, Spec{Tmp: 3 * mib})
			if again := next.disk == d; again != tt.again {
				t.Errorf("serves again: %t", again)
			}
			if got := sh(t, next, "ls -A /tmp; stat -c '%a %U' /tmp"); got.out != "1777 root\n" {
				t.Errorf("in the next sandbox: %q", got.out)
			}
			if other := newSandbox(t, h, Spec{Tmp: 4 * mib}); other.disk == d {
				t.Error("serves as a disk of another size")
			}
		})
	}
}

// TestNamelessFilesOnDisk: a file that never had a name shows in the count of
// what is free as long as it is there, and is not there for the next.
func TestNamelessFilesOnDisk(t *testing.T) {
	h := openHost(t)
	if h.disks == nil {
		t.Skip("no loop devices")
	}
	s := newSandbox(t, h, Spec{Tmp: 3 * mib})
	got := run(t, s, "/usr/bin/python3", "-c", `
import os, subprocess
fd = os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
os.write(fd, b"x" * (1 << 20))
subprocess.Popen(["/bin/sleep", "1000"], pass_fds=[fd], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)`)
	if got.Code != 0 {
		t.Fatalf("got %+v", got)
	}
	if s.disk.untouched() {
		t.Error("untouched while a file is held")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	next := newSandbox(t, h, Spec{Tmp: 3 * mib})
	if !next.disk.untouched() {
		t.Error("the next sandbox has a disk that was written to")
	}
}

// TestStockIsBounded: a Host keeps so many unused disks and no more.
func TestStockIsBounded(t *testing.T) {
	h := openHost(t)
	if h.disks == nil {
		t.Skip("no loop devices")
	}
	var all []*disk
	for range maxStock + 2 {
		d, err := h.disks.make(t.Context(), mib)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	for _, d := range all {
		if err := h.disks.give(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if n := measureLoops(t, h.cfg.Dir); n != maxStock {
		t.Errorf("%d disks are kept, want %d", n, maxStock)
	}
}

// TestStockIsGivenUp moves the clock of a stocked disk.
func TestStockIsGivenUp(t *testing.T) {
	h := openHost(t)
	if h.disks == nil {
		t.Skip("no loop devices")
	}
	old, err := h.disks.make(t.Context(), mib)
	if err != nil {
		t.Fatal(err)
	}
	recent, err := h.disks.make(t.Context(), mib)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*disk{old, recent} {
		if !h.disks.keep(d) {
			t.Fatal("an untouched disk is not kept")
		}
	}
	h.disks.mu.Lock()
	for _, d := range h.disks.stock {
		if d != recent {
			d.kept = d.kept.Add(-stockTime)
		}
	}
	h.disks.mu.Unlock()
	h.disks.trimStock()
	h.disks.mu.Lock()
	defer h.disks.mu.Unlock()
	if n := len(h.disks.stock); n != 1 || h.disks.stock[0] != recent {
		t.Errorf("%d disks are left", n)
	}
}
