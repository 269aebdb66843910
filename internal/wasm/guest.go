package wasm

import (
	"context"
	"encoding/json"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// quantum is how much fuel a guest burns before it enters the host: some tenths
// of a millisecond, some milliseconds if it is made for that. No goroutine and
// no collection of garbage waits for a guest for longer, since neither can
// interrupt one.
const quantum = 100_000

// scriptQuantum is the same for the JavaScript engine: the loop that interprets
// costs some hundreds for each of its turns, for what these may do.
const scriptQuantum = 40 * quantum

// quantum is how much fuel the program's guests burn at a time.
func (p *Program) quantum() uint64 {
	if p.script != nil {
		return scriptQuantum
	}
	return quantum
}

// guest is what a call of the guest goes with: the host's functions find it as
// their context. It stays on its thread while the guest runs, whose clock tells
// what it used.
type guest struct {
	context.Context
	instance *Instance
	req      *Request

	granted uint64        // fuel
	entered time.Duration // the thread's time
	since   time.Duration // the engine's age, when the guest was entered
	events  events        // of the thread, until then
	cpu     time.Duration
	faulted bool // there were page faults, or it is not known that there were none

	wasi
	answer  []byte
	failure *Failure // that the guest reported itself
	fetched []byte   // what came of its last request to the outside
}

// begin makes g that of a request.
func (g *guest) begin(i *Instance, req *Request) {
	q := i.program.quantum()
	*g = guest{instance: i, req: req, granted: q}
	i.fuel.Set(q)
}

// end forgets what the request had.
func (g *guest) end() { *g = guest{} }

// used is how many instructions the guest has run.
func (g *guest) used() uint64 {
	return uint64(int64(g.granted) - int64(g.instance.fuel.Get()))
}

// brief is how long a guest runs at most for its time to be the wall's, where
// its thread kept the processor: to read the thread's clock costs a system call,
// and more than the other two together. What interrupts the processor meanwhile
// counts, too.
const brief = 100 * time.Microsecond

// enter begins to count the thread's time, and its page faults.
func (g *guest) enter() {
	runtime.LockOSThread()
	g.events = g.instance.threadEvents()
	g.entered = threadTime()
	g.since = g.instance.program.engine.age()
}

// leave ends that.
func (g *guest) leave() {
	took := g.instance.program.engine.age() - g.since
	now := g.instance.threadEvents()
	if now == unknown || now.switches != g.events.switches || took > brief {
		took = threadTime() - g.entered
	}
	g.cpu += took
	if now == unknown || now.faults != g.events.faults {
		g.faulted = true
	}
	runtime.UnlockOSThread()
}

// guestOf returns the guest that a host function was called by.
func guestOf(ctx context.Context) *guest {
	return ctx.(*guest) //nolint:forcetypeassert // guests are entered with no other context
}

// yield is the host's function that guests call when their fuel is used up.
// Others get the processor; a guest whose time is over ends here.
func yield(ctx context.Context, _ api.Module, _ []uint64) {
	g := guestOf(ctx)
	if f := g.over(); f != nil {
		panic(f)
	}
	g.flush()
	g.leave()
	runtime.Gosched()
	g.enter()
	q := g.instance.program.quantum()
	g.granted += q
	g.instance.fuel.Set(g.instance.fuel.Get() + q)
}

// flush has what the guest logged so far written.
func (g *guest) flush() {
	if log, held := g.req.Log.(HeldLog); held {
		log.Flush()
	}
}

// over says why the guest must end: its time is over, or nobody waits for it
// any more.
func (g *guest) over() *Failure {
	if !time.Now().Before(g.req.Deadline) {
		return &Failure{Type: "Sandbox.Timedout", Message: "Task timed out", Timeout: true}
	}
	if err := g.Err(); err != nil {
		return &Failure{Type: typeCancelled, Message: err.Error()}
	}
	select {
	case <-g.instance.program.engine.ending:
		return &Failure{Type: typeCancelled, Message: "the platform ends"}
	default:
	}
	return nil
}

// typeCancelled is the failure of a guest whose caller has gone.
const typeCancelled = "Runtime.Cancelled"

// maxMessage is how much of what a guest says of its failure is kept.
const maxMessage = 64 << 10

// fail is the host's function fail(type, length, message, length): the request
// has failed, whatever the guest answers, and its caller gets a document of the
// two.
func fail(ctx context.Context, mod api.Module, stack []uint64) {
	f := &Failure{Type: textOf(mod, stack[0], stack[1]), Message: textOf(mod, stack[2], stack[3])}
	doc, err := json.Marshal(struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}{f.Message, f.Type})
	if err == nil { // it cannot be: strings always encode
		f.Document = doc
	}
	guestOf(ctx).failure = f
}

// failDocument is the host's function fail_document(type, length, document,
// length): the request has failed, and its caller gets the document.
func failDocument(ctx context.Context, mod api.Module, stack []uint64) {
	f := &Failure{Type: textOf(mod, stack[0], stack[1]), Document: []byte(textOf(mod, stack[2], stack[3]))}
	if !json.Valid(f.Document) {
		panic(&Failure{Type: "Runtime.InvalidDocument", Message: "fail_document was called with what is no JSON"})
	}
	f.Message = string(f.Document)
	guestOf(ctx).failure = f
}

// textOf returns what a guest says.
func textOf(mod api.Module, place, n uint64) string {
	b, ok := mod.Memory().Read(uint32(place), min(uint32(n), maxMessage))
	if !ok {
		panic(&Failure{Type: "Runtime.InvalidMemory", Message: "a text that the guest names is outside of the memory"})
	}
	return string(b)
}

// An ownFunction is one that the platform's own module has for guests, besides
// yield: what it does, and how many 32-bit numbers it takes and returns.
type ownFunction struct {
	do              api.GoModuleFunc
	params, results int
}

var ownFunctions = map[string]ownFunction{
	"fail":          {fail, 4, 0},
	"fail_document": {failDocument, 4, 0},
	importFetch:     {hostFetch, 2, 1},
	importFetched:   {hostFetched, 1, 0},
}
