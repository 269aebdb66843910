package wasm

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

// MaxAnswer is how many bytes an answer has at most, the protocol's limit.
const MaxAnswer = 6<<20 + 100

// A Log takes what a guest writes to its log.
type Log interface{ Write(p []byte) (int, error) }

// A HeldLog is a Log that holds back what is written to it. Flush is called when
// the guest has run for a while, and before it sleeps; not when it ends.
type HeldLog interface {
	Log
	Flush()
}

// A Request is what one call of an instance gets.
type Request struct {
	Event    []byte
	Environ  []string // NAME=value, besides the program's; commands see it
	Deadline time.Time
	Log      Log   // nil for none
	Fetch    Fetch // nil for none
}

// An Answer is what came of a request.
type Answer struct {
	Payload []byte
	Failure *Failure // nil when the function succeeded

	CPU  time.Duration // that the guest and its host functions used
	Fuel uint64        // instructions, as the meter counts them
	Peak int           // bytes of memory, the most that there were
}

// A Failure is a function's own: what it reported, or how it ended.
type Failure struct {
	Type    string
	Message string
	Timeout bool // it ran into its deadline

	// Document is what the caller gets, as JSON, where the function made one
	// itself: nil otherwise.
	Document []byte
}

// Error implements error.
func (f *Failure) Error() string { return f.Type + ": " + f.Message }

// An Instance serves one request at a time. It is not safe for concurrent use.
type Instance struct {
	program *Program
	mod     api.Module
	mem     *memory
	globals []api.MutableGlobal
	fuel    api.MutableGlobal
	run     guest // of the request that runs
	served  int   // requests
	ran     bool  // one of them, since the last reset
	faulted bool  // it, or another one since then, may have written to a page for the first time
	whole   bool  // the guest returned from what it was called for, though it failed
	broken  bool

	alloc, handle, command, restored api.Function
	vm                               *vm // of JavaScript; made at its first use

	stack  [2]uint64
	usage  unix.Rusage
	called syscall // the guest's latest call of WASI
}

// find looks up what is used of the module.
func (i *Instance) find() {
	for _, name := range i.program.names {
		i.globals = append(i.globals, i.mod.ExportedGlobal(name).(api.MutableGlobal)) //nolint:forcetypeassert // all of these are
	}
	i.fuel = i.mod.ExportedGlobal(module.Fuel).(api.MutableGlobal) //nolint:forcetypeassert // as above
	switch i.program.abi {
	case Command:
		i.command = i.mod.ExportedFunction(exportStart)
	case Reactor:
		i.alloc, i.handle = i.mod.ExportedFunction(exportAlloc), i.mod.ExportedFunction(exportHandle)
	}
	if i.program.restored {
		i.restored = i.mod.ExportedFunction(exportRestored)
	}
}

// picture returns an image of what the instance is now, which shares with base,
// unless that is nil, what is the same.
func (i *Instance) picture(base *image) (*image, error) {
	globals := make([]uint64, len(i.globals))
	for n, g := range i.globals {
		globals[n] = g.Get()
	}
	return newImage(i.mem.space[:i.mem.size], globals, base)
}

// Close frees the instance. It is idempotent.
func (i *Instance) Close() {
	if i.mod != nil {
		_ = i.mod.Close(context.Background()) // fails for nothing that is ours
		i.mod = nil
	}
	i.mem.Free()
}

// Broken reports whether the instance must not be used again.
func (i *Instance) Broken() bool { return i.broken }

// initialise runs what comes before the first request.
func (i *Instance) initialise(ctx context.Context, log Log) error {
	p := i.program
	req := &Request{Deadline: time.Now().Add(p.cfg.InitTime), Log: log}
	for _, step := range []struct {
		name string
		run  bool
	}{{module.Start, p.start}, {exportInitialize, p.initialize}, {exportWarmup, p.warmup}} {
		if !step.run {
			continue
		}
		if f := i.enter(ctx, req, i.mod.ExportedFunction(step.name)); f != nil {
			return i.ended(f)
		}
	}
	if p.script != nil {
		if f := i.startScripts(ctx, req); f != nil {
			return f
		}
	}
	return nil
}

// Serve runs a request, and takes the instance back to its image. It never
// fails: what goes wrong is the answer's failure.
func (i *Instance) Serve(ctx context.Context, req *Request) *Answer {
	a := i.Run(ctx, req)
	i.Reset()
	return a
}

// Run is Serve without the last part, which has to come before the next
// request.
func (i *Instance) Run(ctx context.Context, req *Request) *Answer {
	answer := &Answer{}
	i.run.begin(i, req)
	i.run.Context = ctx
	i.run.enter()
	answer.Payload, answer.Failure = i.serve(req)
	i.run.leave()
	i.faulted = i.faulted || i.run.faulted
	answer.Failure = i.ended(answer.Failure)
	answer.CPU, answer.Fuel, answer.Peak = i.run.cpu, i.run.used(), i.mem.most
	i.run.end()
	i.served++
	i.ran, i.broken = true, answer.Failure != nil && !i.whole
	return answer
}

// serve calls what the ABI says. What it writes to the guest's memory it writes
// here, where the thread is watched.
func (i *Instance) serve(req *Request) ([]byte, *Failure) {
	if i.restored != nil {
		var seed [8]byte
		_, _ = rand.Read(seed[:]) // never fails
		i.stack[0] = binary.LittleEndian.Uint64(seed[:])
		if f := i.call(i.restored); f != nil {
			return nil, f
		}
	}
	if i.program.script != nil {
		return i.serveScript(req)
	}
	if i.command != nil {
		i.run.stdin = req.Event
		if f := i.call(i.command); f != nil && f != errExited {
			return nil, f
		}
		return i.run.answer, i.run.failure
	}
	return i.react(req.Event)
}

// react calls a reactor's functions.
func (i *Instance) react(event []byte) ([]byte, *Failure) {
	i.stack[0] = uint64(len(event))
	if f := i.call(i.alloc); f != nil {
		return nil, f
	}
	place := uint32(i.stack[0])
	if !i.mod.Memory().Write(place, event) {
		return nil, &Failure{Type: "Runtime.InvalidMemory", Message: fmt.Sprintf("alloc(%d) returned a place outside of the memory", len(event))}
	}
	i.stack[0], i.stack[1] = uint64(place), uint64(len(event))
	if f := i.call(i.handle); f != nil {
		return nil, f
	}
	if i.run.failure != nil {
		return nil, i.run.failure
	}
	place, n := uint32(i.stack[0]>>32), uint32(i.stack[0])
	answer, ok := i.mod.Memory().Read(place, n)
	switch {
	case !ok:
		return nil, &Failure{Type: "Runtime.InvalidMemory", Message: "handle returned an answer outside of the memory"}
	case n > MaxAnswer:
		return nil, TooLarge(int(n))
	}
	return append([]byte(nil), answer...), nil
}

// TooLarge is the protocol's failure for an answer of so many bytes.
func TooLarge(n int) *Failure {
	return &Failure{Type: TypeTooLarge, Message: fmt.Sprintf(
		"Response payload size (%d bytes) exceeded maximum allowed payload size (%d bytes).", n, MaxAnswer)}
}

// enter calls a function of the guest outside of requests.
func (i *Instance) enter(ctx context.Context, req *Request, f api.Function) *Failure {
	i.run.begin(i, req)
	defer i.run.end()
	i.run.Context = ctx
	i.run.enter()
	failed := i.call(f)
	i.run.leave()
	if failed != nil {
		return failed
	}
	return i.run.failure
}

// call calls a function of the guest, which was entered, with what is on the
// stack.
func (i *Instance) call(f api.Function) *Failure {
	if err := f.CallWithStack(&i.run, i.stack[:]); err != nil {
		return failure(err)
	}
	return nil
}

// Types of failures that the engine finds.
const (
	TypeExit     = "Runtime.ExitError"             // it exited, or did what the machine does not do
	TypeTrap     = "Runtime.Trap"                  // the message has the stack
	TypeTooLarge = "Function.ResponseSizeTooLarge" // of an answer over MaxAnswer
)

// errExited is a guest that exited with code 0: commands end so.
var errExited = &Failure{Type: TypeExit, Message: "Runtime exited without providing a reason"}

// failure returns how a guest ended.
func failure(err error) *Failure {
	var exit *sys.ExitError
	var own *Failure
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 0:
		return errExited
	case errors.As(err, &exit):
		return &Failure{Type: TypeExit, Message: fmt.Sprintf("Runtime exited with error: exit status %d", exit.ExitCode())}
	case errors.As(err, &own):
		return own
	}
	return &Failure{Type: TypeTrap, Message: err.Error()}
}

// ended returns the failure that f is: one of a guest that got no more memory
// is for want of it, whatever the guest did then.
func (i *Instance) ended(f *Failure) *Failure {
	if f != nil && i.mem.refused && (f.Type == TypeExit || f.Type == TypeTrap) {
		return &Failure{Type: outOfMemory, Message: f.Message}
	}
	return f
}

// Reset takes the instance back to its image after a request, unless it is
// broken by then.
func (i *Instance) Reset() {
	p := i.program
	if !i.ran || i.broken {
		return
	}
	i.ran = false
	if p.image == nil || !i.shrink() || !i.restore() {
		i.broken = true
		return
	}
	for n, g := range i.globals {
		g.Set(p.image.globals[n])
	}
	if audit := p.engine.cfg.Audit; audit > 0 && i.served%audit == 0 && !i.same() {
		panic("a reset instance differs from its image") // no request may see what another left
	}
}

// restore takes the memory back to its image.
func (i *Instance) restore() bool {
	scan := i.program.engine.scanners.Get().(*scanner) //nolint:forcetypeassert // it has no others
	defer i.program.engine.scanners.Put(scan)
	if !i.mem.restore(scan, !i.faulted) {
		return false
	}
	i.faulted = false
	return true
}

// shrink takes a memory that has grown back to the image's size for the guest.
func (i *Instance) shrink() bool {
	if i.mem.size == i.program.image.size {
		return true
	}
	i.mem.shrink = true
	_, ok := i.mod.Memory().Grow(1) // has the engine ask for the memory again
	i.mem.shrink = false
	return ok
}

// same reports whether the instance is what its image says.
func (i *Instance) same() bool {
	for n, g := range i.globals {
		if g.Get() != i.program.image.globals[n] {
			return false
		}
	}
	return i.mem.same() && int(i.mod.Memory().Size()) == i.mem.size
}
