package initproc

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// computing is what a Go program needs that has been set up, computes, keeps
// files and speaks over the sockets that it has. Numbers beyond it are refused:
// no new process, program, socket or name of another process can come of it.
var computing = []uintptr{
	// The Go runtime: threads, memory, signals, waiting.
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	unix.SYS_FUTEX, unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_MPROTECT,
	unix.SYS_MUNMAP, unix.SYS_NANOSLEEP, unix.SYS_RESTART_SYSCALL, unix.SYS_RT_SIGACTION,
	unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SCHED_GETAFFINITY, unix.SYS_SCHED_YIELD,
	unix.SYS_SET_ROBUST_LIST, unix.SYS_SIGALTSTACK, unix.SYS_RSEQ,

	// Time and what was used of it, and randomness.
	unix.SYS_CLOCK_GETRES, unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_GETRANDOM, unix.SYS_GETRUSAGE, unix.SYS_GETTIMEOFDAY,

	// Files, which the mounts and Landlock narrow down.
	unix.SYS_CLOSE, unix.SYS_FALLOCATE, unix.SYS_FCHMOD, unix.SYS_FCNTL, unix.SYS_FDATASYNC, unix.SYS_FSTAT,
	unix.SYS_FSYNC, unix.SYS_FTRUNCATE, unix.SYS_GETDENTS64, unix.SYS_LSEEK, unix.SYS_MKDIRAT,
	unix.SYS_OPENAT, unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_READ, unix.SYS_READLINKAT,
	unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT, unix.SYS_WRITE, unix.SYS_WRITEV,

	// Sockets that it has.
	unix.SYS_GETSOCKNAME, unix.SYS_GETSOCKOPT, unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_SHUTDOWN,
}

// narrowed are the calls whose arguments decide.
func narrowed() map[uintptr][]insn {
	return map[uintptr][]insn{
		// The C library, where a program has it, tries the new form first, whose
		// arguments no filter can see.
		unix.SYS_CLONE3:       {ret(refuse(unix.ENOSYS))},
		unix.SYS_CLONE:        with(0, unix.CLONE_VM|unix.CLONE_THREAD|unix.CLONE_SIGHAND),
		unix.SYS_MMAP:         without(3, unix.MAP_HUGETLB),
		unix.SYS_MEMFD_CREATE: without(1, unix.MFD_HUGETLB),
		// Which pages of its own were written.
		unix.SYS_IOCTL: oneOf(1, []uint32{pagemapScan}, retAllow, refuse(unix.EPERM)),
		// Names of mappings.
		unix.SYS_PRCTL: oneOf(0, []uint32{unix.PR_SET_VMA}, retAllow, refuse(unix.EPERM)),
		// Signals between its own threads: what makes Go's scheduler preempt.
		// Others' processes are out of sight, and of another uid.
		unix.SYS_TGKILL: {ret(retAllow)},
	}
}

// pagemapScan is PAGEMAP_SCAN, _IOWR('f', 16, struct pm_scan_arg), of
// linux/fs.h.
const pagemapScan = 3<<30 | 96<<16 | 'f'<<8 | 16

// with refuses a call when argument arg (its low half) lacks any of bits.
func with(arg, bits uint32) []insn {
	return []insn{
		loadArg(arg),
		op(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, bits),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: bits},
		ret(refuse(unix.EPERM)),
		ret(retAllow),
	}
}

// narrowFilter returns the program.
func narrowFilter() []insn {
	l := newLayout(refuse(unix.EPERM))
	l.set(ret(retAllow), computing...)
	l.set(ret(retAllow), archComputing...)
	for nr, c := range narrowed() {
		l.code(c, nr)
	}
	return program(l.spans())
}

// Narrow holds all threads of the calling process, which has no_new_privs set,
// to a filter besides those that they have: see computing. It is for programs
// of the platform's own that are done with what they have to set up.
func Narrow() error {
	p := narrowFilter()
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	switch {
	case errno != 0:
		return failed("seccomp", errno)
	case thread != 0:
		return failed("seccomp of a thread", unix.ESRCH)
	}
	return nil
}
