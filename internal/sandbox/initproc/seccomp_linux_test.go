package initproc

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// outcome executes the filter of sandboxes as the kernel would.
func outcome(t *testing.T, arch uint32, nr uintptr, args ...uint64) uint32 {
	t.Helper()
	return outcomeOf(t, filter(), arch, nr, args...)
}

// outcomeOf does so with any.
func outcomeOf(t *testing.T, filter []insn, arch uint32, nr uintptr, args ...uint64) uint32 {
	t.Helper()
	var raw []bpf.RawInstruction
	for _, i := range filter {
		raw = append(raw, bpf.RawInstruction{Op: i.Code, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	prog, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter has an instruction that is none")
	}
	vm, err := bpf.NewVM(prog)
	if err != nil {
		t.Fatal(err)
	}
	// The machine of the library loads words as big-endian.
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offNumber:], uint32(nr))
	binary.BigEndian.PutUint32(data[offArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offArgs+8*i+4:], uint32(a>>32))
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}

func TestFilter(t *testing.T) {
	const (
		noProtocol = retErrno | uint32(unix.EPROTONOSUPPORT)
		noKind     = retErrno | uint32(unix.ESOCKTNOSUPPORT)
		noFamily   = retErrno | uint32(unix.EAFNOSUPPORT)
		perm       = retErrno | uint32(unix.EPERM)
		nosys      = retErrno | uint32(unix.ENOSYS)
	)
	for _, c := range []struct {
		name string
		nr   uintptr
		args []uint64
		want uint32
	}{
		{"read", unix.SYS_READ, nil, retAllow},
		{"execve", unix.SYS_EXECVE, nil, retAllow},
		{"getrandom", unix.SYS_GETRANDOM, nil, retAllow},
		{"mount", unix.SYS_MOUNT, nil, perm},
		{"bpf", unix.SYS_BPF, nil, perm},
		{"ptrace", unix.SYS_PTRACE, nil, perm},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, nil, perm},
		{"sync does nothing", unix.SYS_SYNC, nil, retErrno},
		{"core limit set", unix.SYS_SETRLIMIT, []uint64{unix.RLIMIT_CORE, 1}, nothing},
		{"file limit set", unix.SYS_SETRLIMIT, []uint64{unix.RLIMIT_NOFILE, 1}, retAllow},
		{"core limit set anew", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 8, 0}, nothing},
		{"core limit set, high address", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 1 << 32, 0}, nothing},
		{"core limit asked", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 0, 8}, retAllow},
		{"file limit set anew", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_NOFILE, 8, 0}, retAllow},
		{"a call of the future", 4000, nil, nosys},
		{"the last number", 0x3fffffff, nil, nosys},
		{"clone3", unix.SYS_CLONE3, nil, nosys},
		{"fork", unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, retAllow},
		{"vfork", unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_VFORK | uint64(unix.SIGCHLD)}, retAllow},
		{"clone user namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER}, perm},
		{"clone network namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWNET | 17}, perm},
		{"clone cgroup namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWCGROUP | 17}, perm},
		{"unix socket", unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}, retAllow},
		{"tcp", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP}, retAllow},
		{"udp by default", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DGRAM, 0}, retAllow},
		{"tcp6", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_STREAM, 0}, retAllow},
		{"mptcp", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, 262}, noProtocol},
		{"sctp", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, noProtocol},
		{"route netlink", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, retAllow},
		{"raw", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}, noKind},
		{"raw, with flags", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_RAW | unix.SOCK_CLOEXEC, 0}, noKind},
		{"tcp, with flags", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, 0}, retAllow},
		{"sctp by its kind", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_SEQPACKET, 0}, noKind},
		{"dccp by its kind", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_DCCP, 0}, noKind},
		{"packet the old way", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_PACKET, 0x0300}, noKind},
		{"memory", unix.SYS_MMAP, []uint64{0, 4096, 3, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS}, retAllow},
		{"huge pages", unix.SYS_MMAP, []uint64{0, 4096, 3, unix.MAP_PRIVATE | unix.MAP_HUGETLB}, perm},
		{"huge pages of 1 GB", unix.SYS_MMAP, []uint64{0, 4096, 3, unix.MAP_HUGETLB | unix.MAP_HUGE_1GB}, perm},
		{"memory file", unix.SYS_MEMFD_CREATE, []uint64{0, unix.MFD_CLOEXEC}, retAllow},
		{"memory file of huge pages", unix.SYS_MEMFD_CREATE, []uint64{0, unix.MFD_HUGETLB}, perm},
		{"segment", unix.SYS_SHMGET, []uint64{0, 4096, unix.IPC_CREAT | 0o600}, retAllow},
		{"segment of huge pages", unix.SYS_SHMGET, []uint64{0, 4096, shmHugeTLB | 0o600}, perm},
		{"old asynchronous I/O", unix.SYS_IO_SETUP, []uint64{65536}, perm},
		{"syncfs does nothing", unix.SYS_SYNCFS, nil, nothing},
		{"netfilter netlink", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, noProtocol},
		{"crypto sockets", unix.SYS_SOCKET, []uint64{unix.AF_ALG, 5, 0}, noFamily},
		{"vsock", unix.SYS_SOCKET, []uint64{unix.AF_VSOCK, 1, 0}, noFamily},
		{"packet", unix.SYS_SOCKET, []uint64{unix.AF_PACKET, 3, 0}, noFamily},
		{"unix by a high half that the kernel drops", unix.SYS_SOCKET, []uint64{1<<32 | unix.AF_ALG, 5, 0}, noFamily},
		{"unix pair", unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, 1, 0}, retAllow},
		{"tipc pair", unix.SYS_SOCKETPAIR, []uint64{unix.AF_TIPC, 1, 0}, noFamily},
		{"terminal size", unix.SYS_IOCTL, []uint64{0, unix.TIOCGWINSZ}, retAllow},
		{"terminal input", unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI}, perm},
		{"terminal input, high half", unix.SYS_IOCTL, []uint64{0, 1<<32 | unix.TIOCSTI}, perm},
		{"line discipline", unix.SYS_IOCTL, []uint64{0, unix.TIOCSETD}, perm},
		{"personality asked", unix.SYS_PERSONALITY, []uint64{0xffffffff}, retAllow},
		{"no address randomisation", unix.SYS_PERSONALITY, []uint64{0x40000}, perm},
	} {
		if got := outcome(t, auditArch, c.nr, c.args...); got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, got, c.want)
		}
	}
}

func TestFilterConvention(t *testing.T) {
	if got := outcome(t, unix.AUDIT_ARCH_I386, unix.SYS_READ); got != retKill {
		t.Errorf("a call by the 32 bit convention: got %#x, want the end", got)
	}
	if auditArch == unix.AUDIT_ARCH_X86_64 {
		if got := outcome(t, auditArch, 0x40000000|unix.SYS_READ); got != retKill {
			t.Errorf("a call by the x32 convention: got %#x, want the end", got)
		}
	}
}

// TestFilterLists holds the search to the lists: each number of each list has
// its outcome, and none is in two.
func TestFilterLists(t *testing.T) {
	special := checked()
	seen := map[uintptr]bool{}
	for list, c := range map[*[]uintptr]uint32{
		&allowed: retAllow, &archAllowed: retAllow,
		&refused: refuse(unix.EPERM), &archRefused: refuse(unix.EPERM),
	} {
		for _, nr := range *list {
			if seen[nr] || special[nr] != nil {
				t.Errorf("call %d is listed twice", nr)
			}
			seen[nr] = true
			if got := outcome(t, auditArch, nr); got != c {
				t.Errorf("call %d: got %#x, want %#x", nr, got, c)
			}
		}
	}
	for nr := range uintptr(600) {
		if seen[nr] || special[nr] != nil {
			continue
		}
		if got := outcome(t, auditArch, nr); got != refuse(unix.ENOSYS) {
			t.Errorf("call %d, in no list: got %#x, want ENOSYS", nr, got)
		}
	}
	if n := len(filter()); n > 4096 {
		t.Errorf("%d instructions are more than the kernel takes", n)
	}
}

func BenchmarkFilter(b *testing.B) {
	for b.Loop() {
		filter()
	}
	b.ReportMetric(float64(len(filter())), "instructions")
}
