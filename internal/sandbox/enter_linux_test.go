package sandbox

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A zygote is a process of testdata/zygote.py.
type zygote struct{ conn *net.UnixConn }

func startZygote(t *testing.T) *zygote {
	t.Helper()
	requireRoot(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/python3", "-I", "testdata/zygote.py")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("zygote: %v", err)
		}
	})
	return &zygote{conn.(*net.UnixConn)}
}

// enter has a child of the zygote run a script in s.
func (z *zygote) enter(t *testing.T, s *Sandbox, out *os.File, script string) *Process {
	t.Helper()
	e, err := s.Entry()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	msg, err := json.Marshal(map[string]any{
		"uid": e.UID, "filter": hex.EncodeToString(e.Filter), "limits": e.Limits, "oomScore": e.OOMScore,
		"namespaces": Namespaces, "rules": e.Rules != nil, "script": script,
	})
	if err != nil {
		t.Fatal(err)
	}
	files := append([]*os.File{e.PID1, out, e.Rules}, e.Groups...)
	if e.Rules == nil {
		files[2] = out
	}
	var numbers []int
	for _, f := range files {
		numbers = append(numbers, int(f.Fd()))
	}
	if _, _, err := z.conn.WriteMsgUnix(msg, unix.UnixRights(numbers...), nil); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, err := z.conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(buf[:n]))
	if err != nil {
		t.Fatalf("the zygote says %q", buf[:n])
	}
	p, err := s.Adopt(pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// seen is what a process tells of itself.
const seen = `
import os, resource, socket
def status(*names):
    return [l.strip() for l in open("/proc/self/status") if l.split(":")[0] in names]
print(status("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Umask"))
print(os.getcwd(), os.listdir("/tmp"), sorted(os.listdir("/")))
fds = os.listdir("/proc/self/fd"); print(len(fds), [os.readlink("/proc/self/fd/%s" % f).split(":")[0] for f in sorted(fds)[:3]])
print(socket.gethostname(), open("/proc/self/cgroup").read(), open("/proc/self/oom_score_adj").read())
print([l.split()[4:6] for l in open("/proc/self/mountinfo")])
print([resource.getrlimit(r) for r in (resource.RLIMIT_CORE, resource.RLIMIT_STACK, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)])
print(open("/proc/net/dev").read().count(":"), os.getsid(0) == os.getpid(), os.getppid(), dict(os.environ))
for f in (lambda: open("/run/x", "w"), lambda: os.mkdir("/var/task/x"), lambda: os.kill(1, 9), lambda: os.setuid(0),
          lambda: os.open("/proc/1/mem", os.O_RDWR), lambda: socket.socket(socket.AF_PACKET), lambda: os.chroot("/tmp"),
          lambda: open("/proc/sys/kernel/hostname", "w"), lambda: os.listdir("/root"), lambda: open("/proc/sysrq-trigger", "w")):
    try: print("could", f())
    except OSError as e: print(e.errno)
open("/tmp/mine", "w").write("x"); print(os.stat("/tmp/mine").st_uid == os.getuid()); os.remove("/tmp/mine")
`

// TestWhoEntersIsWhoStarts compares a process that entered with one that was
// started.
func TestWhoEntersIsWhoStarts(t *testing.T) {
	h := openHost(t)
	z := startZygote(t)
	s := newSandbox(t, h, Spec{Memory: 128 * mib, Pids: 50, Hostname: "here"})
	want := run(t, s, "/usr/bin/env", "-i", "/usr/bin/python3", "-I", "-c", "import os; os.environ.clear()\n"+seen)
	if want.Code != 0 {
		t.Fatalf("got %+v", want)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := z.enter(t, s, w, seen)
	w.Close()
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, p.Done(), "the end of the process")
	if p.Status() != (ExitStatus{}) {
		t.Errorf("status %+v", p.Status())
	}
	got, wanted := strings.Split(string(out), "\n"), strings.Split(want.out, "\n")
	if len(wanted) < 18 || strings.Contains(want.out, "could") {
		t.Errorf("the one that started tells %s", want.out)
	}
	for i, line := range wanted {
		if i >= len(got) || got[i] != line {
			t.Errorf("line %d:\nstarted %s\nentered %s", i, line, append(got, make([]string, i+1)...)[i])
		}
	}
}

func TestEnteredProcessesEnd(t *testing.T) {
	h := openHost(t)
	z := startZygote(t)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	const forever = "import time\nwhile True: time.sleep(1)"
	s := newSandbox(t, h, Spec{Memory: 128 * mib})

	p := z.enter(t, s, null, forever)
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, p.Done(), "the end by SIGTERM")
	if p.Status().Signal != syscall.SIGTERM {
		t.Errorf("status %+v", p.Status())
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal to what has ended: %v", err)
	}

	p = z.enter(t, s, null, forever)
	if err := s.KillAll(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, p.Done(), "the end by KillAll")
	if got := sh(t, s, "echo alive"); got.out != "alive\n" {
		t.Errorf("after KillAll: %+v", got)
	}

	p = z.enter(t, s, null, "x = bytearray(200 << 20)")
	waitFor(t, p.Done(), "the end for memory")
	if st, err := s.Stats(); err != nil || st.OOMKills == 0 || p.Status().Signal != syscall.SIGKILL {
		t.Errorf("memory over the limit: %+v, %+v, %v", p.Status(), st, err)
	}

	p = z.enter(t, s, null, forever)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, p.Done(), "the end with the sandbox")
	if _, err := s.Entry(); err == nil {
		t.Error("a closed sandbox can be entered")
	}
}
