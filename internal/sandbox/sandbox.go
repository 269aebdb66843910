package sandbox

import (
	"log/slog"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/millicent-run/millicent/internal/sandbox/rootfs"
)

// Address is the platform's address inside every sandbox: the Runtime API,
// the name server and the platform's own endpoint listen on it.
const Address = "169.254.100.1"

// Config describes the machine's share that a Host may use.
type Config struct {
	Name     string // names this server's cgroups and images; a Host sweeps only what bears its Name
	Dir      string // scratch directory on a real disk, for /tmp images
	UIDBase  int    // first of the uids given to sandboxes; zero means 1,900,000,000
	UIDCount int    // zero means 200,000,000
	Log      *slog.Logger
}

// A Mount shows a directory of the machine inside a sandbox: read-only,
// nosuid, nodev. At Program it shows a file.
type Mount struct {
	Source string // absolute path on the machine
	Target string // absolute path inside: /var/task, /var/runtime, /opt
}

// Program is where the mount of Host.Self is.
const Program = rootfs.Program

// Spec says what a sandbox is made of.
type Spec struct {
	Memory     int64   // bytes; zero means no limit
	CPU        float64 // cores; zero means no limit
	Pids       int     // processes and threads; zero means 1024
	Files      int     // descriptors of each process; zero means 1024
	Background bool    // see SetBackground
	Tmp        int64   // size of /tmp in bytes, not charged to Memory
	Hostname   string
	Mounts     []Mount

	// TCP and UDP are where the caller will Listen: sockets that are made with
	// the sandbox take less time than those made later.
	TCP, UDP []netip.AddrPort

	// Redirect, when not zero, is the port on which the caller will Listen
	// for every TCP connection that a process makes to an address other than
	// Address and loopback; see OriginalDst. When zero such connections fail.
	Redirect uint16
}

// Cmd is a process to run inside a sandbox.
type Cmd struct {
	Path  string   // absolute path inside
	Args  []string // with the program's name first
	Env   []string // KEY=value, complete: nothing is inherited
	Dir   string   // absolute path inside
	Stdin *os.File // nil is /dev/null, as for the others
	Stdout,
	Stderr *os.File
	ExtraFiles []*os.File // become descriptors 3, 4, …
}

// ExitStatus is how a process ended.
type ExitStatus struct {
	Code   int            // exit code when Signal is zero
	Signal syscall.Signal // or the signal that ended it
}

// Stats is what a sandbox has used so far.
type Stats struct {
	PeakMemory int64 // bytes, highest since the last ResetPeak; zero where unknown
	CPU        time.Duration
	OOMKills   int // times the kernel killed a process for the memory limit
}
