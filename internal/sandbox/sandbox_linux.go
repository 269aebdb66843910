package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/millicent-run/millicent/internal/sandbox/initproc"
)

// A Sandbox isolates processes: PID, mount, network, IPC, UTS and cgroup
// namespaces, a read-only root, a private /tmp, a uid of its own, no
// capabilities, no_new_privs, seccomp, Landlock where present, and the limits
// of its Spec. All methods are safe for concurrent use; any call after Close
// is harmless.
type Sandbox struct {
	host    *Host
	id      string
	uid     int   // zero when rootless
	group   group // nil without cgroups
	disk    *disk // nil when /tmp is a tmpfs
	control *control
	pid1    *pid1
	missing []string
	done    chan struct{} // closed when pid 1 has ended; never when it was never started

	state  sync.Mutex // held while the sandbox is made, frozen, thawed, emptied or starts a process
	frozen bool
	heir   bool // pid 1 has what it thaws the rest with

	mu        sync.Mutex
	processes map[int]*Process           // by pid inside
	ports     map[initproc.Port]*os.File // of the Spec, until they are asked for

	closing   chan struct{} // closed when Close begins
	closeOnce sync.Once
	closeErr  error
}

// askTimeout bounds what pid 1 is asked to do while the sandbox runs.
const askTimeout = 30 * time.Second

// ask sends r to pid 1 and waits for the answer.
func (s *Sandbox) ask(r initproc.Request, files ...*os.File) (answer, error) {
	select {
	case <-s.closing:
		return answer{}, errEnded
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	return s.control.ask(ctx, r, files...)
}

// KillAll kills every process in the sandbox but the first and returns once
// they are gone, so that Start can begin afresh in the same /tmp. It thaws a
// frozen sandbox.
func (s *Sandbox) KillAll() error {
	s.state.Lock()
	defer s.state.Unlock()
	if err := s.thaw(); err != nil { // what is frozen does not die
		return err
	}
	_, err := s.ask(initproc.Request{Kind: initproc.KillAll})
	return err
}

// End kills every process in the sandbox, the first one too, and returns once
// they are gone: what is left to do is to Close. It thaws a frozen sandbox.
func (s *Sandbox) End() error {
	s.state.Lock()
	defer s.state.Unlock()
	select {
	case <-s.done: // Close may have been here
		return nil
	default:
	}
	if err := s.thaw(); err != nil { // what is frozen does not die
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return s.endPID1(ctx)
}

// Attach adds a mount to a running sandbox. An ordinary user cannot.
func (s *Sandbox) Attach(m Mount) error { return s.BeginAttach(m)() }

// BeginAttach does what Attach does, but for the waiting, which attached does:
// it is called once.
func (s *Sandbox) BeginAttach(m Mount) (attached func() error) {
	failed := func(err error) func() error { return func() error { return err } }
	if s.host.rootless {
		return failed(fmt.Errorf("attach %s: run as an ordinary user: %w", m.Source, syscall.EPERM))
	}
	f, err := m.open()
	if err != nil {
		return failed(err)
	}
	defer f.Close() // pid 1 has it by then
	select {
	case <-s.closing:
		return failed(errEnded)
	default:
	}
	seq, wait, err := s.control.post(initproc.Request{Kind: initproc.Attach, Target: m.Target}, f)
	if err != nil {
		return failed(err)
	}
	return func() error {
		defer s.control.forget(seq)
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		_, err := s.control.await(ctx, wait)
		return err
	}
}

// Stats reads the sandbox's counters.
func (s *Sandbox) Stats() (Stats, error) {
	if s.group == nil {
		return Stats{}, nil
	}
	return s.group.stats()
}

// ResetPeak restarts the measurement of PeakMemory. It is
// errors.ErrUnsupported with cgroups of version 2 before Linux 6.12.
func (s *Sandbox) ResetPeak() error {
	return s.adjust(func() error { return s.group.resetPeak() })
}

// SetCPU changes the CPU limit, in cores; zero lifts it.
func (s *Sandbox) SetCPU(cores float64) error {
	return s.adjust(func() error { return s.group.setCPU(cores) })
}

// adjust changes the sandbox's cgroup, if it has one.
func (s *Sandbox) adjust(change func() error) error {
	select {
	case <-s.closing:
		return errEnded
	default:
	}
	if s.group == nil {
		return nil
	}
	return change()
}

// SetBackground says whether the processes inside get next to no processor
// time while those of other sandboxes want it.
func (s *Sandbox) SetBackground(on bool) error {
	if s.group == nil {
		return nil
	}
	return s.group.setBackground(on)
}

// SetMemory changes the memory limit, in bytes. The kernel gives memory up, or
// refuses, when more is in use.
func (s *Sandbox) SetMemory(bytes int64) error {
	if bytes <= 0 {
		return fmt.Errorf("memory limit of %d bytes: %w", bytes, syscall.EINVAL)
	}
	if s.group == nil {
		return nil
	}
	return s.group.setMemory(bytes)
}

// SetPids changes how many processes and threads there may be.
func (s *Sandbox) SetPids(n int) error {
	if n <= 0 {
		return fmt.Errorf("limit of %d processes: %w", n, syscall.EINVAL)
	}
	if s.group == nil {
		return nil
	}
	return s.group.setPids(n)
}

// Done is closed when the sandbox's first process has ended, and everything
// in it with it.
func (s *Sandbox) Done() <-chan struct{} { return s.done }

// Close kills everything inside and frees all that the sandbox used. It
// returns once nothing is left, and is idempotent.
func (s *Sandbox) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.state.Lock()
		defer s.state.Unlock()
		s.host.ending <- struct{}{}
		s.closeErr = s.free()
		<-s.host.ending
		s.host.forget(s)
	})
	return s.closeErr
}

// free undoes what New did, as far as New came. The uid stays taken when
// something may be left that runs under it.
func (s *Sandbox) free() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	s.mu.Lock()
	for port, f := range s.ports {
		f.Close() // nobody has asked for it
		delete(s.ports, port)
	}
	s.mu.Unlock()
	var errs []error
	if s.pid1 != nil {
		errs = append(errs, s.thaw(), s.endPID1(ctx), s.pid1.close())
	}
	if s.control != nil {
		errs = append(errs, s.control.close())
	}
	if s.group != nil {
		if errors.Join(errs...) != nil { // else everything inside has ended with pid 1
			errs = append(errs, s.group.kill(ctx))
		}
		errs = append(errs, s.group.remove(ctx))
	}
	err := errors.Join(errs...)
	switch {
	case s.disk == nil:
	case err == nil:
		err = s.host.disks.give(ctx, s.disk)
	default: // perhaps something is left that writes to it
		err = errors.Join(err, s.disk.close(ctx, true))
	}
	if err == nil && s.uid != 0 {
		s.host.uids.give(s.uid)
	}
	return err
}

// endPID1 kills pid 1, and with it everything inside, and waits for its end.
func (s *Sandbox) endPID1(ctx context.Context) error {
	if err := s.pid1.kill(); err != nil {
		return fmt.Errorf("end pid 1 of sandbox %s: %w", s.id, err)
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pid 1 of sandbox %s does not end: %w", s.id, ctx.Err())
	}
}

// watch waits for pid 1 and then tells that everything inside has ended.
func (s *Sandbox) watch() {
	s.pid1.wait()
	<-s.control.done // what it had told before is known
	s.mu.Lock()
	for pid, p := range s.processes {
		delete(s.processes, pid)
		p.end(ExitStatus{Signal: syscall.SIGKILL})
	}
	s.mu.Unlock()
	close(s.done)
}
