package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/process/bootstrap"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// Config gives a Launcher what it needs of the rest of the platform.
type Config struct {
	Host   *sandbox.Host
	Egress *egress.Gateway // nil lets no function connect to the outside
	Region string
	Dir    string // where the bootstraps are laid out for mounting; the Launcher's alone

	// Code returns the directory of a version's unpacked package.
	Code func(ctx context.Context, v *millicent.Version) (string, error)

	// Compiled keeps what is compiled of packages ahead; nil has every start
	// compile what it loads.
	Compiled CompiledStore

	// Allow returns a function's egress allow-list; nil allows what Egress does.
	Allow func(v *millicent.Version) []string

	// Credentials returns the access key that a function's environment
	// carries; nil gives it none.
	Credentials func(v *millicent.Version) (id, secret, token string)

	// API serves calls that functions make to the platform from inside; their
	// context carries a millicent.Caller. Nil serves none.
	API http.Handler

	Pool PoolConfig // of sandboxes prepared ahead

	Runtimes *Runtimes
	Strict   bool // refuse a runtime whose exact version is not installed
	Logs     millicent.LogSink
	Log      *slog.Logger
}

// Launcher implements millicent.Launcher for Linux processes. Close it after
// the last of its environments.
type Launcher struct {
	cfg      Config
	runtimes string // directory of the bootstraps
	opt      string // an empty directory
	pool     *pool[*prepared]
	compiler *compiler // nil without Config.Compiled

	snapshots *snapshots
	uses      lifecycle.Uses // of packages

	mu       sync.Mutex
	compiled map[string]*sync.Once // by interpreter
	zygotes  map[string]*zygote    // by interpreter
}

const compileTimeout = 30 * time.Second

// NewLauncher lays out the bootstraps and returns a Launcher.
func NewLauncher(cfg Config) (*Launcher, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("lay out bootstraps: %w", err)
	}
	l := &Launcher{
		cfg:      cfg,
		runtimes: filepath.Join(dir, "runtime"),
		opt:      filepath.Join(dir, "opt"),
		compiled: map[string]*sync.Once{},
		zygotes:  map[string]*zygote{},
	}
	if err := l.layOut(); err != nil {
		return nil, errors.Join(fmt.Errorf("lay out bootstraps: %w", err), l.remove())
	}
	l.pool = newPool(cfg.Pool, l.prepareKind, func(kind string, err error) {
		cfg.Log.Warn("sandboxes cannot be prepared", "kind", kind, "error", err)
	})
	memory, _ := cfg.Host.Memory()
	l.snapshots = newSnapshots(max(leastSnapshots, memory/snapshotShare), cfg.Log, l.initialised)
	if cfg.Compiled != nil {
		l.compiler = newCompiler(l)
	}
	return l, nil
}

// layOut writes the bootstraps anew: what an earlier version of the platform
// left there is not theirs.
func (l *Launcher) layOut() error {
	if err := l.remove(); err != nil {
		return err
	}
	// Empty directories are what is mounted there is mounted on.
	for _, dir := range []string{l.opt, filepath.Join(l.runtimes, path.Base(compiledDir))} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return bootstrap.LayOut(l.runtimes)
}

// Close gives up what is prepared and removes what was laid out. It is
// idempotent.
func (l *Launcher) Close() error {
	l.snapshots.close()
	if l.compiler != nil {
		l.compiler.close()
	}
	err := l.pool.close() // nothing is forked any more
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, z := range l.zygotes {
		err = errors.Join(err, z.close())
	}
	return errors.Join(err, l.remove())
}

// zygote returns that of a runtime's interpreter.
func (l *Launcher) zygote(rt Runtime) *zygote {
	l.mu.Lock()
	defer l.mu.Unlock()
	z := l.zygotes[rt.Interpreter]
	if z == nil {
		z = newZygote(l, rt)
		l.zygotes[rt.Interpreter] = z
	}
	return z
}

func (l *Launcher) remove() error {
	return errors.Join(os.RemoveAll(l.runtimes), os.RemoveAll(l.opt))
}

// Launch implements millicent.Launcher.
func (l *Launcher) Launch(ctx context.Context, v *millicent.Version) (millicent.Environment, error) {
	e, _, err := l.start(ctx, lifecycle.OnDemand, v)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// start starts an environment and returns it with how its Init failed, if it
// did.
func (l *Launcher) start(ctx context.Context, kind lifecycle.Initialization, v *millicent.Version) (*environment, *lifecycle.Failure, error) {
	rt, err := l.runtime(v)
	if err != nil {
		return nil, nil, err
	}
	dir, err := l.cfg.Code(ctx, v)
	if err != nil {
		return nil, nil, fmt.Errorf("find code of %s %s: %w", v.Function, v.Number, err)
	}
	if kind == lifecycle.OnDemand && snapshotable(v, rt) {
		kind = lifecycle.SnapStart
	}
	l.compile(ctx, rt)
	if kind != lifecycle.Provisioned {
		defer l.pool.begin()()
	}
	done := l.uses.Add(v.Package.SHA256)
	e, err := l.newEnvironment(ctx, kind, v, rt, dir)
	if err != nil {
		done()
		return nil, nil, lifecycle.PlatformError("start environment", err)
	}
	e.freed = done
	err = e.giveWay()
	restored := false
	if kind == lifecycle.SnapStart && err == nil {
		restored, err = l.restore(ctx, e)
	}
	var f *lifecycle.Failure
	if !restored && err == nil {
		f, err = e.launch(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(lifecycle.PlatformError("start environment", err), e.Close())
	}
	return e, f, nil
}

// restore starts a new environment from its version's snapshot; ok is false
// where it starts without.
func (l *Launcher) restore(ctx context.Context, e *environment) (ok bool, err error) {
	shot := l.snapshots.take(e.version)
	if shot == nil {
		return false, nil
	}
	defer l.snapshots.release(shot)
	st := e.firstStem(ctx)
	if st == nil {
		if st, err = l.stem(ctx, e.box, e.runtime, nil); err != nil {
			e.log.Warn("no runtime for a snapshot", "error", err)
			return false, ctx.Err()
		}
	}
	if ok, err = e.launchRestored(ctx, st, shot); !ok {
		l.snapshots.spoilt(e.version, shot)
	}
	return ok, err
}

// Uses reports whether an environment runs the package of a digest: its files
// must stay where they are.
func (l *Launcher) Uses(digest string) bool { return l.uses.Any(digest) }

// Expect tells that there are functions of a runtime: from now on a sandbox
// for them is kept ready even if none of them was called for long.
func (l *Launcher) Expect(runtime string) {
	if rt, ok := l.cfg.Runtimes.Lookup(runtime); ok {
		l.pool.expect(kindOf(&millicent.Version{}, rt))
	}
}

// runtime returns the runtime that serves v.
func (l *Launcher) runtime(v *millicent.Version) (Runtime, error) {
	rt, ok := l.cfg.Runtimes.Lookup(v.Runtime)
	switch {
	case !ok && rt.Note != "":
		return rt, millicent.Errorf(millicent.CodeInvalid, "The runtime %s is not served on this machine. %s", v.Runtime, rt.Note)
	case !ok:
		return rt, millicent.Errorf(millicent.CodeInvalid, "The runtime %s is not served on this machine: the platform does not know it.", v.Runtime)
	case l.cfg.Strict && !rt.Exact:
		return rt, millicent.Errorf(millicent.CodeInvalid, "The runtime %s is not served on this machine: its exact version is asked for, and the nearest is %s.", v.Runtime, rt.Version)
	}
	return rt, nil
}

// compile compiles our own files for an interpreter, once: in the sandboxes,
// which see them read-only, every start would do it over again.
func (l *Launcher) compile(ctx context.Context, rt Runtime) {
	family, _ := splitRuntime(rt.Name)
	if family == familyProvided {
		return
	}
	l.mu.Lock()
	once := l.compiled[rt.Interpreter]
	if once == nil {
		once = &sync.Once{}
		l.compiled[rt.Interpreter] = once
	}
	l.mu.Unlock()
	once.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), compileTimeout)
		defer cancel()
		cmd := exec.CommandContext(ctx, rt.Interpreter, bootstrap.Compile(family, l.runtimes)...)
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		if err := cmd.Run(); err != nil {
			l.cfg.Log.Warn("bootstrap not compiled, cold starts are slower", "runtime", rt.Name, "error", err)
		}
	})
}
