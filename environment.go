package millicent

import "context"

// A Launcher starts execution environments for one kind of runtime. Every
// implementation passes launchertest.Run. It is safe for concurrent use.
type Launcher interface {
	// Launch starts an environment for v and returns once its Init phase is
	// over, well or badly: an environment whose Init failed runs it again
	// within its next Invoke, as Lambda does, and that invocation's Result
	// tells the caller why it failed. An error means that the platform could
	// not start the environment; nothing is left behind then. What is known
	// of the start comes with ctx: see StartFrom.
	Launch(ctx context.Context, v *Version) (Environment, error)
}

// A Provisioner is a Launcher that can also start environments that no
// invocation waits for: provisioned concurrency.
type Provisioner interface {
	Launcher

	// Provision starts an environment for v as Launch does, but Init may last
	// up to 15 minutes, and the environment's first invocation is a warm one.
	// Of a failed Init nothing is left: the error has CodeInitFailed.
	Provision(ctx context.Context, v *Version) (Environment, error)
}

// Initialised reports whether an environment's next Invoke will find its
// runtime initialised, as far as is known. It must not be called during one.
func Initialised(e Environment) bool {
	i, ok := e.(interface{ Initialised() bool })
	return !ok || i.Initialised()
}

// Light reports whether another environment of e's version would be there at
// once, and take little: what it begins with is in memory already, and e shares
// it.
func Light(e Environment) bool {
	l, ok := e.(interface{ Light() bool })
	return ok && l.Light()
}

// An Environment is one copy of a version, ready to serve. It serves one
// invocation at a time; the scheduler owns it between invocations.
type Environment interface {
	// Invoke runs one invocation to its end: a response, an error, a crash or
	// the version's timeout, all of which are Results. What the function
	// streams goes to the invocation's Sink, if it has one, as it comes: the
	// function waits for a slow one, and is not stopped by one that has
	// failed. After a crash or a
	// timeout the environment keeps its /tmp and starts its runtime afresh in
	// the next Invoke. When ctx ends first, the function is stopped and ctx's
	// error returned. An *Error with code CodeEnvironmentDead means that the
	// environment is gone and the function did not see the event: invoke
	// another one.
	Invoke(ctx context.Context, inv *Invocation) (*Result, error)

	// Close runs the Shutdown phase and frees everything. It is idempotent,
	// may be called at any time, and ends a running Invoke.
	Close() error
}

// A Freezer is an Environment that can stand still while no invocation runs,
// as environments on Lambda do.
type Freezer interface {
	Environment

	// Freeze stops all that runs in the environment where it stands, until the
	// next Invoke or Close, and reports whether it has. It has not where the
	// runtime is still at work after its answer, which it may be until the
	// invocation's deadline, or where Invoke or Close came before the end of
	// Freeze: these call it off. The time for which an environment was frozen
	// is not an invocation's. An error that is errors.ErrUnsupported means that
	// this machine cannot freeze.
	Freeze(ctx context.Context) (frozen bool, err error)

	// GiveBack frees memory that the environment can do without and get back
	// by itself, such as pages of files, and returns about how many bytes that
	// was. It may be called at any time, and is meant for when memory is
	// short: what was freed the next invocation has to read again.
	GiveBack() (bytes int64, err error)
}

// A LogRecord is one event in a function's log: a line of the function or of
// the platform.
type LogRecord struct {
	Tenant     string `json:"tenant"`
	Function   string `json:"function"`
	Version    string `json:"version"`
	Stream     string `json:"stream"`               // YYYY/MM/DD/[VERSION]32hex, one per environment
	Invocation string `json:"invocation,omitempty"` // request id; empty outside invocations
	Time       int64  `json:"time"`                 // Unix microseconds
	Message    string `json:"message"`              // without a final newline

	// Delay is what kept the invocation waiting, in the platform's report on
	// one that did not run at once.
	Delay *Delay `json:"delay,omitempty"`

	// ErrorType is the kind of failure, in the platform's report on an
	// invocation that failed.
	ErrorType string `json:"errorType,omitempty"`
}

// A LogSink takes log records. Write never blocks on disk or network and is
// safe for concurrent use.
type LogSink interface {
	Write(rec LogRecord)
}
