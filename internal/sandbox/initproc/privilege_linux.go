package initproc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// kept are the capabilities that pid 1 needs while it serves: to attach
// mounts, to end processes, to find the System V objects that they leave, to
// change a new process's user, to empty the spawner's bounding set, and to
// listen on ports below 1024. The network's set-up needs another.
const (
	kept = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_KILL | 1<<unix.CAP_IPC_OWNER |
		1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_NET_BIND_SERVICE
	setUpOnly = 1 << unix.CAP_NET_ADMIN
)

// The limits of every process inside: Lambda's own, but for core dumps, which
// nobody could collect. One byte, and not none, keeps the kernel from handing
// a dump to the machine's collector as well, a program that runs as root.
const (
	maxCore      = 1
	maxFiles     = 1024
	maxProcesses = 742
	maxStack     = 8 << 20
)

// A Limit is one of setrlimit(2), soft and hard.
type Limit struct{ Resource, Value int }

// Limits are those of every process inside. files is how many descriptors each
// may have; zero means the default.
func Limits(rootless bool, files int) []Limit {
	if files == 0 {
		files = maxFiles
	}
	limits := []Limit{
		{unix.RLIMIT_CORE, maxCore},
		{unix.RLIMIT_STACK, maxStack},
		{unix.RLIMIT_NOFILE, files},
	}
	if !rootless { // the count is per uid: the user's other processes would be counted
		limits = append(limits, Limit{unix.RLIMIT_NPROC, maxProcesses})
	}
	return limits
}

// setLimits sets what every process inside inherits.
func setLimits(rootless bool, files int) error {
	for _, l := range Limits(rootless, files) {
		// syscall's, not unix's: it makes ForkExec leave the limit alone.
		var old syscall.Rlimit
		if err := syscall.Getrlimit(l.Resource, &old); err != nil {
			return failed("getrlimit", err)
		}
		v := min(uint64(l.Value), old.Max) // without CAP_SYS_RESOURCE it cannot rise
		if err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: v, Max: v}); err != nil {
			return failed("setrlimit", err)
		}
	}
	unix.Umask(0o022)
	return nil
}

// capability sets of this thread, as capset(2) wants them.
func capArgs(set uint64) (*unix.CapUserHeader, *[2]unix.CapUserData) {
	hdr := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	lo, hi := uint32(set), uint32(set>>32)
	return hdr, &[2]unix.CapUserData{{Effective: lo, Permitted: lo}, {Effective: hi, Permitted: hi}}
}

// setCaps gives the calling thread the given capabilities and no others.
func setCaps(set uint64) error {
	hdr, data := capArgs(set)
	return failed("capset", unix.Capset(hdr, &data[0]))
}

// heldCaps returns the calling thread's permitted capabilities.
func heldCaps() (uint64, error) {
	hdr, data := capArgs(0)
	if err := unix.Capget(hdr, &data[0]); err != nil {
		return 0, failed("capget", err)
	}
	return uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32, nil
}

// dropInit leaves the calling thread, and those cloned from it later, no
// capabilities but those in set. It cannot fail: what a thread has it may
// give up. Each thread that does the server's bidding calls it for itself, for
// to do it in all at once takes the Go runtime a good part of pid 1's start.
func dropInit(set uint64) {
	held, err := heldCaps()
	if err == nil && held&^set != 0 {
		err = setCaps(held & set)
	}
	if err != nil {
		panic("pid 1 cannot give up capabilities")
	}
}

// dropBounds empties the calling thread's bounding and ambient sets, so that
// nothing it executes gains a capability.
func dropBounds() error {
	for c := uintptr(0); c < 64; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err == unix.EINVAL { // one beyond the kernel's last
			break
		}
		if err != nil {
			return failed("capability bounding set", err)
		}
	}
	err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	return failed("ambient capabilities", err)
}
