package escape

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// call is a system call to try by both languages.
func call(name, want string, nr uintptr, args ...any) attempt {
	return attempt{Op: "syscall", Nr: nr, Args: args, name: name, want: want}
}

// page is a pointer to so many zeroes.
func page(size int) map[string]int { return map[string]int{"zeroes": size} }

const perm = "EPERM"

// TestMounts tries to change what is mounted where.
func TestMounts(t *testing.T) { tryAll(t, mounts) }

func mounts(*arena) []attempt {
	return []attempt{
		call("mount tmpfs", perm, unix.SYS_MOUNT, "none", "/tmp", "tmpfs", 0, 0),
		call("mount proc", perm, unix.SYS_MOUNT, "proc", "/tmp", "proc", 0, 0),
		call("mount a disk", perm, unix.SYS_MOUNT, "/dev/vda", "/tmp", "ext4", 0, 0),
		call("bind mount", perm, unix.SYS_MOUNT, "/usr", "/tmp", 0, unix.MS_BIND, 0),
		call("remount root to write", perm, unix.SYS_MOUNT, 0, "/", 0, unix.MS_REMOUNT|unix.MS_BIND, 0),
		call("remount /proc/sys to write", perm, unix.SYS_MOUNT, 0, "/proc/sys", 0, unix.MS_REMOUNT|unix.MS_BIND, 0),
		call("shared propagation", perm, unix.SYS_MOUNT, 0, "/", 0, unix.MS_SHARED|unix.MS_REC, 0),
		call("umount /proc", perm, unix.SYS_UMOUNT2, "/proc", unix.MNT_DETACH),
		call("umount a mask", perm, unix.SYS_UMOUNT2, "/proc/kcore", 0),
		call("umount root", perm, unix.SYS_UMOUNT2, "/", unix.MNT_DETACH),
		call("open_tree", perm, unix.SYS_OPEN_TREE, unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE),
		call("move_mount", perm, unix.SYS_MOVE_MOUNT, unix.AT_FDCWD, "/usr", unix.AT_FDCWD, "/tmp", 0),
		call("mount_setattr", perm, unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, "/", 0, page(32), 32),
		call("fsopen", perm, unix.SYS_FSOPEN, "tmpfs", 0),
		call("fspick", perm, unix.SYS_FSPICK, unix.AT_FDCWD, "/", 0),
		call("fsmount", perm, unix.SYS_FSMOUNT, 0, 0, 0),
		call("fsconfig", perm, unix.SYS_FSCONFIG, 0, 0, 0, 0, 0),
		call("pivot_root", perm, unix.SYS_PIVOT_ROOT, "/tmp", "/tmp"),
		call("chroot", perm, unix.SYS_CHROOT, "/tmp"),
		call("swapon", perm, unix.SYS_SWAPON, "/tmp/x", 0),
		call("swapoff", perm, unix.SYS_SWAPOFF, "/tmp/x"),
		call("quotactl", perm, unix.SYS_QUOTACTL, 0, "/dev/vda", 0, 0),
		call("open_by_handle_at", perm, unix.SYS_OPEN_BY_HANDLE_AT, unix.AT_FDCWD, page(128), 0),
		call("name_to_handle_at", perm, unix.SYS_NAME_TO_HANDLE_AT, unix.AT_FDCWD, "/", page(128), page(8), 0),
		call("statmount", "ENOSYS", 457, page(64), page(512), 512, 0),
		call("listmount", "ENOSYS", 458, page(64), page(512), 64, 0),
	}
}

// TestNamespaces tries to make namespaces and to enter others'.
func TestNamespaces(t *testing.T) { tryAll(t, namespaces) }

func namespaces(*arena) []attempt {
	var attempts []attempt
	for name, flag := range map[string]int{
		"user": unix.CLONE_NEWUSER, "mount": unix.CLONE_NEWNS, "network": unix.CLONE_NEWNET, "pid": unix.CLONE_NEWPID,
		"ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP, "time": unix.CLONE_NEWTIME,
	} {
		attempts = append(attempts, call("unshare "+name, perm, unix.SYS_UNSHARE, flag))
		if flag != unix.CLONE_NEWTIME { // its bit is of the signal's number in clone(2)
			attempts = append(attempts, call("clone "+name, perm, unix.SYS_CLONE, flag|int(unix.SIGCHLD), 0, 0, 0, 0))
		}
	}
	return append(attempts,
		call("unshare all", perm, unix.SYS_UNSHARE, 0x7e020000),
		call("clone3", "ENOSYS", unix.SYS_CLONE3, page(88), 88),
		call("setns", perm, unix.SYS_SETNS, 0, 0),
		attempt{Op: "exec", Arg: "unshare -r true 2>/dev/null", want: "ok: 1 or ok: 127"},
		attempt{Op: "exec", Arg: "nsenter -t 1 -m true 2>/dev/null", want: "ok: 1 or ok: 127"},
		attempt{Op: "exec", Arg: "for n in cgroup ipc mnt net pid user uts; do [ -e /proc/1/ns/$n ] && echo $n; done; true", want: "ok: 0"},
	)
}

// TestOtherProcesses tries to signal, trace and read processes that are not
// the function's.
func TestOtherProcesses(t *testing.T) { tryAll(t, otherProcesses) }

func otherProcesses(a *arena) []attempt {
	kill := int(unix.SIGKILL)
	attempts := []attempt{
		call("kill pid 1", perm, unix.SYS_KILL, 1, kill),
		call("terminate pid 1", perm, unix.SYS_KILL, 1, int(unix.SIGTERM)),
		call("stop pid 1", perm, unix.SYS_KILL, 1, int(unix.SIGSTOP)),
		call("tkill pid 1", perm, unix.SYS_TKILL, 1, kill),
		call("queue a signal to pid 1", perm, unix.SYS_RT_SIGQUEUEINFO, 1, kill, page(128)),
		call("ptrace pid 1", perm, unix.SYS_PTRACE, unix.PTRACE_SEIZE, 1, 0, 0),
		call("ptrace me", perm, unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0, 0),
		call("process_vm_readv", perm, unix.SYS_PROCESS_VM_READV, 1, page(16), 1, page(16), 1, 0),
		call("process_vm_writev", perm, unix.SYS_PROCESS_VM_WRITEV, 1, page(16), 1, page(16), 1, 0),
		call("pidfd_getfd", perm, unix.SYS_PIDFD_GETFD, 3, 3, 0),
		call("process_madvise", perm, unix.SYS_PROCESS_MADVISE, 3, page(16), 1, unix.MADV_COLD, 0),
		call("kcmp", perm, unix.SYS_KCMP, 1, 1, 0, 0, 0),
		call("move_pages", perm, unix.SYS_MOVE_PAGES, 1, 0, 0, 0, 0, 0),
		call("limits of pid 1", perm, unix.SYS_PRLIMIT64, 1, unix.RLIMIT_NOFILE, page(16), 0),
		call("priority of pid 1", perm+" or EACCES", unix.SYS_SETPRIORITY, 0, 1, 10),
		call("better priority", "EACCES or EPERM", unix.SYS_SETPRIORITY, 0, 0, -10),
		call("real-time", perm, unix.SYS_SCHED_SETSCHEDULER, 0, 1, "\x01\x00\x00\x00"),
	}
	// The server, the victim and all else of the machine: no such process.
	pids := []int{a.PID()}
	for _, p := range a.Descendants(a.t) {
		if p.PID > 1000 { // a sandbox has small numbers itself
			pids = append(pids, p.PID)
		}
	}
	for _, pid := range pids {
		attempts = append(attempts,
			call("kill of another", "ESRCH", unix.SYS_KILL, pid, kill),
			call("kill of another's group", "ESRCH", unix.SYS_KILL, -pid, kill),
			call("pidfd_open of another", "ESRCH or EINVAL", unix.SYS_PIDFD_OPEN, pid, 0),
			call("limits of another", "ESRCH", unix.SYS_PRLIMIT64, pid, unix.RLIMIT_NOFILE, 0, page(16)),
			call("sched_getaffinity of another", "ESRCH", unix.SYS_SCHED_GETAFFINITY, pid, 8, page(8)),
		)
	}
	return attempts
}

// TestKernelParts tries the parts of the kernel that a function has no
// business with.
func TestKernelParts(t *testing.T) { tryAll(t, kernelParts) }

func kernelParts(*arena) []attempt {
	attempts := []attempt{
		call("bpf", perm, unix.SYS_BPF, 0, page(128), 128),
		call("perf_event_open", perm, unix.SYS_PERF_EVENT_OPEN, page(128), 0, -1, -1, 0),
		call("userfaultfd", perm, unix.SYS_USERFAULTFD, 0),
		call("userfaultfd of user faults", perm, unix.SYS_USERFAULTFD, 1),
		call("io_uring_setup", perm, unix.SYS_IO_URING_SETUP, 8, page(120)),
		call("io_uring_enter", perm, unix.SYS_IO_URING_ENTER, 3, 1, 0, 0, 0, 0),
		call("io_uring_register", perm, unix.SYS_IO_URING_REGISTER, 3, 0, 0, 0),
		call("io_setup", perm, unix.SYS_IO_SETUP, 60000, page(8)),
		call("keyctl", perm, unix.SYS_KEYCTL, 0, -3, 1, 0, 0),
		call("add_key", perm, unix.SYS_ADD_KEY, "user", "x", "y", 1, -3),
		call("request_key", perm, unix.SYS_REQUEST_KEY, "user", "x", 0, -3),
		call("fanotify_init", perm, unix.SYS_FANOTIFY_INIT, 0, 0),
		call("memfd_secret", perm, unix.SYS_MEMFD_SECRET, 0),
		call("mbind", perm, unix.SYS_MBIND, 0, 0, 0, 0, 0, 0),
		call("huge pages", perm, unix.SYS_MMAP, 0, 2<<20, 3, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_HUGETLB, -1, 0),
		call("file of huge pages", perm, unix.SYS_MEMFD_CREATE, "x", unix.MFD_HUGETLB),
		call("segment of huge pages", perm, unix.SYS_SHMGET, 0, 2<<20, 0o4000|unix.IPC_CREAT|0o600),
		call("init_module", perm, unix.SYS_INIT_MODULE, page(64), 64, ""),
		call("finit_module", perm, unix.SYS_FINIT_MODULE, 0, "", 0),
		call("delete_module", perm, unix.SYS_DELETE_MODULE, "loop", 0),
		call("kexec_load", perm, unix.SYS_KEXEC_LOAD, 0, 0, 0, 0),
		call("kexec_file_load", perm, unix.SYS_KEXEC_FILE_LOAD, 0, 0, 0, "", 0),
		call("reboot", perm, unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2, 0x1234567, 0),
		call("acct", perm, unix.SYS_ACCT, "/tmp/acct"),
		call("syslog", perm, unix.SYS_SYSLOG, 3, page(4096), 4096),
		call("settimeofday", perm, unix.SYS_SETTIMEOFDAY, page(16), 0),
		call("clock_settime", perm, unix.SYS_CLOCK_SETTIME, 0, page(16)),
		call("adjtimex", perm, unix.SYS_ADJTIMEX, page(208)),
		call("sethostname", perm, unix.SYS_SETHOSTNAME, "x", 1),
		call("setdomainname", perm, unix.SYS_SETDOMAINNAME, "x", 1),
		call("vhangup", perm, unix.SYS_VHANGUP),
		call("no address randomisation", perm, unix.SYS_PERSONALITY, 0x0040000),
		call("executable data", perm, unix.SYS_PERSONALITY, 0x0400000),
		call("fake terminal input", perm, unix.SYS_IOCTL, 0, unix.TIOCSTI, "x"),
		call("paste into a terminal", perm, unix.SYS_IOCTL, 0, unix.TIOCLINUX, "\x02"),
		call("freeze a file system", "EPERM or EBADF or ENOTTY", unix.SYS_IOCTL, 0, 0xc0045877, 0),
		call("a call of the future", "ENOSYS", 1000),
	}
	return append(attempts, archCalls...)
}

// TestIdentity tries to become root or to gain capabilities.
func TestIdentity(t *testing.T) { tryAll(t, identity) }

func identity(*arena) []attempt {
	const everything = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	return []attempt{
		call("setuid 0", perm, unix.SYS_SETUID, 0),
		call("setgid 0", perm, unix.SYS_SETGID, 0),
		call("setresuid 0", perm, unix.SYS_SETRESUID, 0, 0, 0),
		call("setreuid 0", perm, unix.SYS_SETREUID, 0, 0),
		call("setgroups", perm, unix.SYS_SETGROUPS, 1, page(8)),
		call("another sandbox's uid", perm, unix.SYS_SETUID, 1_900_000_000),
		call("capset", perm, unix.SYS_CAPSET, "\x22\x05\x08\x20\x00\x00\x00\x00", everything),
		call("ambient capability", perm, unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_SYS_ADMIN, 0, 0),
		call("securebits", perm, unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, 0, 0, 0, 0),
		call("new privileges again", "EINVAL", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0),
		call("no filter again", "EINVAL or EPERM or EACCES", unix.SYS_PRCTL, unix.PR_SET_SECCOMP, 0, 0, 0, 0),
		call("raise the limit of descriptors", perm, unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, strings.Repeat("\x01\x01\x01\x01\x00\x00\x00\x00", 2), 0),
		call("raise the limit of processes", perm, unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NPROC, strings.Repeat("\x01\x01\x01\x01\x00\x00\x00\x00", 2), 0),
		// Set-uid programs are there, and are programs like any other.
		{Op: "exec", Arg: "echo | su -c id 2>/dev/null", want: "ok: 1"},
		{Op: "exec", Arg: "su -c 'cat /etc/shadow' </dev/null 2>/dev/null", want: "ok: 1"},
		{Op: "exec", Arg: "mount -t tmpfs none /tmp 2>/dev/null", want: "ok: 1 or ok: 32"},
		{Op: "exec", Arg: "umount /proc 2>/dev/null", want: "ok: 1 or ok: 32"},
		{Op: "exec", Arg: "passwd -d root >/dev/null 2>&1", want: "ok: 1"},
		{Op: "exec", Arg: "newgrp root </dev/null >/dev/null 2>&1; id -u | grep -c '^0$'", want: "ok: 1 0"},
		{Op: "exec", Arg: "cp /bin/sh /tmp/sh && chmod 6755 /tmp/sh && /tmp/sh -p -c 'id -u' | grep -c '^0$'", want: "ok: 1 0"},
	}
}

// TestSockets tries the families and kinds of sockets that reach further than
// a function's network.
func TestSockets(t *testing.T) { tryAll(t, sockets) }

func sockets(*arena) []attempt {
	socket := func(name, want string, family, kind, protocol int) attempt {
		return call("socket "+name, want, unix.SYS_SOCKET, family, kind, protocol)
	}
	const family, protocol, kind = "EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT"
	attempts := []attempt{
		socket("packet", family, unix.AF_PACKET, unix.SOCK_RAW, 0x0300),
		socket("packet, datagrams", family, unix.AF_PACKET, unix.SOCK_DGRAM, 0x0300),
		socket("packet, the old way", kind, unix.AF_INET, unix.SOCK_PACKET, 0x0300),
		socket("raw", kind, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW),
		socket("raw ICMP", kind, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
		socket("raw TCP", kind, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP),
		socket("raw, IPv6", kind, unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6),
		socket("echo", "EACCES", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP),
		socket("SCTP", kind, unix.AF_INET, unix.SOCK_SEQPACKET, unix.IPPROTO_SCTP),
		socket("SCTP by its kind", kind, unix.AF_INET, unix.SOCK_SEQPACKET, 0),
		socket("DCCP by its kind", kind, unix.AF_INET, unix.SOCK_DCCP, 0),
		socket("MPTCP", protocol, unix.AF_INET, unix.SOCK_STREAM, 262),
		socket("UDP-Lite", protocol, unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE),
	}
	for name, f := range map[string]int{
		"vsock": unix.AF_VSOCK, "alg": unix.AF_ALG, "bluetooth": unix.AF_BLUETOOTH, "can": unix.AF_CAN, "tipc": unix.AF_TIPC,
		"rds": unix.AF_RDS, "key": unix.AF_KEY, "xdp": unix.AF_XDP, "kcm": unix.AF_KCM, "rxrpc": unix.AF_RXRPC,
		"smc": unix.AF_SMC, "nfc": unix.AF_NFC, "x25": unix.AF_X25, "appletalk": unix.AF_APPLETALK, "qipcrtr": unix.AF_QIPCRTR,
	} {
		attempts = append(attempts, socket(name, family, f, unix.SOCK_DGRAM, 0))
	}
	for name, p := range map[string]int{
		"netfilter": unix.NETLINK_NETFILTER, "audit": unix.NETLINK_AUDIT, "uevent": unix.NETLINK_KOBJECT_UEVENT,
		"generic": unix.NETLINK_GENERIC, "xfrm": unix.NETLINK_XFRM, "connector": unix.NETLINK_CONNECTOR,
		"diagnosis": unix.NETLINK_SOCK_DIAG, "crypto": unix.NETLINK_CRYPTO,
	} {
		attempts = append(attempts, socket("netlink "+name, protocol, unix.AF_NETLINK, unix.SOCK_RAW, p))
	}
	return append(attempts,
		call("pair of TIPC", family, unix.SYS_SOCKETPAIR, unix.AF_TIPC, unix.SOCK_DGRAM, 0, page(8)),
		attempt{Op: "exec", Arg: "ip link add d0 type dummy 2>/dev/null || ip route add 1.2.3.4 dev lo 2>/dev/null; echo", want: "ok: 0"},
		attempt{Op: "exec", Arg: "ip route flush table local 2>/dev/null; nft flush ruleset 2>/dev/null; iptables -F 2>/dev/null; true", want: "ok: 0"},
	)
}

// TestOtherConventions makes system calls by conventions that the filter does
// not judge by number: the process ends, and the function can be called again.
func TestOtherConventions(t *testing.T) {
	a := open(t)
	fn := a.attacker(nil)
	for _, convention := range []string{"int 0x80", "x32"} {
		a.during(func() {
			got := a.call(fn, map[string]any{"do": "convention", "args": []string{convention}})
			if got.Error != "Unhandled" || !strings.Contains(got.Payload, "Runtime exited with error: signal: bad system call") {
				t.Errorf("%s: got %+v", convention, got)
			}
		})
		var out []string
		a.do(fn, map[string]any{"do": "ops", "ops": []attempt{{Op: "list", Arg: "/tmp"}}}, &out)
	}
}
