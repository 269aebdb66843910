package escape

import (
	"fmt"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// paths is the same attempt at many paths.
func paths(op, want string, paths ...string) (list []attempt) {
	for _, p := range paths {
		list = append(list, attempt{Op: op, Arg: p, want: want})
	}
	return list
}

// TestMachinesFiles tries to read what is the machine's, the server's and
// other functions'.
func TestMachinesFiles(t *testing.T) { tryAll(t, machinesFiles) }

func machinesFiles(a *arena) []attempt {
	packages, err := filepath.Glob(filepath.Join(a.Data, "packages", "unpacked", "*", "app.py"))
	if err != nil || len(packages) == 0 {
		a.t.Fatalf("the victim's code is not where it was expected: %v (%v)", packages, err)
	}
	attempts := paths("list", "ENOENT",
		a.Data, filepath.Join(a.Data, "packages"), filepath.Dir(packages[0]), filepath.Join(a.Data, "logs"),
		"/root", "/home", "/srv", "/boot", "/media", "/etc/ssl/private", "/etc/ssh", "/var/lib", "/var/log",
		"/var/cache", "/var/spool", "/var/mail", "/lost+found", "/sys/fs", "/sys/kernel", "/sys/class",
		"/dev/pts", "/dev/mapper", "/dev/net", "/dev/input", "/run/lock", "/run/user", "/run/systemd")
	attempts = append(attempts, paths("read", "ENOENT",
		packages[0], filepath.Join(a.Data, "secret"), filepath.Join(a.Data, "admin.sock"),
		"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/sudoers", "/etc/fstab", "/etc/crontab", "/etc/machine-id",
		"/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/loop0", "/dev/loop-control",
		"/dev/fuse", "/dev/kvm", "/dev/vsock", "/dev/ptmx", "/dev/tty", "/dev/console", "/dev/hwrng", "/dev/userfaultfd",
		"/var/run/docker.sock", "/.dockerenv", "/initrd.img")...)
	attempts = append(attempts, paths("list", "ok", "/opt", "/mnt", "/sys", "/tmp", "/dev/shm", "/var/lang")...)
	attempts = append(attempts,
		attempt{Op: "list", Arg: "/run", want: "ok: group hostname hosts passwd"},
		attempt{Op: "list", Arg: "/var", want: "ok: lang program run runtime task"},
		attempt{Op: "list", Arg: "/dev", want: "ok: fd full null random shm stderr stdin stdout urandom zero"},
		attempt{Op: "read", Arg: "/etc/passwd", want: "ok: root:x:0:0:root:/root:/sbin/nologin\n…"},
	)
	return attempts
}

// TestMachinesProc tries to learn of and to act on other processes and the
// machine through /proc.
func TestMachinesProc(t *testing.T) { tryAll(t, machinesProc) }

func machinesProc(a *arena) []attempt {
	server := fmt.Sprintf("/proc/%d/", a.PID())
	attempts := paths("read", "ENOENT",
		server+"environ", server+"cmdline", server+"maps", server+"mem", server+"status",
		"/proc/1/environ", "/proc/1/cmdline", "/proc/1/maps", "/proc/1/mem", "/proc/1/root/etc/shadow",
		"/proc/1/cwd/etc/shadow", "/proc/1/stack", "/proc/1/auxv", "/proc/2/status", "/proc/1/task/1/mem")
	attempts = append(attempts, paths("list", "ENOENT", server+"fd", server+"root", server+"cwd",
		"/proc/1", "/proc/1/fd", "/proc/1/root", "/proc/1/ns", "/proc/1/map_files")...)
	// What the kernel has of these is covered by /dev/null, or root's alone.
	attempts = append(attempts, paths("read", "ok or ENOENT or EACCES or EPERM",
		"/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kallsyms", "/proc/kmsg", "/proc/sysrq-trigger",
		"/proc/timer_list", "/proc/sched_debug", "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup",
		"/proc/config.gz", "/proc/modules", "/proc/slabinfo", "/proc/vmallocinfo", "/proc/iomem", "/proc/ioports",
		"/proc/interrupts", "/proc/swaps", "/proc/partitions", "/proc/diskstats", "/proc/sys/kernel/cad_pid",
	)...)
	attempts = append(attempts, paths("write", "EACCES or EROFS or ENOENT",
		"/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/kernel/modprobe",
		"/proc/sys/kernel/randomize_va_space", "/proc/sys/kernel/ns_last_pid", "/proc/sys/vm/drop_caches",
		"/proc/sys/vm/overcommit_memory", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ping_group_range",
		"/proc/sys/fs/binfmt_misc/register", "/proc/sys/fs/suid_dumpable", "/proc/irq/default_smp_affinity",
		"/proc/1/oom_score_adj", "/proc/mtrr", "/proc/acpi/wakeup")...)
	attempts = append(attempts,
		attempt{Op: "write", Arg: "/proc/self/uid_map", To: "0 0 1\n", want: "EPERM"},
		attempt{Op: "write", Arg: "/proc/self/gid_map", To: "0 0 1\n", want: "EPERM"},
		attempt{Op: "write", Arg: "/proc/self/oom_score_adj", To: "-1000\n", want: "EACCES"},
	)
	if capable(a.t, a.PID(), unix.CAP_SYS_RESOURCE) { // else the server cannot keep a function from it
		attempts = append(attempts, attempt{Op: "write", Arg: "/proc/self/oom_score_adj", To: "0\n", want: "EACCES"})
	}
	return attempts
}

// TestReadOnly tries to change what is shared: the machine's programs and
// settings, the function's own code, the bootstraps.
func TestReadOnly(t *testing.T) { tryAll(t, readOnly) }

func readOnly(a *arena) []attempt {
	// Whoever owns a program finds it busy before finding that it is read-only.
	attempts := paths("write", "EROFS or EACCES or EPERM or ETXTBSY",
		"/x", "/usr/x", "/usr/bin/x", "/usr/bin/python3", "/usr/lib/x", "/usr/local/bin/x", "/bin/x", "/lib/x",
		"/etc/x", "/etc/passwd", "/etc/resolv.conf", "/etc/ld.so.preload", "/etc/ssl/certs/x", "/run/x", "/run/hosts",
		"/var/x", "/var/task/x", "/var/task/bootstrap", "/var/task/attacker.py", "/var/runtime/x", "/var/runtime/bootstrap.py",
		"/var/runtime/python/bootstrap.py", "/opt/x", "/opt/bootstrap", "/mnt/x", "/dev/x", "/dev/sda", "/sys/x")
	for _, name := range []string{"/usr/bin/python3.11", "/var/task", "/etc/resolv.conf", "/dev/null"} {
		attempts = append(attempts,
			attempt{Op: "syscall", Nr: unix.SYS_FCHMODAT, Args: []any{unix.AT_FDCWD, name, 0o7777}, name: "chmod " + name, want: "EROFS or EPERM or EACCES"},
			attempt{Op: "syscall", Nr: unix.SYS_UNLINKAT, Args: []any{unix.AT_FDCWD, name, 0}, name: "unlink " + name, want: "EROFS or EPERM or EACCES or EISDIR or EBUSY"},
			attempt{Op: "syscall", Nr: unix.SYS_RENAMEAT2, Args: []any{unix.AT_FDCWD, name, unix.AT_FDCWD, "/tmp/x", 0}, name: "rename " + name, want: "EROFS or EXDEV or EBUSY or EACCES"},
			attempt{Op: "syscall", Nr: unix.SYS_TRUNCATE, Args: []any{name, 0}, name: "truncate " + name, want: "EROFS or EACCES or EISDIR or EINVAL"},
			attempt{Op: "syscall", Nr: unix.SYS_SETXATTR, Args: []any{name, "user.x", "x", 1, 0}, name: "setxattr " + name, want: "EROFS or EPERM or EACCES"},
		)
	}
	return attempts
}

// TestLinks follows links out of /tmp, and makes device nodes there.
func TestLinks(t *testing.T) { tryAll(t, links) }

func links(a *arena) []attempt {
	const blockDevice = unix.S_IFBLK | 0o666
	const charDevice = unix.S_IFCHR | 0o666
	device := func(major, minor uint32) int { return int(unix.Mkdev(major, minor)) }
	attempts := []attempt{
		{Op: "symlink", Arg: "/etc/shadow", To: "/tmp/shadow", want: "ok"},
		{Op: "read", Arg: "/tmp/shadow", want: "ENOENT"},
		{Op: "symlink", Arg: "/proc/1/root", To: "/tmp/root", want: "ok"},
		{Op: "list", Arg: "/tmp/root/", want: "ENOENT"},
		{Op: "symlink", Arg: "../../../../../../.." + a.Data, To: "/tmp/data", want: "ok"},
		{Op: "list", Arg: "/tmp/data/", want: "ENOENT"},
		{Op: "symlink", Arg: "/usr/bin/x", To: "/tmp/x", want: "ok"},
		{Op: "write", Arg: "/tmp/x", want: "EROFS or EACCES"},
		{Op: "symlink", Arg: "/proc/self/exe", To: "/tmp/exe", want: "ok"},
		{Op: "write", Arg: "/tmp/exe", want: "EROFS or EACCES or ETXTBSY"},
		{Op: "link", Arg: "/usr/bin/su", To: "/tmp/su", want: "EXDEV"},
		{Op: "link", Arg: "/etc/passwd", To: "/tmp/passwd", want: "EXDEV"},
		{Op: "link", Arg: "/dev/null", To: "/tmp/null", want: "EXDEV"},
		{Op: "list", Arg: "/tmp/../../../..", want: "ok: bin dev etc …"},
		{Op: "syscall", name: "mknod of a disk", Nr: unix.SYS_MKNODAT, Args: []any{unix.AT_FDCWD, "/tmp/disk", blockDevice, device(254, 0)}, want: "EPERM"},
		{Op: "syscall", name: "mknod of the memory", Nr: unix.SYS_MKNODAT, Args: []any{unix.AT_FDCWD, "/tmp/mem", charDevice, device(1, 1)}, want: "EPERM"},
		{Op: "syscall", name: "mknod of a loop device", Nr: unix.SYS_MKNODAT, Args: []any{unix.AT_FDCWD, "/dev/shm/loop", blockDevice, device(7, 0)}, want: "EPERM"},
	}
	return attempts
}

// TestSelf looks at what a function's process was given: descriptors,
// environment, identity, mounts.
func TestSelf(t *testing.T) { tryAll(t, self) }

func self(a *arena) []attempt {
	attempts := []attempt{
		{Op: "exec", Arg: "grep -h -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status | tr -d ' \\t\\n'", want: "ok: 0 " +
			"Groups:CapInh:0000000000000000CapPrm:0000000000000000CapEff:0000000000000000CapBnd:0000000000000000" +
			"CapAmb:0000000000000000NoNewPrivs:1Seccomp:2"},
		// Only /tmp, /dev/shm and /proc can be written to, and no mount has set-uid programs.
		{Op: "exec", Arg: "grep -v nosuid /proc/self/mounts", want: "ok: 1"},
		{Op: "exec", Arg: "awk '{ split($4, o, \",\"); if (o[1] != \"ro\") print $2 }' /proc/self/mounts | sort | tr '\\n' ' '", want: "ok: 0 /dev/shm /proc /tmp"},
		{Op: "exec", Arg: "cat /proc/self/cgroup | grep -c -i millicent", want: "ok: 1 0"},
		// Every process that is seen is the function's own.
		{Op: "exec", Arg: "for p in /proc/[0-9]*; do [ -O $p ] || echo $p; done", want: "ok: 0"},
		// Where its code lies on the machine's disk, and what it was compiled
		// to, is all that it can tell of that.
		{Op: "exec", Arg: "grep -c " + a.Data + " /proc/self/mountinfo", want: "ok: 0 3 or ok: 0 4"},
		// Sockets are to the Runtime API alone, pipes are the log.
		{Op: "exec", Arg: "ls -l /proc/$PPID/fd | grep -v -E 'pipe:|socket:|/dev/null|anon_inode:|total|/proc/'", want: "ok: 1"},
		{Op: "exec", Arg: "awk 'NR > 1 && $4 == \"01\" { print $3 }' /proc/net/tcp | grep -v '^0164FEA9:'", want: "ok: 1"},
		{Op: "exec", Arg: "ip -o link 2>/dev/null | grep -v ' lo:' ; cat /proc/net/dev | grep ':' | grep -v ' lo:'", want: "ok: 1"},
		{Op: "exec", Arg: "env | grep -i -E 'MILLICENT|" + serverSecret + "|" + victimSecret + "'", want: "ok: 1"},
		{Op: "exec", Arg: "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -v -E '^_MILLICENT_(LINK_FD|STEM)=' | grep -i -E 'MILLICENT|" + serverSecret + "|" + victimSecret + "'", want: "ok: 1"},
		{Op: "exec", Arg: "cat /proc/self/limits | awk '/processes|open files|core file/ { print $(NF-1) }' | tr '\\n' ' '", want: "ok: 0 1 742 1024"},
	}
	return attempts
}
