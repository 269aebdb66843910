package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/initproc"
)

// Freeze stops every process of the sandbox where it stands, until Thaw; in
// version 1 pid 1 goes on. When ctx ends or Close is called before all stand
// still, none does. It is errors.ErrUnsupported where cgroups cannot freeze.
func (s *Sandbox) Freeze(ctx context.Context) error {
	s.state.Lock()
	defer s.state.Unlock()
	select {
	case <-s.closing:
		return errEnded
	default:
	}
	if s.group == nil {
		return fmt.Errorf("freeze: no cgroups: %w", errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := s.entrust(ctx); err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	s.frozen = true // whatever comes of it, there is something to thaw
	if err := s.group.freeze(ctx); err != nil {
		return errors.Join(fmt.Errorf("freeze: %w", err), s.thaw())
	}
	return nil
}

// entrust gives pid 1 what it needs to thaw the rest when the server ends.
func (s *Sandbox) entrust(ctx context.Context) error {
	if s.heir {
		return nil
	}
	f, err := s.group.thawer()
	if err != nil {
		return err
	}
	if f != nil {
		_, err = s.control.ask(ctx, initproc.Request{Kind: initproc.Entrust}, f)
		err = errors.Join(err, f.Close())
	}
	s.heir = err == nil
	return err
}

// Thaw undoes Freeze. It does not wait until every process runs.
func (s *Sandbox) Thaw() error {
	s.state.Lock()
	defer s.state.Unlock()
	return s.thaw()
}

// thaw is Thaw with s.state held.
func (s *Sandbox) thaw() error {
	if !s.frozen {
		return nil
	}
	if err := s.group.thaw(); err != nil && !errors.Is(err, os.ErrNotExist) { // swept: nothing is frozen
		return fmt.Errorf("thaw: %w", err)
	}
	s.frozen = false
	return nil
}

// GiveBack has the kernel free what it can of the sandbox's memory: pages of
// files that it can read again and, where the machine has swap, others. It
// returns how many bytes less are in use. It is errors.ErrUnsupported where
// cgroups cannot do that.
func (s *Sandbox) GiveBack() (freed int64, err error) {
	err = s.adjust(func() (err error) {
		freed, err = s.group.giveBack()
		return err
	})
	if err == nil && s.group == nil {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return 0, fmt.Errorf("give memory back: %w", err)
	}
	return freed, nil
}

// freedBy returns by how much a counter of bytes is lower after free.
func freedBy(dir, counter string, free func(used int64) error) (int64, error) {
	before, err := get(dir, counter)
	if err != nil {
		return 0, unsupported(err)
	}
	if err := free(before); err != nil {
		return 0, unsupported(err)
	}
	after, err := get(dir, counter)
	return max(0, before-after), err
}

// unsupported says of a control file that is not there that this kernel does
// not have it.
func unsupported(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.Join(errors.ErrUnsupported, err)
	}
	return err
}

var errNoFreezer = fmt.Errorf("no freezer on this machine: %w", errors.ErrUnsupported)

func (g *group1) thawer() (*os.File, error) {
	dir := g.dirs["freezer"]
	if dir == "" {
		return nil, errNoFreezer
	}
	return openControlFile(dir+"/freezer.state", os.O_WRONLY)
}

func (g *group1) freeze(ctx context.Context) error {
	dir := g.dirs["freezer"]
	if dir == "" {
		return errNoFreezer
	}
	return poll(ctx, func() (bool, error) {
		// A process that forks while being frozen can get away: say it again.
		if err := put(dir, "freezer.state", "FROZEN"); err != nil {
			return false, err
		}
		b, err := readControl(dir + "/freezer.state")
		return strings.TrimSpace(string(b)) == "FROZEN", err
	})
}

func (g *group1) thaw() error {
	dir := g.dirs["freezer"]
	if dir == "" {
		return nil
	}
	return put(dir, "freezer.state", "THAWED")
}

func (g *group1) giveBack() (int64, error) {
	dir := g.dirs["memory"]
	if dir == "" {
		return 0, errors.ErrUnsupported
	}
	return freedBy(dir, "memory.usage_in_bytes", func(int64) error {
		return put(dir, "memory.force_empty", "0")
	})
}

func (g *group2) thawer() (*os.File, error) { return nil, nil }

func (g *group2) freeze(ctx context.Context) error {
	if err := put(g.path, "cgroup.freeze", "1"); err != nil {
		return unsupported(err)
	}
	return poll(ctx, func() (bool, error) {
		frozen, err := field(g.path, "cgroup.events", "frozen")
		return frozen == 1, err
	})
}

func (g *group2) thaw() error { return put(g.path, "cgroup.freeze", "0") }

// giveBack asks for all, which the kernel answers with EAGAIN where it is less.
func (g *group2) giveBack() (int64, error) {
	return freedBy(g.path, "memory.current", func(used int64) error {
		err := putInt(g.path, "memory.reclaim", used)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		return err
	})
}
