package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// A snapshot is what a runtime gave out of itself once it had initialised a
// version: to the platform, bytes that nobody looks into. The runtimes that are
// given it become what that one was. It goes to environments of its version
// alone.
type snapshot struct {
	file *os.File
	size int64
	made time.Time

	// The owner's, see snapshots.
	used time.Time
	refs int
	gone bool
}

// snapshotVariable tells a bootstrap that its state is to be kept after Init.
const snapshotVariable = "_MILLICENT_SNAPSHOT"

const (
	// snapshotInit is what Init may take at least, before a snapshot.
	snapshotInit = 130 * time.Second

	// snapshotSlack is how much larger than its version's memory a snapshot may
	// be: it holds pages that its process shared with others.
	snapshotSlack = 64 << 20
)

// Errors by which a runtime says that there is no snapshot.
const (
	errorUnsupported = "Runtime.SnapshotUnsupported" // on this machine
	errorTooLarge    = "Runtime.SnapshotTooLarge"
)

// errUnsupported means that this machine has no snapshots of a version. Its
// environments start as others do.
var errUnsupported = errors.New("no snapshots")

// snapshotable reports whether there can be a snapshot of v.
func snapshotable(v *millicent.Version, rt Runtime) bool {
	return v.FromSnapshot() && forkable(rt) && linked(v, rt)
}

// A keeper takes a snapshot that a runtime gives out.
type keeper struct {
	file *sandbox.SealedFile
	size int64
	left int64
}

var errSnapshotSize = errors.New("the snapshot is too large")

// Write implements io.Writer.
func (k *keeper) Write(p []byte) (int, error) {
	if int64(len(p)) > k.left {
		return 0, errSnapshotSize
	}
	n, err := k.file.Write(p)
	k.size, k.left = k.size+int64(n), k.left-int64(n)
	return n, err
}

// part takes a part of a snapshot.
func (l *link) part(body []byte) error {
	if l.snapshot == nil {
		return errViolation
	}
	_, err := l.snapshot.Write(body)
	if err == nil {
		return nil
	}
	if _, ok := l.session.claimInit(); !ok {
		return errViolation
	}
	l.session.settleInit(&lifecycle.Failure{Type: errorTooLarge, Message: err.Error()})
	return nil
}

// initialised starts an environment of v, which ends again, and returns the
// snapshot of what Init made of it. What the function is to blame for is an
// *Error with the reason; errUnsupported says that it works without only.
func (l *Launcher) initialised(ctx context.Context, v *millicent.Version) (_ *snapshot, err error) {
	rt, err := l.runtime(v)
	if err != nil {
		return nil, err
	}
	if !snapshotable(v, rt) {
		return nil, errUnsupported
	}
	dir, err := l.cfg.Code(ctx, v)
	if err != nil {
		return nil, fmt.Errorf("find code: %w", err)
	}
	l.compile(ctx, rt)
	file, err := sandbox.NewSealedFile("snapshot")
	if err != nil {
		return nil, err
	}
	k := &keeper{file: file, left: int64(v.MemoryMB)<<20 + snapshotSlack}
	if err := l.initialiseInto(ctx, v, rt, dir, k); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	sealed, err := file.Seal()
	if err != nil {
		return nil, err
	}
	return &snapshot{file: sealed, size: k.size, made: time.Now()}, nil
}

// initialiseInto runs an environment of v until k has its snapshot.
func (l *Launcher) initialiseInto(ctx context.Context, v *millicent.Version, rt Runtime, dir string, k *keeper) (err error) {
	done := l.uses.Add(v.Package.SHA256)
	e, err := l.newEnvironment(ctx, lifecycle.SnapStart, v, rt, dir)
	if err != nil {
		done()
		return err
	}
	e.freed, e.keep = done, k
	e.environ = append(e.environ, snapshotVariable+"=1")
	defer func() { err = errors.Join(err, e.Close()) }()
	f, err := e.initialise(ctx, lifecycle.PhaseInit, time.Now().Add(max(snapshotInit, v.Timeout)))
	switch {
	case err != nil:
		return err
	case f != nil && f.Type == errorUnsupported:
		return fmt.Errorf("%w: %s", errUnsupported, f.Document)
	case f != nil:
		return notInitialised(f)
	case k.size == 0:
		return errUnsupported // a runtime that knows nothing of snapshots
	}
	return nil
}

// notInitialised is the state of a version that cannot be initialised.
func notInitialised(f *lifecycle.Failure) error {
	e := &millicent.Error{Code: "FunctionError", Message: "Lambda was not able to initialize the function: " + f.Said()}
	switch {
	case f.Timeout:
		e.Code, e.Message = "FunctionError.InitTimeout", "Lambda was not able to initialize the function in time."
	case f.Reported == lifecycle.OutOfMemory:
		e.Code = "FunctionError.InitResourceExhausted"
	case f.Type == "Runtime.ExitError":
		e.Code = "FunctionError.RuntimeInitError"
	case f.Type == "Runtime.InvalidEntrypoint":
		e.Code = "FunctionError.InvalidEntryPoint"
	}
	return e
}
