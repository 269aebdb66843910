package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
)

// restoreLimit bounds a start from a snapshot, hooks and all.
const restoreLimit = 10 * time.Second

// launchRestored has a stem in the environment's sandbox become what a snapshot holds. ok is
// false where it cannot be: then nothing runs, and the environment can start as
// others do. An error is the platform's, or what the function's hooks are to
// blame for.
func (e *environment) launchRestored(ctx context.Context, st *stem, shot *snapshot) (ok bool, err error) {
	began := time.Now()
	e.journal.Event(lifecycle.RestoreStart(runtimeVersion(e.runtime), e.region, e.version))
	r := e.runOf(st)
	err = errors.Join(st.give(shot.file), st.closeSide())
	if err == nil {
		err = e.restore(ctx, r, began.Add(restoreLimit))
	}
	if err != nil {
		e.log.Warn("a snapshot cannot be used", "error", err)
		return false, errors.Join(e.ended(ctx), e.stop(r))
	}
	copied := time.Now()
	f, err := e.awaitReady(ctx, r, began.Add(restoreLimit))
	if f != nil || err != nil {
		err = errors.Join(err, e.stop(r))
	}
	e.journal.Event(lifecycle.RestoreRuntimeDone(f))
	e.restored, e.restoredBilled = time.Since(began), min(ceilMillis(time.Since(copied)), restoreLimit)
	e.journal.Event(lifecycle.RestoreReport(e.restored, f))
	switch {
	case err != nil:
		return true, err
	case f != nil:
		return true, notRestored(f)
	}
	e.run = r
	e.started.From, e.started.Boot, e.started.Init = millicent.FromVersion, copied.Sub(began), time.Since(copied)
	return true, nil
}

func ceilMillis(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}

// notRestored is what the caller learns when a function's hooks fail.
func notRestored(f *lifecycle.Failure) error {
	if f.Timeout {
		return millicent.Errorf("SnapStartTimeoutException", "Lambda couldn't restore the snapshot within the timeout limit.")
	}
	return millicent.Errorf("SnapStartException", "The runtime could not be restored from its snapshot: %s", f.Said())
}

// restore tells r's runtime, a stem, to take its snapshot, gives it its
// assignment, and waits until it is what the snapshot holds.
func (e *environment) restore(ctx context.Context, r *run, late time.Time) error {
	defer context.AfterFunc(ctx, r.link.interrupt)()
	if err := r.link.send(appendMessage(nil, linkSnapshot, nil), late); err != nil {
		return err
	}
	if err := e.expect(ctx, r, linkGive, late); err != nil {
		return err
	}
	if err := r.link.assign(linkAssign, assignment{e.environ, taskRoot}, late); err != nil {
		return err
	}
	return e.expect(ctx, r, linkRestored, late)
}

// expect waits for a message of r's runtime that has no body. What it sent
// before it ended counts.
func (e *environment) expect(ctx context.Context, r *run, want byte, late time.Time) error {
	for {
		r.link.until(late)
		gone := r.gone()
		switch {
		case e.ended(ctx) != nil:
			return e.ended(ctx)
		case gone:
			defer r.link.arrived()()
		case !time.Now().Before(late):
			return os.ErrDeadlineExceeded
		}
		kind, body, err := r.link.in.next()
		switch {
		case err != nil && gone:
			return fmt.Errorf("the runtime ended: %+v", r.process.Status())
		case interrupted(err):
			r.link.limit = time.Time{}
		case err != nil && r.exitsWithin(exitGrace):
			return fmt.Errorf("the runtime ended: %+v", r.process.Status())
		case err != nil:
			return err
		case kind == linkInitError:
			return fmt.Errorf("the runtime says %.300q", body)
		case kind != want:
			return errViolation
		default:
			return nil
		}
	}
}

// give sends a byte that carries a descriptor. It fits the socket's buffer.
func (st *stem) give(file *os.File) error {
	if st.side == nil {
		return errors.New("the runtime cannot be given a snapshot")
	}
	theirs, err := file.SyscallConn()
	if err != nil {
		return err
	}
	side, err := st.side.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = theirs.Control(func(fd uintptr) {
		err := side.Control(func(to uintptr) {
			sent = syscall.Sendmsg(int(to), []byte{0}, syscall.UnixRights(int(fd)), nil, 0)
		})
		sent = errors.Join(sent, err)
	})
	return errors.Join(err, sent)
}
