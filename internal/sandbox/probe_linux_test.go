package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probes run inside a sandbox, in this test's own program mounted there: each
// prints what it found as JSON.
var probes = map[string]func([]string) any{
	"files":    probeFiles,
	"calls":    probeCalls,
	"self":     probeSelf,
	"dial":     probeDial,
	"udp":      probeUDP,
	"eat":      probeEat,
	"fill":     probeFill,
	"forks":    probeForks,
	"spin":     probeSpin,
	"children": probeChildren,
}

// probing runs the probe that the arguments name, if this is one.
func probing() {
	if len(os.Args) < 3 || os.Args[1] != "probe" {
		return
	}
	if err := json.NewEncoder(os.Stdout).Encode(probes[os.Args[2]](os.Args[3:])); err != nil {
		os.Exit(99)
	}
	os.Exit(0)
}

// probeMount shows this test's program inside as /var/task/probe.
func probeMount(t testing.TB) Mount {
	t.Helper()
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "probe"), exe, 0o755); err != nil {
		t.Fatal(err)
	}
	return Mount{Source: dir, Target: "/var/task"}
}

// probe runs a probe inside and reads what it prints.
func probe(t testing.TB, s *Sandbox, into any, args ...string) {
	t.Helper()
	got := run(t, s, append([]string{"/var/task/probe", "probe"}, args...)...)
	if got.Code != 0 || got.Signal != 0 {
		t.Fatalf("probe %v: %+v", args, got)
	}
	if err := json.Unmarshal([]byte(got.out), into); err != nil {
		t.Fatalf("probe %v: %v: %q", args, err, got.out)
	}
}

// failure says how err is known.
func failure(err error) string {
	if err == nil {
		return "ok"
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	if inner, ok := err.(interface{ Unwrap() error }); ok {
		return failure(inner.Unwrap())
	}
	return err.Error()
}

// probeFiles tells of each path given: for "+path" whether it can be written
// or made, else whether it can be read; a directory gives its entries.
func probeFiles(paths []string) any {
	found := map[string]string{}
	for _, p := range paths {
		name, write := strings.CutPrefix(p, "+")
		if write {
			f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
			found[p] = failure(err)
			if err == nil {
				f.Close()
			}
			continue
		}
		if entries, err := os.ReadDir(name); err == nil {
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			found[p] = strings.Join(names, " ")
			continue
		}
		b, err := os.ReadFile(name)
		found[p] = failure(err)
		if err == nil {
			found[p] = "ok: " + string(b[:min(len(b), 200)])
		}
	}
	return found
}

// probeCalls tries what a process inside must not do.
func probeCalls([]string) any {
	root, dir := uintptr(unsafe.Pointer(&[]byte("/\x00")[0])), uintptr(unsafe.Pointer(&[]byte("/tmp\x00")[0]))
	page := make([]byte, 4096)
	p := uintptr(unsafe.Pointer(&page[0]))
	found := map[string]string{}
	for name, c := range map[string][5]uintptr{
		"mount":             {unix.SYS_MOUNT, root, dir, 0, unix.MS_BIND},
		"umount":            {unix.SYS_UMOUNT2, dir, 0},
		"move_mount":        {unix.SYS_MOVE_MOUNT},
		"fsopen":            {unix.SYS_FSOPEN, root},
		"pivot_root":        {unix.SYS_PIVOT_ROOT, root, dir},
		"chroot":            {unix.SYS_CHROOT, dir},
		"unshare user":      {unix.SYS_UNSHARE, unix.CLONE_NEWUSER},
		"unshare mount":     {unix.SYS_UNSHARE, unix.CLONE_NEWNS},
		"setns":             {unix.SYS_SETNS, 0, 0},
		"clone user":        {unix.SYS_CLONE, unix.CLONE_NEWUSER | uintptr(unix.SIGCHLD)},
		"clone3":            {unix.SYS_CLONE3, p, 0},
		"ptrace":            {unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1},
		"process_vm_readv":  {unix.SYS_PROCESS_VM_READV, 1},
		"pidfd_getfd":       {unix.SYS_PIDFD_GETFD, 0, 3},
		"bpf":               {unix.SYS_BPF, 0, p, 48},
		"keyctl":            {unix.SYS_KEYCTL, 0},
		"add_key":           {unix.SYS_ADD_KEY, root, root},
		"io_uring_setup":    {unix.SYS_IO_URING_SETUP, 8, p},
		"perf_event_open":   {unix.SYS_PERF_EVENT_OPEN, p},
		"userfaultfd":       {unix.SYS_USERFAULTFD, 0},
		"open_by_handle_at": {unix.SYS_OPEN_BY_HANDLE_AT, 0, p},
		"init_module":       {unix.SYS_INIT_MODULE, p, 0},
		"kexec_load":        {unix.SYS_KEXEC_LOAD},
		"reboot":            {unix.SYS_REBOOT},
		"swapon":            {unix.SYS_SWAPON, root},
		"acct":              {unix.SYS_ACCT, root},
		"sethostname":       {unix.SYS_SETHOSTNAME, root, 1},
		"syslog":            {unix.SYS_SYSLOG, 3, p, 100},
		"personality":       {unix.SYS_PERSONALITY, 0x40000},
		"setuid 0":          {unix.SYS_SETUID, 0},
		"kill pid 1":        {unix.SYS_KILL, 1, uintptr(unix.SIGKILL)},
		"terminate pid 1":   {unix.SYS_KILL, 1, uintptr(unix.SIGTERM)},
		"socket alg":        {unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_SEQPACKET, 0},
		"socket vsock":      {unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, 0},
		"socket packet":     {unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW, 0},
		"socket raw":        {unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP},
		"socket netfilter":  {unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER},
		"terminal input":    {unix.SYS_IOCTL, 0, unix.TIOCSTI, p},
		"raise nofile":      {unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&unix.Rlimit{Cur: 1 << 16, Max: 1 << 16}))},
		"future call":       {1000},
	} {
		_, _, errno := unix.RawSyscall6(c[0], c[1], c[2], c[3], c[4], 0, 0)
		found[name] = "ok"
		if errno != 0 {
			found[name] = unix.ErrnoName(errno)
		}
	}
	return found
}

// self is what a process inside finds about itself.
type self struct {
	Status     map[string]string // /proc/self/status
	Limits     map[string]uint64
	Pids       []string // in /proc
	Interfaces []string
	Hostname   string
	Cgroup     string
	Mounts     string
	Files      []string // open descriptors
	Umask      int
}

func probeSelf([]string) any {
	s := self{Status: map[string]string{}, Limits: map[string]uint64{}}
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(line, ":")
		s.Status[k] = strings.TrimSpace(v)
	}
	for name, what := range map[string]int{
		"nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC, "core": unix.RLIMIT_CORE, "stack": unix.RLIMIT_STACK,
	} {
		var l syscall.Rlimit
		if syscall.Getrlimit(what, &l) == nil {
			s.Limits[name] = l.Max
		}
	}
	s.Pids, _ = filepath.Glob("/proc/[0-9]*")
	ifs, _ := net.Interfaces()
	for _, i := range ifs {
		s.Interfaces = append(s.Interfaces, i.Name)
	}
	s.Hostname, _ = os.Hostname()
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	s.Cgroup, s.Mounts = string(cgroup), string(mounts)
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		to, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		s.Files = append(s.Files, fd.Name()+" "+to)
	}
	s.Umask = unix.Umask(0)
	return s
}

// probeDial connects to each address by TCP and says how it went; what the
// other side sends first is the answer.
func probeDial(addrs []string) any {
	found := map[string]string{}
	for _, a := range addrs {
		c, err := net.DialTimeout("tcp", a, 10*time.Second)
		if err != nil {
			found[a] = failure(err)
			continue
		}
		buf := make([]byte, 100)
		n, _ := c.Read(buf)
		c.Close()
		found[a] = "ok: " + string(buf[:n])
	}
	return found
}

// probeUDP sends a datagram to each address and waits for the answer.
func probeUDP(addrs []string) any {
	found := map[string]string{}
	for _, a := range addrs {
		c, err := net.Dial("udp", a)
		if err != nil {
			found[a] = failure(err)
			continue
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		buf := make([]byte, 100)
		n := 0
		if _, err = c.Write([]byte("hello")); err == nil {
			n, err = c.Read(buf)
		}
		c.Close()
		found[a] = failure(err)
		if err == nil {
			found[a] = "ok: " + string(buf[:n])
		}
	}
	return found
}

// probeEat takes memory until it is stopped.
func probeEat([]string) any {
	var kept [][]byte
	for {
		b := make([]byte, mib)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		kept = append(kept, b)
		if len(kept) > 4096 {
			return "4 GiB and nobody minds"
		}
	}
}

// filled is what probeFill wrote.
type filled struct {
	Bytes int64
	Err   string
}

// probeFill writes a file until it is stopped or has as many MiB as asked.
func probeFill(args []string) any {
	f, err := os.Create(args[0])
	if err != nil {
		return filled{0, failure(err)}
	}
	defer f.Close()
	var limit int64
	fmt.Sscan(args[1], &limit)
	b := make([]byte, mib/4)
	for i := range b {
		b[i] = byte(i)
	}
	var n int64
	for n < limit*mib {
		m, err := f.Write(b)
		n += int64(m)
		if err != nil {
			return filled{n, failure(err)}
		}
	}
	return filled{n, failure(f.Sync())}
}

// probeForks starts processes that wait, as many as it is let, up to 2000.
func probeForks([]string) any {
	var pids []int
	defer func() {
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}()
	for len(pids) < 2000 {
		pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "100"}, &syscall.ProcAttr{})
		if err != nil {
			return filled{int64(len(pids)), failure(err)}
		}
		pids = append(pids, pid)
	}
	return filled{int64(len(pids)), "ok"}
}

// probeSpin uses all the CPU it gets for a second and says how much it got.
func probeSpin([]string) any {
	before, err := cpuTime()
	if err != nil {
		return -1
	}
	var wg sync.WaitGroup
	end := time.Now().Add(time.Second)
	for range 2 {
		wg.Go(func() {
			for time.Now().Before(end) {
			}
		})
	}
	wg.Wait()
	after, err := cpuTime()
	if err != nil {
		return -1
	}
	return (after - before).Seconds()
}

// cpuTime is what this process has used.
func cpuTime() (time.Duration, error) {
	var u unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// probeChildren leaves processes behind: in its session, in sessions of their
// own, and orphans.
func probeChildren([]string) any {
	for _, setsid := range []bool{false, true, true} {
		_, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "sleep 1000 & sleep 1000 & exec sleep 1000"},
			&syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: setsid}})
		if err != nil {
			return failure(err)
		}
	}
	return "ok"
}
