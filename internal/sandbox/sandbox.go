package sandbox

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Address is the platform's address inside every sandbox: the Runtime API,
// the name server and the platform's own endpoint listen on it.
const Address = "169.254.100.1"

// Config describes the machine's share that a Host may use.
type Config struct {
	Name     string // names this server's cgroups and images; a Host sweeps only what bears its Name
	Dir      string // scratch directory on a real disk, for /tmp images
	UIDBase  int    // first of the uids given to sandboxes; zero means 1,900,000,000
	UIDCount int    // zero means 10,000
	Log      *slog.Logger
}

// A Host owns what the sandboxes of one server share on this machine.
type Host struct{}

// Open checks what this machine can enforce, sweeps what an earlier Host of
// the same Name left behind (processes, cgroups, mounts, images), and prepares
// the shared parts. At most one Host of a Name may be open at a time.
func Open(cfg Config) (*Host, error) { panic("not built") }

// Limitations lists, as sentences for the operator, what this Host cannot
// enforce here (run as an ordinary user, a missing cgroup controller, …).
func (h *Host) Limitations() []string { panic("not built") }

// Close closes every sandbox and removes what the Host made.
func (h *Host) Close() error { panic("not built") }

// A Mount shows a directory of the machine inside a sandbox: read-only,
// nosuid, nodev.
type Mount struct {
	Source string // absolute path on the machine
	Target string // absolute path inside: /var/task, /var/runtime, /opt
}

// Spec says what a sandbox is made of.
type Spec struct {
	Memory   int64   // bytes; zero means no limit
	CPU      float64 // cores; zero means no limit
	Pids     int     // processes and threads; zero means 1024
	Tmp      int64   // size of /tmp in bytes, not charged to Memory
	Hostname string
	Mounts   []Mount

	// Redirect, when not zero, is the port on which the caller will Listen
	// for every TCP connection that a process makes to an address other than
	// Address and loopback; see OriginalDst. When zero such connections fail.
	Redirect uint16
}

// New makes a sandbox with its first process waiting inside. ctx bounds the
// making only. On error nothing is left behind.
func (h *Host) New(ctx context.Context, spec Spec) (*Sandbox, error) { panic("not built") }

// A Sandbox isolates processes: PID, mount, network, IPC, UTS and cgroup
// namespaces, a read-only root, a private /tmp, a uid of its own, no
// capabilities, no_new_privs, seccomp, Landlock where present, and the limits
// of its Spec. All methods are safe for concurrent use; any call after Close
// is harmless.
type Sandbox struct{}

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

// A Process is one that Start started.
type Process struct{}

// ExitStatus is how a process ended.
type ExitStatus struct {
	Code   int            // exit code when Signal is zero
	Signal syscall.Signal // or the signal that ended it
}

// Start runs cmd as the sandbox's unprivileged user. The caller keeps its
// descriptors and closes them. A path that is missing or not executable is an
// error here (errors.Is fs.ErrNotExist, fs.ErrPermission, or syscall.ENOEXEC).
func (s *Sandbox) Start(cmd Cmd) (*Process, error) { panic("not built") }

// Done is closed when the process has ended and Status is known.
func (p *Process) Done() <-chan struct{} { panic("not built") }

// Status returns how the process ended; valid once Done is closed.
func (p *Process) Status() ExitStatus { panic("not built") }

// Signal sends sig to the process.
func (p *Process) Signal(sig syscall.Signal) error { panic("not built") }

// KillAll kills every process in the sandbox but the first and returns once
// they are gone, so that Start can begin afresh in the same /tmp.
func (s *Sandbox) KillAll() error { panic("not built") }

// Attach adds a mount to a running sandbox.
func (s *Sandbox) Attach(m Mount) error { panic("not built") }

// Listen listens on TCP inside the sandbox's network namespace. Connections
// are served by this process, outside.
func (s *Sandbox) Listen(addr netip.AddrPort) (*net.TCPListener, error) { panic("not built") }

// ListenUDP does the same for UDP.
func (s *Sandbox) ListenUDP(addr netip.AddrPort) (*net.UDPConn, error) { panic("not built") }

// OriginalDst returns the address that the process inside wanted to reach, of
// a connection accepted on the Spec's Redirect port.
func OriginalDst(c *net.TCPConn) (netip.AddrPort, error) { panic("not built") }

// Stats is what a sandbox has used so far.
type Stats struct {
	PeakMemory int64 // bytes, highest since the last ResetPeak; zero where unknown
	CPU        time.Duration
	OOMKills   int // times the kernel killed a process for the memory limit
}

// Stats reads the sandbox's counters.
func (s *Sandbox) Stats() (Stats, error) { panic("not built") }

// ResetPeak restarts the measurement of PeakMemory.
func (s *Sandbox) ResetPeak() error { panic("not built") }

// SetCPU changes the CPU limit, in cores; zero lifts it.
func (s *Sandbox) SetCPU(cores float64) error { panic("not built") }

// Freeze stops every process of the sandbox where it stands, until Thaw.
func (s *Sandbox) Freeze() error { panic("not built") }

// Thaw undoes Freeze.
func (s *Sandbox) Thaw() error { panic("not built") }

// Done is closed when the sandbox's first process has ended, and everything
// in it with it.
func (s *Sandbox) Done() <-chan struct{} { panic("not built") }

// Close kills everything inside and frees all that the sandbox used. It
// returns once nothing is left, and is idempotent.
func (s *Sandbox) Close() error { panic("not built") }

// Main runs the sandbox's first process when this program was started as
// such, and never returns then; otherwise it returns at once. A program that
// makes sandboxes calls it first thing in main (tests: in TestMain).
func Main() {}
