package worker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/wasm"
	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// In these tests the worker is not ours any more, as if a guest had broken out
// of the engine: the process is set up as every worker is, and then does what
// an attacker would. Which attack it is, the last digits of its memory limit
// say, which is what a worker is told.

const someMemory = 1 << 30

// takenOver is a worker that attacks, when this program was started as one.
func takenOver() {
	if len(os.Args) != 2 || os.Args[0] != Name {
		return
	}
	memory, err := strconv.Atoi(os.Args[1])
	if err != nil || memory <= someMemory || memory > someMemory+100 {
		return
	}
	_, control, err := setUp(os.Args[1], false)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	attack(control, memory-someMemory)
	os.Exit(0)
}

// attack serves the first session: its Open is answered with what the attacker
// could do, or its request with what no worker sends.
func attack(control *net.UnixConn, number int) {
	report, err := json.Marshal(explore())
	if err != nil {
		panic(err)
	}
	buf, oob := make([]byte, 64), make([]byte, unix.CmsgSpace(2*4))
	_, n, _, _, err := control.ReadMsgUnix(buf, oob)
	if err != nil {
		panic(err)
	}
	fds, err := passed(oob[:n])
	if err != nil {
		panic(err)
	}
	pipes, err := newInner(fds)
	if err != nil {
		panic(err)
	}
	c := wire.NewConn(pipes)
	if _, _, err := c.Next(); err != nil {
		panic(err)
	}
	if number == exploring {
		_ = c.Send(wire.AppendFailed(c.Begin(wire.Failed), errors.New(string(report))), nil)
		select {}
	}
	bad := malformed()[number-exploring-1]
	if bad.early == "" {
		_ = c.Send(wire.AppendOpening(c.Begin(wire.Opened), wasm.Opening{}), nil)
		if bad.deaf {
			select {}
		}
		_, _, _ = c.Next()
	}
	_, _ = pipes.Write([]byte(bad.early + bad.late))
	select {} // the server need not wait for anything
}

// exploring is the first attack: those after it are of malformed.
const exploring = 1

// explore tries what a process in the wrong hands would, and tells what of it
// is possible.
func explore() map[string]string {
	open := func(path string, flags int) func() error {
		return func() error {
			f, err := os.OpenFile(path, flags, 0o600)
			if err == nil {
				f.Close()
			}
			return err
		}
	}
	call := func(nr uintptr, args ...uintptr) func() error {
		var a [6]uintptr
		copy(a[:], args)
		return func() error {
			if _, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
				return errno
			}
			return nil
		}
	}
	could := map[string]string{}
	for name, try := range map[string]func() error{
		"read /etc/shadow":           open("/etc/shadow", os.O_RDONLY),
		"read /root":                 open("/root", os.O_RDONLY),
		"read /home":                 open("/home", os.O_RDONLY),
		"read the server's memory":   open("/proc/1/mem", os.O_RDONLY),
		"read the machine's devices": open("/dev/mem", os.O_RDONLY),
		"write to compiled code":     open(cacheMount+"/wazero", os.O_WRONLY|os.O_CREATE),
		"write to the program":       open("/var/program", os.O_WRONLY),
		"write to /usr":              open("/usr/lib/x", os.O_WRONLY|os.O_CREATE),
		"write to /":                 open("/x", os.O_WRONLY|os.O_CREATE),
		"a TCP socket":               call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM),
		"a unix socket":              call(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM),
		"a raw socket":               call(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW),
		"a process":                  call(unix.SYS_CLONE, uintptr(unix.SIGCHLD)),
		"a program":                  call(unix.SYS_EXECVE),
		"ptrace of pid 1":            call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1),
		"a signal to pid 1":          call(unix.SYS_KILL, 1, uintptr(unix.SIGKILL)),
		"a signal to all":            call(unix.SYS_KILL, ^uintptr(0), uintptr(unix.SIGKILL)),
		"another process's memory":   call(unix.SYS_PROCESS_VM_READV, 1),
		"another process's files":    call(unix.SYS_PIDFD_OPEN, 1),
		"a user namespace":           call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER),
		"a mount":                    call(unix.SYS_MOUNT),
		"io_uring":                   call(unix.SYS_IO_URING_SETUP, 1),
		"bpf":                        call(unix.SYS_BPF),
		"keys":                       call(unix.SYS_KEYCTL),
		"userfaultfd":                call(unix.SYS_USERFAULTFD),
		"be root":                    call(unix.SYS_SETUID, 0),
	} {
		if try() == nil {
			could[name] = "yes"
		}
	}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil && e.Name() != strconv.Itoa(os.Getpid()) {
			could["see process "+e.Name()] = "yes"
		}
	}
	entries, _ = os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		harmless := strings.HasPrefix(to, "socket:") || strings.HasPrefix(to, "pipe:") || strings.HasPrefix(to, "anon_inode:") ||
			to == "/dev/null" || strings.HasPrefix(to, fmt.Sprintf("/proc/%d/", os.Getpid())) // its own
		if err == nil && !harmless {
			could["hold "+to] = "yes"
		}
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.SplitSeq(string(status), "\n") {
		name, value, _ := strings.Cut(line, ":")
		if slices.Contains([]string{"Uid", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp"}, name) {
			could[name] = strings.TrimSpace(value)
		}
	}
	return could
}

// A worker that was taken over can reach nothing but its own tenant's.
func TestTakenOver(t *testing.T) {
	h := newHost(t, newPool(t, Config{Memory: someMemory + exploring}), "a")
	_, err := h.Open(t.Context(), newSpec(t))
	if err == nil {
		t.Fatal("the attacker opened a program")
	}
	got := map[string]string{}
	if jsonErr := json.Unmarshal([]byte(err.Error()), &got); jsonErr != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if got[name] != want {
			t.Errorf("%s: got %s, want %s", name, got[name], want)
		}
		delete(got, name)
	}
	if uid, err := strconv.Atoi(strings.Fields(got["Uid"] + " none")[0]); err != nil || uid < 1_000_000 {
		t.Errorf("uid %s", got["Uid"])
	}
	delete(got, "Uid")
	for name := range got {
		t.Errorf("the attacker could: %s", name)
	}
}

// A stream is what a worker sends that is not ours: in place of the answer to
// Open, or to a request.
type stream struct {
	name, early, late string
	deaf              bool // it does not read requests
}

func malformed() []stream {
	frame := func(k wire.Kind, size uint32, body string) string {
		return string(binary.LittleEndian.AppendUint32([]byte{byte(k)}, size)) + body
	}
	return []stream{
		{name: "a kind that is none", late: frame(0xee, 0, "")},
		{name: "an answer of 4 GB", late: frame(wire.Answer, 1<<32-1, "")},
		{name: "half an answer", late: frame(wire.Answer, 100, "half")},
		{name: "nothing at all", late: ""},
		{name: "a request that is not read", deaf: true},
		{name: "an answer that is none", late: frame(wire.Answer, 3, "\xff\xff\xff")},
		{name: "a frame of the server's", late: frame(wire.Request, 2, "\x00\x00")},
		{name: "another opening", late: frame(wire.Opened, 5, "\x00\x00\x00\x00\x00")},
		{name: "need of a package while it serves", late: frame(wire.Need, 0, "")},
		{name: "compiled code while it serves", late: frame(wire.Compiled, 3, "\x00\x00\x00")},
		{name: "an opening that is none", early: frame(wire.Opened, 1, "\x07")},
		{name: "an answer before its request", early: frame(wire.Answer, 4, "\x00\x00\x00\x00")},
		{name: "a package twice", early: frame(wire.Need, 0, "") + frame(wire.Need, 0, "")},
		{name: "code with a name that leads elsewhere", early: frame(wire.Compiled, 29, "\x1awazero-1/../../../../etc/cr\x05\x00")},
		{name: "code of a terabyte", early: frame(wire.Compiled, 9, "\x00\x80\x80\x80\x80\x80\x20\x00\x00")},
	}
}

// The server ends a worker that does not keep to the protocol, or that does
// not answer; nobody else notices.
func TestMalformed(t *testing.T) {
	dir := t.TempDir()
	honest := open(t, newHost(t, newPool(t, Config{}), "b"), newSpec(t))
	for i, bad := range malformed() {
		t.Run(bad.name, func(t *testing.T) {
			p := newPool(t, Config{Memory: int64(someMemory + exploring + 1 + i), Grace: 100 * time.Millisecond, CacheDir: filepath.Join(dir, "cache")})
			h := newHost(t, p, "a")
			s, err := h.Open(t.Context(), newSpec(t))
			if bad.early != "" {
				if !errors.Is(err, wasm.ErrHostGone) {
					t.Errorf("open: %v, %v", s, err)
				}
			} else if err != nil {
				t.Fatal(err)
			} else {
				want, event := wasm.ErrHostGone, "echo"
				if bad.deaf {
					want, event = wasm.ErrNotServed, strings.Repeat(event, 1<<20) // more than a pipe holds
				}
				req := request(event)
				req.Deadline = time.Now().Add(100 * time.Millisecond)
				if a, err := s.Serve(t.Context(), req); !errors.Is(err, want) {
					t.Errorf("serve: %v, %v", a, err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
			waitFor(t, func() bool {
				h.mu.Lock()
				defer h.mu.Unlock()
				return h.current == nil
			})
			echoes(t, honest)
		})
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*", "*")); len(left) > 0 {
		t.Errorf("the attackers left %v", left)
	}
}
