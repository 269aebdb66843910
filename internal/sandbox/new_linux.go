package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/initproc"
)

// defaultPids is the number of processes and threads where a Spec says none.
const defaultPids = 1024

func (s Spec) pids() int {
	if s.Pids == 0 {
		return defaultPids
	}
	return s.Pids
}

// ports lists TCP and UDP as pid 1 takes them.
func (s Spec) ports() (l []initproc.Port) {
	for _, addr := range s.TCP {
		l = append(l, initproc.Port{Net: initproc.TCP, IP: addr.Addr().Unmap().As4(), Number: addr.Port()})
	}
	for _, addr := range s.UDP {
		l = append(l, initproc.Port{Net: initproc.UDP, IP: addr.Addr().Unmap().As4(), Number: addr.Port()})
	}
	return l
}

var validHostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$`)

// check refuses what cannot be meant.
func (s Spec) check() error {
	if s.Memory < 0 || s.CPU < 0 || s.Pids < 0 || s.Files < 0 || s.Tmp <= 0 {
		return errors.New("a limit of the sandbox is negative, or /tmp has no size")
	}
	if s.Hostname != "" && !validHostname.MatchString(s.Hostname) {
		return fmt.Errorf("host name %q", s.Hostname)
	}
	for _, m := range s.Mounts {
		if err := m.check(); err != nil {
			return err
		}
	}
	ports := slices.Concat(s.TCP, s.UDP)
	if len(ports) > initproc.MaxPorts {
		return fmt.Errorf("%d ports to listen on, more than %d", len(ports), initproc.MaxPorts)
	}
	for _, addr := range ports {
		if !addr.Addr().Unmap().Is4() {
			return fmt.Errorf("listen on %s: %w", addr, syscall.EAFNOSUPPORT)
		}
	}
	return nil
}

// New makes a sandbox with its first process waiting inside. ctx bounds the
// making only. On error nothing is left behind.
func (h *Host) New(ctx context.Context, spec Spec) (made *Sandbox, err error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	if spec.Hostname == "" {
		spec.Hostname = "sandbox"
	}
	s := h.newSandbox(rand.Text()[:16])
	if err := h.adopt(s); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			made = nil
			err = fmt.Errorf("make sandbox: %w", errors.Join(err, s.Close()))
		}
	}()
	return s, s.build(ctx, spec)
}

func (h *Host) newSandbox(id string) *Sandbox {
	return &Sandbox{
		host:      h,
		id:        id,
		done:      make(chan struct{}),
		closing:   make(chan struct{}),
		processes: map[int]*Process{},
		ports:     map[initproc.Port]*os.File{},
	}
}

// build makes what the sandbox is made of. The Host can be closed meanwhile:
// then Close waits for it, and undoes it. Where Close came first nothing is
// made, for nobody would undo it.
func (s *Sandbox) build(ctx context.Context, spec Spec) error {
	s.state.Lock()
	defer s.state.Unlock()
	select {
	case <-s.closing:
		return os.ErrClosed
	default:
	}
	var parts parts
	defer parts.close()
	if err := s.claim(&parts); err != nil {
		return err
	}
	if err := s.startPID1(); err != nil {
		return err
	}
	// Pid 1 takes its time to start: meanwhile the rest is made.
	if err := s.gather(ctx, spec, &parts); err != nil {
		return err
	}
	if err := s.setUp(ctx, spec, &parts); err != nil {
		return err
	}
	if s.group != nil {
		return s.group.limit(spec)
	}
	return nil
}

// parts is what pid 1 is given, in the order of initproc.Config.
type parts struct {
	root, tmp        *os.File
	mounts, tasks    []*os.File
	targets, sources []string
}

func (p *parts) files() (all []*os.File) {
	for _, f := range []*os.File{p.root, p.tmp} {
		if f != nil {
			all = append(all, f)
		}
	}
	return append(append(all, p.mounts...), p.tasks...)
}

// close closes what pid 1 has got by now.
func (p *parts) close() {
	for _, f := range p.files() {
		f.Close() // a mount that nobody holds is gone
	}
}

// claim takes the sandbox's uid and makes its cgroup.
func (s *Sandbox) claim(p *parts) (err error) {
	h := s.host
	if h.uids != nil {
		if s.uid, err = h.uids.take(); err != nil {
			return err
		}
	}
	if h.groups != nil {
		if s.group, err = h.groups.create(s.id); err != nil {
			return fmt.Errorf("make cgroup: %w", err)
		}
		if p.tasks, err = s.group.tasks(); err != nil {
			return fmt.Errorf("open cgroup: %w", err)
		}
	}
	return nil
}

// gather makes the sandbox's root, /tmp and mounts.
func (s *Sandbox) gather(ctx context.Context, spec Spec, p *parts) (err error) {
	h := s.host
	if h.roots != nil {
		if p.root, err = h.roots.clone(); err != nil {
			return err
		}
	}
	if h.disks != nil {
		if s.disk, err = h.disks.take(ctx, spec.Tmp); err != nil {
			return fmt.Errorf("make /tmp: %w", err)
		}
		if p.tmp, err = s.disk.mount(); err != nil {
			return fmt.Errorf("make /tmp: %w", err)
		}
	}
	for _, m := range spec.Mounts {
		p.targets = append(p.targets, m.Target)
		if h.rootless { // only pid 1 may mount
			p.sources = append(p.sources, m.Source)
			continue
		}
		f, err := m.open()
		if err != nil {
			return err
		}
		p.mounts = append(p.mounts, f)
	}
	return nil
}

// rootlessCaps are what pid 1 needs, in its user namespace, to set up. Not
// being root there, it would lose them as it is executed.
var rootlessCaps = []uintptr{
	unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_SETPCAP, unix.CAP_KILL,
}

// helperEnv keeps the Go runtime of pid 1 small: a free P keeps its monitor
// from taking the P of a thread in a system call, and there is no garbage to
// speak of. None of it reaches the processes inside.
var helperEnv = []string{"GOMAXPROCS=3", "GOGC=off", "GOMEMLIMIT=8MiB", "GODEBUG=containermaxprocs=0,updatemaxprocs=0"}

// startPID1 starts the first process in its namespaces.
func (s *Sandbox) startPID1() (err error) {
	var theirs []*os.File
	if s.control, theirs, err = newControl(s.closing, s.processExited); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	defer closeFiles(theirs)
	attr := &os.ProcAttr{
		Dir:   "/",
		Env:   helperEnv,
		Files: append([]*os.File{s.host.null, s.host.null, s.host.null}, theirs...),
		Sys: &syscall.SysProcAttr{
			Setsid: true, // a terminal's signals are not for it
			Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET |
				unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		},
	}
	if s.host.rootless {
		uid, gid := os.Geteuid(), os.Getegid()
		attr.Sys.Cloneflags |= unix.CLONE_NEWUSER
		attr.Sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.Sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		attr.Sys.AmbientCaps = rootlessCaps
	}
	if s.group != nil {
		dir, err := s.group.dir()
		if err != nil {
			return err
		}
		if dir != nil {
			defer dir.Close()
			attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(dir.Fd())
		}
	}
	if s.pid1, err = start(helperPath(s.host.helper), []string{initproc.Name}, attr); err != nil {
		return fmt.Errorf("start pid 1: %w", err)
	}
	go s.control.read(s.processStarted)
	go s.watch()
	return nil
}

// setUp tells pid 1 what to be and waits until it is.
func (s *Sandbox) setUp(ctx context.Context, spec Spec, p *parts) error {
	cfg := initproc.Config{
		UID: uint32(s.uid), GID: uint32(s.uid),
		Rootless: s.host.rootless,
		Hostname: spec.Hostname,
		HasRoot:  p.root != nil,
		HasTmp:   p.tmp != nil,
		TmpSize:  spec.Tmp,
		Targets:  p.targets,
		Sources:  p.sources,
		Tasks:    len(p.tasks),
		Redirect: spec.Redirect,
		Filter:   s.host.filter,
		Files:    spec.Files,
		Ports:    spec.ports(),
	}
	if s.host.rootless {
		cfg.UID, cfg.GID = uint32(os.Geteuid()), uint32(os.Getegid())
	}
	if err := send(s.control.conn, cfg.Marshal(), p.files()); err != nil {
		return fmt.Errorf("direct pid 1: %w", err)
	}
	ready, err := s.control.await(ctx, s.control.ready)
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	s.missing = ready.Missing
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(ready.ports) != len(cfg.Ports) {
		closeFiles(ready.ports)
		return fmt.Errorf("set up: %d sockets of %d came", len(ready.ports), len(cfg.Ports))
	}
	for i, port := range cfg.Ports {
		s.ports[port] = ready.ports[i]
	}
	return nil
}
