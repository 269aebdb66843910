package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/process/bootstrap"
)

// A CompiledStore keeps what was compiled of packages, beside them; for each
// slot of a package what one identity has made. *store.Store is one.
type CompiledStore interface {
	Compiled(p millicent.Package, slot, identity string) (file string)
	PutCompiled(p millicent.Package, slot, identity string, content io.Reader) error
	DropCompiled(p millicent.Package, slot string) error
}

// A compiler has an interpreter compile packages, one at a time and off the
// path of those who call functions: without it every start would do it again,
// as a package is read-only to its function. It compiles in a sandbox and
// runs none of the code. What comes of it is a stranger's bytes, which are
// bounded, and which only sandboxes of the same package and tenant see.
type compiler struct {
	launcher *Launcher
	ctx      context.Context // ends when close is called
	cancel   context.CancelFunc
	wake     chan struct{}
	work     sync.WaitGroup

	mu         sync.Mutex
	queue      []compilation
	queued     map[compiledSlot]bool
	notBefore  map[compiledSlot]time.Time // of those that nothing came of, or that were refused
	identities map[string]string          // by interpreter
}

// compiledSlot is where what an interpreter makes of a tenant's package is kept.
type compiledSlot struct{ digest, slot string }

// A compilation is to be done.
type compilation struct {
	version *millicent.Version
	runtime Runtime
	slot    compiledSlot
}

const (
	compiledDir      = runtimeDir + "/compiled" // where sandboxes see it
	compiledVariable = "_MILLICENT_COMPILED"    // tells a bootstrap the file

	maxCompilations = 1024 // that wait; later ones come with the next start
	maxRemembered   = 1 << 16

	compilationTime   = 2 * time.Minute
	compilationMemory = 512 << 20
	compilationPids   = 64
	compilationPause  = 10 * time.Minute // after a failure of the platform
	nothingPause      = 24 * time.Hour   // when there is nothing to be had
	refusalPause      = time.Hour        // between two compilations for a refusal
	compilationDelay  = 5 * time.Second  // at most, for starts to end
	compilationOutput = 48 << 20         // bytes of code

	// The sizes of sources below which to look for compiled code takes longer
	// than to compile them.
	leastPython = 2 << 10
	leastNode   = 16 << 10
)

var (
	errNothing     = errors.New("there is nothing to compile")
	errCompilation = errors.New("the interpreter failed")
)

func newCompiler(l *Launcher) *compiler {
	c := &compiler{
		launcher: l, wake: make(chan struct{}, 1), queued: map[compiledSlot]bool{},
		notBefore: map[compiledSlot]time.Time{}, identities: map[string]string{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.work.Go(c.run)
	return c
}

// close ends the compilation that is being made, and returns once nothing of
// it is left.
func (c *compiler) close() {
	c.cancel()
	c.work.Wait()
}

// CompileAhead has v's package compiled in the background for the interpreter
// that serves it, unless that has been done. It does not block.
func (l *Launcher) CompileAhead(v *millicent.Version) {
	if rt, ok := l.cfg.Runtimes.Lookup(v.Runtime); ok && l.compiler != nil && bootable(v, rt) {
		l.compiler.enqueue(compilation{v, rt, slotOf(v, rt)})
	}
}

// lookup returns the file of v's compiled code; an empty path when there is
// none for it, which begins the making of one.
func (c *compiler) lookup(v *millicent.Version, rt Runtime) string {
	if c == nil || !bootable(v, rt) { // what an interpreter reads when it starts can change what it compiles
		return ""
	}
	slot := slotOf(v, rt)
	file := c.launcher.cfg.Compiled.Compiled(v.Package, slot.slot, c.identity(rt))
	if file == "" {
		c.enqueue(compilation{v, rt, slot})
	} else if _, err := os.Stat(file); err != nil {
		c.drop(v, slot) // somebody has removed it
		return ""
	}
	return file
}

// slotOf returns the slot of v's code. Tenants with the same package have one
// each: no flaw of a compiler lets one write what another runs.
func slotOf(v *millicent.Version, rt Runtime) compiledSlot {
	sum := sha256.Sum256([]byte(rt.Interpreter))
	return compiledSlot{v.Package.SHA256, v.Tenant + "-" + hex.EncodeToString(sum[:8])}
}

// identity tells an interpreter, and our programs that use it, from others in
// its place.
func (c *compiler) identity(rt Runtime) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id, ok := c.identities[rt.Interpreter]; ok {
		return id
	}
	h := sha256.New()
	fmt.Fprintln(h, rt.Interpreter, rt.Version, runtime.GOARCH)
	if fi, err := os.Stat(rt.Interpreter); err == nil {
		fmt.Fprintln(h, fi.Size(), fi.ModTime().UnixNano())
	}
	family, _ := splitRuntime(rt.Name)
	fmt.Fprintln(h, bootstrap.Digest(family))
	id := hex.EncodeToString(h.Sum(nil)[:16])
	c.identities[rt.Interpreter] = id
	return id
}

// enqueue has a package compiled that none of its kind is in the queue for, and
// that is not to wait.
func (c *compiler) enqueue(job compilation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !time.Now().Before(c.notBefore[job.slot]) {
		c.push(job)
	}
}

// push is enqueue with mu held, and without a look at what is to wait.
func (c *compiler) push(job compilation) {
	if c.queued[job.slot] || len(c.queue) >= maxCompilations {
		return
	}
	c.queued[job.slot] = true
	c.queue = append(c.queue, job)
	select {
	case c.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// refused is told that an environment of v had no use for what was compiled:
// it is made anew, but not time and again.
func (c *compiler) refused(v *millicent.Version, rt Runtime) {
	slot := slotOf(v, rt)
	if !c.pause(slot, refusalPause) {
		return
	}
	c.launcher.cfg.Log.Info("compiled code is refused, and made anew", "function", v.Function, "version", v.Number)
	c.drop(v, slot)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push(compilation{v, rt, slot})
}

func (c *compiler) drop(v *millicent.Version, slot compiledSlot) {
	if err := c.launcher.cfg.Compiled.DropCompiled(v.Package, slot.slot); err != nil {
		c.launcher.cfg.Log.Warn("compiled code not removed", "function", v.Function, "error", err)
	}
}

// pause keeps a slot from being compiled for a while; false when it is kept
// from it already.
func (c *compiler) pause(slot compiledSlot, d time.Duration) bool {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.notBefore[slot]) {
		return false
	}
	if len(c.notBefore) >= maxRemembered {
		clear(c.notBefore)
	}
	c.notBefore[slot] = now.Add(d)
	return true
}

// run does what is queued until the compiler is closed.
func (c *compiler) run() {
	for {
		job, ok := c.next()
		if !ok {
			select {
			case <-c.wake:
				continue
			case <-c.ctx.Done():
				return
			}
		}
		c.settle(job, c.make(job))
		if c.ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		delete(c.queued, job.slot)
		c.mu.Unlock()
	}
}

// settle notes what came of a compilation.
func (c *compiler) settle(job compilation, err error) {
	log := c.launcher.cfg.Log.With("function", job.version.Function, "version", job.version.Number)
	switch {
	case err == nil || c.ctx.Err() != nil:
	case errors.Is(err, errNothing):
		c.pause(job.slot, nothingPause)
	case errors.Is(err, errCompilation):
		c.pause(job.slot, nothingPause)
		log.Info("package cannot be compiled ahead", "error", err)
	default:
		c.pause(job.slot, compilationPause)
		log.Warn("package not compiled ahead", "error", err)
	}
}

func (c *compiler) next() (compilation, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return compilation{}, false
	}
	job := c.queue[0]
	c.queue = c.queue[1:]
	return job, true
}

// calm waits, for a while, until no start is under way.
func (c *compiler) calm() {
	for late := time.Now().Add(compilationDelay); c.launcher.pool.busy() && time.Now().Before(late); {
		timer := time.NewTimer(holdOff)
		select {
		case <-timer.C:
		case <-c.ctx.Done():
		}
		timer.Stop()
	}
}

// make compiles a package and keeps what comes of it. It returns errNothing
// where that is nothing, and errCompilation where the interpreter fails.
func (c *compiler) make(job compilation) error {
	l, v := c.launcher, job.version
	if l.cfg.Compiled.Compiled(v.Package, job.slot.slot, c.identity(job.runtime)) != "" {
		return nil
	}
	defer l.uses.Add(v.Package.SHA256)()
	ctx, cancel := context.WithTimeout(c.ctx, compilationTime)
	defer cancel()
	dir, err := l.cfg.Code(ctx, v)
	if err != nil {
		return err
	}
	worth, err := worthCompiling(dir, job.runtime)
	if err == nil && !worth {
		err = errNothing
	}
	if err != nil {
		return err
	}
	c.calm()
	return c.compile(ctx, job, dir)
}
