package wasm

import (
	"context"
	"errors"
	"time"
)

// A Host runs the programs of one tenant: in this process, or in one of their
// own. It is safe for concurrent use.
type Host interface {
	// Open returns a session of the program that spec describes, which is
	// loaded unless it is already, with an instance that is made. Callers that want one program at
	// the same time wait for one loading of it. An error that is a *Failure is
	// the module's own: its initialisation failed, or took longer than
	// spec.InitTime. Any other says why it cannot run here, or is ctx's.
	Open(ctx context.Context, spec *Spec) (Session, error)

	// Prepare reads and checks a program and compiles it into the cache, so
	// that the first Open need not. It runs nothing of it.
	Prepare(ctx context.Context, spec *Spec) error

	// Close ends all sessions and frees everything. It is idempotent.
	Close() error
}

// A Session serves one request at a time, each in an instance that is as if it
// were new.
type Session interface {
	// Serve runs a request, and returns once it is answered: what the guest
	// left is cleared away behind the caller's back. What goes wrong in the
	// guest is the answer's Failure. An error means that there is no answer:
	// ctx ended, and the guest was stopped (the session can be used further);
	// or the host has gone, which is ErrHostGone or ErrNotServed.
	Serve(ctx context.Context, req *Request) (*Answer, error)

	// Opened tells what Open had to do. It never changes.
	Opened() Opening

	// Close gives the instance back. It is idempotent, and must not be called
	// while Serve runs: end its ctx first.
	Close() error
}

// Errors of sessions whose host has ended: the session is of no use any more.
var (
	// ErrHostGone means that the request may have run: it must not be run
	// again without being asked for.
	ErrHostGone = errors.New("the process that the function ran in has ended")

	// ErrNotServed means that the guest did not see the request.
	ErrNotServed = errors.New("the process that the function was to run in has ended before")
)

// ErrNotPrepared means that a program was not prepared before, and that the host
// does not do so by itself.
var ErrNotPrepared = errors.New("the program was not compiled before")

// DefaultInitTime is how long initialisation may take where nobody says it.
const DefaultInitTime = 10 * time.Second

// A Spec describes a program: a version of a function. Specs that are equal but
// for InitTime and Log describe the same program, which is loaded once.
type Spec struct {
	// Digest names the package's content, which never changes, and Dir has it
	// unpacked. A host reads it when it loads the program.
	Digest string
	Dir    string

	// Module is the module's file, a slash-separated path in Dir. It is empty
	// for JavaScript, where Handler says which file of Dir that is, and which
	// of its functions.
	Module  string
	Handler string

	MemoryMB int      // of the guest's memory, and its files in /tmp besides
	Environ  []string // NAME=value, sorted; what initialisation sees, too

	InitTime time.Duration // how long initialisation may take; default DefaultInitTime
	Log      Log           // of the initialisation; not nil. Not used after Open
}

// An Opening tells what an Open had to do.
type Opening struct {
	Loaded   bool // the program was in memory
	Compiled bool // its code had been compiled before: it was in memory, or in the cache

	Load time.Duration // to read, check and compile it; zero where Loaded
	Init time.Duration // to initialise it; zero where Loaded

	// Ready says that the next session of the program begins with an image of
	// what initialisation left, which this one has made or found.
	Ready bool

	// Idle is about how many bytes the session keeps while it serves nothing.
	Idle int64
}

// Names in a request's Environ: what a guest is told of the invocation, besides
// what is the same for all invocations of a version.
const (
	EnvRequestID     = "AWS_LAMBDA_REQUEST_ID"
	EnvDeadline      = "AWS_LAMBDA_DEADLINE_MS"    // Unix milliseconds
	EnvFunctionARN   = "AWS_LAMBDA_FUNCTION_ARN"   // as the caller qualified it
	EnvClientContext = "AWS_LAMBDA_CLIENT_CONTEXT" // JSON; not there where the caller gave none
	EnvTraceID       = "_X_AMZN_TRACE_ID"          // not there where the caller gave none
)
