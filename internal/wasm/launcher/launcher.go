package launcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/wasm"
)

// Names of runtimes that this package is for. Versions for others (provided.*)
// it runs where their bootstrap is a module.
const (
	RuntimeWasm       = "wasm"
	RuntimeJavaScript = "javascript"
)

// Config gives a Launcher what it needs of the rest of the platform.
type Config struct {
	// Host returns the host that a tenant's programs run in. It is asked again
	// when a host has gone.
	Host func(tenant string) (wasm.Host, error)

	Egress *egress.Gateway // nil lets no function make HTTP requests
	Region string

	// Allow returns a function's egress allow-list: to nowhere else it may make
	// requests. Nil allows none.
	Allow func(v *millicent.Version) []string

	// Code returns the directory of a version's unpacked package.
	Code func(ctx context.Context, v *millicent.Version) (string, error)

	Logs millicent.LogSink
	Log  *slog.Logger
}

// Launcher implements millicent.Launcher and millicent.Provisioner for
// WebAssembly.
type Launcher struct {
	cfg  Config
	uses lifecycle.Uses // of packages
}

// New returns a Launcher. Its hosts are closed by who made them, after the last
// of its environments.
func New(cfg Config) *Launcher {
	return &Launcher{cfg: cfg}
}

// Launch implements millicent.Launcher.
func (l *Launcher) Launch(ctx context.Context, v *millicent.Version) (millicent.Environment, error) {
	e, _, err := l.start(ctx, lifecycle.OnDemand, v)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Provision implements millicent.Provisioner.
func (l *Launcher) Provision(ctx context.Context, v *millicent.Version) (millicent.Environment, error) {
	e, f, err := l.start(ctx, lifecycle.Provisioned, v)
	if err != nil {
		return nil, err
	}
	if f != nil {
		return nil, errors.Join(f.OfInit(), e.Close())
	}
	e.cold = false // whoever comes first has waited for nothing
	return e, nil
}

// Prepare checks and compiles a version's code, so that the first start need
// not. An *Error is the code's own fault.
func (l *Launcher) Prepare(ctx context.Context, v *millicent.Version) error {
	dir, err := l.cfg.Code(ctx, v)
	if err != nil {
		return fmt.Errorf("find code of %s %s: %w", v.Function, v.Number, err)
	}
	defer l.uses.Add(v.Package.SHA256)()
	spec, f := l.spec(lifecycle.OnDemand, v, dir)
	if f != nil {
		return uncompilable(f.Type, f.Said())
	}
	host, err := l.cfg.Host(v.Tenant)
	if err != nil {
		return err
	}
	err = host.Prepare(ctx, spec)
	var own *wasm.Failure
	if errors.As(err, &own) {
		return uncompilable(own.Type, own.Error())
	}
	return err
}

// uncompilable is the state of a version that cannot be compiled.
func uncompilable(kind, why string) error {
	code := "FunctionError"
	if kind == "Runtime.InvalidEntrypoint" {
		code = "FunctionError.InvalidEntryPoint"
	}
	return millicent.Errorf(code, "%.1000s", why)
}

// start starts an environment and returns it with how its Init failed, if it
// did.
func (l *Launcher) start(ctx context.Context, kind lifecycle.Initialization, v *millicent.Version) (*environment, *lifecycle.Failure, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	dir, err := l.cfg.Code(ctx, v)
	if err != nil {
		return nil, nil, fmt.Errorf("find code of %s %s: %w", v.Function, v.Number, err)
	}
	e := l.newEnvironment(ctx, kind, v, dir)
	f, err := e.initialise(ctx, lifecycle.PhaseInit, kind.Limit())
	if err != nil {
		return nil, nil, errors.Join(lifecycle.PlatformError("start environment", err), e.Close())
	}
	return e, f, nil
}

// spec describes the program of a version whose package is unpacked in dir. A
// failure says why there is none.
func (l *Launcher) spec(kind lifecycle.Initialization, v *millicent.Version, dir string) (*wasm.Spec, *lifecycle.Failure) {
	spec := &wasm.Spec{
		Digest: v.Package.SHA256, Dir: dir, Handler: v.Handler, MemoryMB: v.MemoryMB,
		Environ: environ(kind, v, l.cfg.Region), InitTime: kind.Limit(),
	}
	if v.Runtime == RuntimeJavaScript {
		return spec, nil
	}
	var err error
	if spec.Module, err = FindModule(dir, v.Handler); err != nil {
		return nil, lifecycle.InvalidEntrypoint(err.Error())
	}
	return spec, nil
}

// Uses reports whether an environment runs the package of a digest: its files
// must stay where they are.
func (l *Launcher) Uses(digest string) bool { return l.uses.Any(digest) }

// newEnvironment returns an environment without a session.
func (l *Launcher) newEnvironment(ctx context.Context, kind lifecycle.Initialization, v *millicent.Version, dir string) *environment {
	stream := lifecycle.StreamName(v, time.Now())
	e := &environment{
		launcher: l,
		version:  v,
		kind:     kind,
		dir:      dir,
		log:      l.cfg.Log.With("function", v.Function, "version", v.Number, "environment", stream),
		journal:  lifecycle.NewJournal(l.cfg.Logs, v, stream),
		slot:     make(chan struct{}, 1),
		cold:     true,
		started:  millicent.StartFrom(ctx),
		freed:    l.uses.Add(v.Package.SHA256),
		stream:   "AWS_LAMBDA_LOG_STREAM_NAME=" + stream,
	}
	e.output.Emit = e.journal.Text
	if l.cfg.Egress != nil && l.cfg.Allow != nil {
		if allow := l.cfg.Allow(v); len(allow) > 0 {
			e.fetcher = l.cfg.Egress.Fetcher(allow)
		}
	}
	e.started.Environment, e.started.Runtime = stream, v.Runtime
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.close = sync.OnceValue(e.shutDown)
	return e
}
