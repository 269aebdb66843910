package initproc

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestNarrowFilter(t *testing.T) {
	const perm = retErrno | uint32(unix.EPERM)
	thread := uint64(unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD)
	for _, c := range []struct {
		name string
		nr   uintptr
		args []uint64
		want uint32
	}{
		{"read", unix.SYS_READ, nil, retAllow},
		{"recvmsg", unix.SYS_RECVMSG, nil, retAllow},
		{"executable memory", unix.SYS_MMAP, []uint64{0, 4096, unix.PROT_EXEC, unix.MAP_PRIVATE}, retAllow},
		{"huge pages", unix.SYS_MMAP, []uint64{0, 4096, 0, unix.MAP_HUGETLB}, perm},
		{"a memory file", unix.SYS_MEMFD_CREATE, []uint64{0, unix.MFD_ALLOW_SEALING}, retAllow},
		{"a scan of pages", unix.SYS_IOCTL, []uint64{3, pagemapScan}, retAllow},
		{"another ioctl", unix.SYS_IOCTL, []uint64{3, unix.TIOCSTI}, perm},
		{"a thread", unix.SYS_CLONE, []uint64{thread}, retAllow},
		{"a process", unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, perm},
		{"a process that shares memory", unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_VFORK | uint64(unix.SIGCHLD)}, perm},
		{"clone3", unix.SYS_CLONE3, nil, retErrno | uint32(unix.ENOSYS)},
		{"execve", unix.SYS_EXECVE, nil, perm},
		{"execveat", unix.SYS_EXECVEAT, nil, perm},
		{"socket", unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, perm},
		{"socketpair", unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, perm},
		{"connect", unix.SYS_CONNECT, nil, perm},
		{"sendmsg", unix.SYS_SENDMSG, nil, perm},
		{"kill", unix.SYS_KILL, nil, perm},
		{"pidfd_open", unix.SYS_PIDFD_OPEN, nil, perm},
		{"ptrace", unix.SYS_PTRACE, nil, perm},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, nil, perm},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, nil, perm},
		{"setuid", unix.SYS_SETUID, nil, perm},
		{"prctl of another kind", unix.SYS_PRCTL, []uint64{unix.PR_SET_DUMPABLE}, perm},
		{"a call that nobody has", calls - 1, nil, perm},
	} {
		if got := outcomeOf(t, narrowFilter(), auditArch, c.nr, c.args...); got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, got, c.want)
		}
	}
	if got := outcomeOf(t, narrowFilter(), auditArch^1, unix.SYS_READ); got != retKill {
		t.Errorf("another architecture: got %#x", got)
	}
}
