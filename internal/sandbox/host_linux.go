package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/initproc"
)

// A Host owns what the sandboxes of one server share on this machine.
type Host struct {
	cfg      Config
	log      *slog.Logger
	rootless bool
	locks    []*os.File // of Dir and of the cgroups
	helper   *os.File   // nil: this program itself
	null     *os.File
	filter   []byte  // of system calls
	uids     *uids   // nil when rootless
	groups   cgroups // nil without
	roots    *roots  // nil when rootless
	disks    *disks  // nil without
	limits   []string

	stopGuard chan struct{} // ends guardDisk; nil without disks
	guard     sync.WaitGroup
	ending    chan struct{} // has room for each sandbox that is being freed

	mu        sync.Mutex
	closed    bool
	sandboxes map[*Sandbox]struct{}
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// maxEnding bounds how many sandboxes are freed at a time: the kernel does
// much of it under locks that those being made want as well.
const maxEnding = 4

// closeTimeout bounds the end of a sandbox: the kernel's own work.
const closeTimeout = 30 * time.Second

// Open checks what this machine can enforce, sweeps what an earlier Host of
// the same Name left behind (processes, cgroups, mounts, images), and prepares
// the shared parts. At most one Host of a Name may be open at a time.
func Open(cfg Config) (open *Host, err error) {
	if !validName.MatchString(cfg.Name) {
		return nil, fmt.Errorf("sandbox host name %q: letters, digits, '.', '_' and '-' only", cfg.Name)
	}
	if !filepath.IsAbs(cfg.Dir) {
		return nil, fmt.Errorf("sandbox directory %q is not absolute", cfg.Dir)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &Host{
		cfg:       cfg,
		log:       cfg.Log,
		rootless:  os.Geteuid() != 0,
		filter:    initproc.Filter(),
		ending:    make(chan struct{}, maxEnding),
		sandboxes: map[*Sandbox]struct{}{},
	}
	defer func() {
		if err != nil {
			open, err = nil, errors.Join(err, h.release())
		}
	}()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := h.lock(cfg.Dir); err != nil {
		return nil, err
	}
	if h.helper, err = openHelper(); err != nil {
		return nil, fmt.Errorf("open helper: %w", err)
	}
	if h.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	if err := h.openGroups(); err != nil {
		return nil, err
	}
	if err := h.sweep(); err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	if err := h.openParts(); err != nil {
		return nil, err
	}
	return h, h.probe()
}

// lock makes sure that no other Host works in dir, until release.
func (h *Host) lock(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("another server uses %s: %w", dir, err), f.Close())
	}
	h.locks = append(h.locks, f)
	return nil
}

// openGroups finds the cgroups, or tells what is missing.
func (h *Host) openGroups() error {
	groups, err := openCgroups(h.cfg.Name)
	if err != nil {
		h.limited("memory, CPU and the number of processes are not limited, and idle processes not frozen: no cgroups (%v)%s", err, h.advice())
		return nil
	}
	if err := h.lock(groups.home()); err != nil {
		return err
	}
	h.groups = groups
	for _, l := range groups.limitations() {
		h.limited("%s", l)
	}
	return nil
}

// advice tells an ordinary user how to have cgroups.
func (h *Host) advice() string {
	if !h.rootless {
		return ""
	}
	return "; " + alone(false)
}

// sweep ends what an earlier Host of the same Name left. Its disks and
// namespaces end with its processes.
func (h *Host) sweep() error {
	if h.groups == nil {
		return nil
	}
	left, err := h.groups.leftovers()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		h.log.Info("sweeping sandboxes of an earlier server", "sandboxes", len(left))
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	for _, g := range left {
		if err := errors.Join(g.kill(ctx), g.remove(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// openParts prepares roots, disks and uids.
func (h *Host) openParts() (err error) {
	if h.rootless {
		h.limited("run as an ordinary user: all sandboxes share this user's uid")
		h.limited("run as an ordinary user: /tmp is kept in memory and counts as such")
		h.limited("run as an ordinary user: mounts cannot be added to a running sandbox")
		return nil
	}
	h.uids = newUIDs(h.cfg.UIDBase, h.cfg.UIDCount)
	if h.roots, err = openRoots(); err != nil {
		return fmt.Errorf("build the sandboxes' root: %w", err)
	}
	if h.disks, err = openDisks(h.cfg.Dir, h.log); err != nil {
		h.disks = nil
		h.limited("/tmp is kept in memory and counts as such: no loop devices (%v)", err)
		return nil
	}
	h.stopGuard = make(chan struct{})
	h.guard.Go(func() { h.guardDisk(h.stopGuard) })
	return nil
}

// probe makes a sandbox to see that it works, and what is missing.
func (h *Host) probe() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	s, err := h.New(ctx, Spec{Tmp: 1 << 20, Redirect: 1})
	if err != nil {
		return fmt.Errorf("this machine cannot make sandboxes: %w%s", err, h.forbidden())
	}
	for _, m := range s.missing {
		h.limited("%s", lacks[m])
	}
	err = s.Close()
	if h.disks != nil {
		err = errors.Join(err, h.disks.clearStock()) // nobody wants another of that size
	}
	return err
}

// forbidden explains to an ordinary user why there are no sandboxes, where the
// machine's settings say so.
func (h *Host) forbidden() string {
	if !h.rootless {
		return ""
	}
	return userNamespaces("/proc/sys")
}

// lacks explains what pid 1 finds missing.
var lacks = map[string]string{
	"landlock": "the kernel has no Landlock: file access is limited by mounts and permissions alone",
	"nftables": "the kernel cannot redirect connections (nftables NAT): processes have no outbound network",
}

func (h *Host) limited(format string, args ...any) {
	h.limits = append(h.limits, fmt.Sprintf(format, args...))
}

// Limitations lists, as sentences for the operator, what this Host cannot
// enforce here (run as an ordinary user, a missing cgroup controller, …).
func (h *Host) Limitations() []string { return append([]string(nil), h.limits...) }

// SpareDisks returns how many disks are kept for sandboxes to come, beside
// those of the sandboxes that there are. They go when nobody wants them for a
// while.
func (h *Host) SpareDisks() int {
	if h.disks == nil {
		return 0
	}
	return h.disks.spare()
}

// Close closes every sandbox and removes what the Host made.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	var open []*Sandbox
	for s := range h.sandboxes {
		open = append(open, s)
	}
	h.mu.Unlock()
	errs := make([]error, len(open))
	var wg sync.WaitGroup
	for i, s := range open {
		wg.Go(func() { errs[i] = s.Close() })
	}
	wg.Wait()
	return errors.Join(append(errs, h.release())...)
}

// release frees the shared parts.
func (h *Host) release() error {
	var errs []error
	if h.stopGuard != nil {
		close(h.stopGuard)
		h.guard.Wait()
	}
	if h.roots != nil {
		h.roots.close()
	}
	if h.disks != nil {
		errs = append(errs, h.disks.close())
	}
	if h.groups != nil {
		errs = append(errs, h.groups.remove())
	}
	for _, f := range append(h.locks, h.helper, h.null) {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// adopt registers a sandbox that is about to be made.
func (h *Host) adopt(s *Sandbox) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return os.ErrClosed
	}
	h.sandboxes[s] = struct{}{}
	return nil
}

func (h *Host) forget(s *Sandbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sandboxes, s)
}
