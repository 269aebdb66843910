package escape

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// TestForkedRuntime attacks from a Python runtime that was forked what it was
// forked from: a process of the platform's own, with the server's privileges.
func TestForkedRuntime(t *testing.T) {
	a := open(t)
	deadline := time.Now().Add(time.Minute)
	for s := a.stock(); s.Zygotes == 0 || s.Booted == 0; s = a.stock() {
		if time.Now().After(deadline) {
			t.Fatalf("no Python runtime is prepared: %+v", s)
		}
		time.Sleep(10 * time.Millisecond)
	}
	a.try(language{"python", func(a *arena) string { return a.python("attacker.handler", nil) }}, forked)
}

func (a *arena) stock() millicenttest.Stock { return a.Stock(a.t) }

func forked(a *arena) []attempt {
	attempts := []attempt{
		// It is one that was forked, by a parent that it does not see.
		{Op: "exec", Arg: "tr '\\0' '\\n' < /proc/$PPID/environ | grep STEM", want: "ok: 0 _MILLICENT_STEM=zygote"},
		{Op: "exec", Arg: "awk '/^PPid/ { print $2 }' /proc/$PPID/status", want: "ok: 0 1"},
		{Op: "exec", Arg: "awk '/^TracerPid/ { print $2 }' /proc/$PPID/status", want: "ok: 0 0"},
		{Op: "exec", Arg: "ls /proc > /tmp/seen; grep -c '^[0-9]' /tmp/seen", want: "ok: 0 3"}, // its own, the shell's and that of ls

		// Its memory began as a copy: of nothing that is the server's or another's.
		{Op: "scan", Arg: "__main_[_]", want: "ok: found"},
		{Op: "scan", Arg: strings.Replace(serverSecret, "secret", "secre[t]", 1), want: "ok: nothing"},
		{Op: "scan", Arg: "MILLICENT_TES[T]", want: "ok: nothing"},
		{Op: "scan", Arg: "VICTIM-CODE-SECRE[T]", want: "ok: nothing"},
		{Op: "scan", Arg: "VICTIM-ENVIRONMENT-SECRE[T]", want: "ok: nothing"},
	}
	// No descriptor is of a namespace, a control group, the zygote's socket or a ruleset.
	for fd := range 24 {
		attempts = append(attempts, call("setns", "EPERM or EBADF or EINVAL or ENOSYS", unix.SYS_SETNS, fd, 0))
	}
	attempts = append(attempts, attempt{
		Op: "exec", Arg: "ls -l /proc/$PPID/fd 2>&1 | grep -E 'ns|cgroup|task|landlock|pidfd'", want: "ok: 1",
	})
	for _, p := range a.Descendants(a.t) {
		if p.PID < 1000 { // a sandbox has small numbers itself
			continue
		}
		attempts = append(attempts,
			call("kill", "ESRCH", unix.SYS_KILL, p.PID, int(unix.SIGKILL)),
			call("ptrace", "ESRCH or EPERM", unix.SYS_PTRACE, unix.PTRACE_SEIZE, p.PID, 0, 0),
			call("read memory", "ESRCH or EPERM", unix.SYS_PROCESS_VM_READV, p.PID, page(16), 1, page(16), 1, 0),
			call("pidfd_open", "ESRCH or EINVAL", unix.SYS_PIDFD_OPEN, p.PID, 0),
		)
	}
	return attempts
}
