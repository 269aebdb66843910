package escape

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"golang.org/x/sys/unix"
)

// TestLeftovers leaves a process and files behind. In the same environment of
// the same function they are there for the next invocation, as on Lambda; no
// other function, nor another environment, sees any of it.
func TestLeftovers(t *testing.T) {
	a := open(t)
	fn := a.attacker(nil)
	other := a.attacker(func(in *lambda.CreateFunctionInput) { in.FunctionName = aws.String(name(t, "other")) })
	const loop = "while :; do date >> /tmp/left; echo here >> /dev/shm/left; sleep 0.05; done"
	var left string
	a.do(fn, map[string]any{"do": "leave", "args": []string{loop}}, &left)
	if left != "ok" {
		t.Fatal(left)
	}
	same := []attempt{
		{Op: "exec", Arg: "pgrep -f 'date >>' -c", want: "ok: 0 2"}, // it, and the asking shell
		{Op: "exec", Arg: "sleep 0.3; head -1 /dev/shm/left", want: "ok: 0 here"},
	}
	elsewhere := []attempt{
		{Op: "exec", Arg: "pgrep -f 'date >>' -c", want: "ok: 0 1"},
		{Op: "list", Arg: "/tmp", want: "ok"},
		{Op: "list", Arg: "/dev/shm", want: "ok"},
		{Op: "exec", Arg: "cat /proc/sysvipc/shm | wc -l", want: "ok: 0 1"},
	}
	a.during(func() {
		a.tryAs(fn, same)
		a.tryAs(other, elsewhere)
	})
	// A new environment of the function itself is new.
	a.restart(fn)
	a.tryAs(fn, elsewhere)
}

// restart changes a function, so that its environments are new.
func (a *arena) restart(fn string) {
	a.t.Helper()
	if _, err := a.SDK().UpdateFunctionConfiguration(a.t.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: &fn, Description: aws.String("anew"), MemorySize: aws.Int32(640),
	}); err != nil {
		a.t.Fatal(err)
	}
	w := lambda.NewFunctionUpdatedV2Waiter(a.SDK(), func(o *lambda.FunctionUpdatedV2WaiterOptions) { o.MinDelay = 20 * time.Millisecond })
	if err := w.Wait(a.t.Context(), &lambda.GetFunctionInput{FunctionName: &fn}, time.Minute); err != nil {
		a.t.Fatal(err)
	}
}

// TestLeftoversEndWithTheRuntime: what an invocation leaves behind ends when
// the runtime is started anew, after a timeout or a crash.
func TestLeftoversEndWithTheRuntime(t *testing.T) {
	a := open(t)
	fn := a.attacker(with(512, 0, 3))
	var left string
	a.do(fn, map[string]any{"do": "leave", "args": []string{"trap '' TERM INT HUP; while :; do sleep 0.05; done"}}, &left)
	a.during(func() {
		a.fails(a.call(fn, map[string]any{"do": "dribble"}), "Task timed out")
		a.tryAs(fn, []attempt{{Op: "exec", Arg: "pgrep -f 'trap ' -c", want: "ok: 0 1"}})
	})
}

// TestSegments leaves shared memory of the kind that outlives processes, until
// there is no more: it is the function's own memory, and goes with its
// environment.
func TestSegments(t *testing.T) {
	a := open(t)
	fn := a.python("bombs.handler", with(128, 0, 30))
	a.during(func() {
		for range 3 {
			if got := a.call(fn, map[string]any{"do": "segments"}); !strings.Contains(got.Payload, killed) {
				t.Errorf("got %+v", got)
			}
		}
	})
}

// TestUsedDisks tries to leave something in a /tmp that looks as if it had
// never been used, for the platform gives such a one to the next sandbox: what
// is written there shows, or goes with its writer.
func TestUsedDisks(t *testing.T) {
	a := open(t)
	for i, use := range [][]attempt{
		{
			call("xattr", perm, unix.SYS_SETXATTR, "/tmp", "user.x", "x", 1, 0),
			call("trusted xattr", perm, unix.SYS_SETXATTR, "/tmp", "trusted.x", "x", 1, 0),
			call("ACL", perm, unix.SYS_SETXATTR, "/tmp", "system.posix_acl_default", "\x02\x00\x00\x00", 4, 0),
			call("mode", perm, unix.SYS_FCHMODAT, unix.AT_FDCWD, "/tmp", 0o777),
			call("owner", perm, unix.SYS_FCHOWNAT, unix.AT_FDCWD, "/tmp", 1, 1, 0),
		},
		{
			{Op: "write", Arg: "/tmp/left", To: "left", want: "ok"},
			{Op: "exec", Arg: "rm /tmp/left; touch -d '1 hour ago' /tmp 2>&1 | grep -c 'not permitted'", want: "ok: 0 1"},
			{Op: "exec", Arg: "mkdir -p /tmp/a/b && echo left > /tmp/a/b/c", want: "ok: 0"},
		},
		{
			{Op: "exec", name: "a file without a name", want: "ok: 0 left", Arg: `/usr/bin/python3 - <<'END'
import os
fd = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)
os.write(fd, b"left" * (1 << 20))
if os.fork() == 0:  # holds the file, and not the pipe of the output
    os.close(1)
    os.close(2)
    import time
    time.sleep(1000)
print(os.pread(fd, 4, 0).decode(), flush=True)
END`},
		},
	} {
		fn := a.attacker(func(in *lambda.CreateFunctionInput) {
			in.FunctionName = aws.String(fmt.Sprintf("%s-%d", name(t, "native"), i))
		})
		a.during(func() { a.tryAs(fn, use) })
		a.Delete(t, fn)
		for n := range 3 {
			next := a.attacker(func(in *lambda.CreateFunctionInput) {
				in.FunctionName = aws.String(fmt.Sprintf("%s-%d-%d", name(t, "next"), i, n))
			})
			a.tryAs(next, []attempt{{Op: "exec", Arg: "find /tmp | head; df --output=used /tmp | tail -1", want: "ok: 0 /tmp\n…"}})
		}
	}
}
