package millicent

import (
	"context"
	"time"
)

// InvocationType says how the caller waits.
type InvocationType string

// The invocation types of the Lambda API.
const (
	RequestResponse InvocationType = "RequestResponse" // the caller waits for the result
	Event           InvocationType = "Event"           // the caller waits for acceptance
	DryRun          InvocationType = "DryRun"          // nothing runs
)

// An Invocation is one call of a function, whichever door it came in by.
type Invocation struct {
	ID        string // request id, a UUID
	Tenant    string // account id
	Function  string // name
	Qualifier string // as the caller gave it: "", Latest, a number or an alias
	ARN       string // the function's resource name as the caller qualified it

	Event         []byte // JSON, or empty
	ClientContext []byte // JSON, or empty
	TraceID       string // X-Amzn-Trace-Id, or empty

	Key string // id of the access key of the call; empty when none

	// Sink takes the response as it comes. Where it is nil the Result has it
	// as a whole.
	Sink Sink

	// Pay reserves the price of bytes that the function is about to send to
	// elsewhere, and reports whether its budgets cover that; false after the
	// invocation's end. Nil where nobody has to be asked. The Invoker's Budget
	// sets it.
	Pay func(bytes int64) bool

	Lineage // filled in where it is the zero value

	Attempt int // of an asynchronous event's runs, from 1; zero where a caller waits

	Tail bool // the Result is to have the end of the log

	Received time.Time
	Wait     Wait // for its environment; the Invoker sets it
}

// A Sink takes a response while the function writes it. It is used by one
// goroutine at a time, and not after the invocation's end.
type Sink interface {
	// Begin comes first: the number of the version that answers, and the type
	// of content that it announces, perhaps empty. It does not come where the
	// function fails before it has begun to answer.
	Begin(version, contentType string)

	// Write takes the next part, which is the caller's again afterwards, and
	// waits for a slow receiver until ctx ends. After an error there is no
	// other Write: nobody is there to take the rest.
	Write(ctx context.Context, p []byte) error
}

// A Result is the outcome of an invocation that reached a function: what it
// answered, or how it failed.
type Result struct {
	Payload     []byte // empty where the response is Streamed
	ContentType string // of the response, as the function announced it; may be empty

	// Streamed says that the response began to go to the invocation's Sink.
	// It may have failed since.
	Streamed bool

	// FunctionError is empty when the function succeeded, else "Unhandled":
	// Payload then is the error document.
	FunctionError string

	// ErrorType is the kind of failure for logs and metrics, such as
	// Sandbox.Timedout or Runtime.ExitError; empty on success.
	ErrorType string

	Version string // number of the version that ran
	LogTail []byte // the last 4 KB of the invocation's log, where its Tail was wanted
	Usage   Usage

	// Start tells how the environment started, in the Result of the first
	// invocation that it served; or how its runtime was started afresh, in
	// that of the one that this was done in. Nil in others.
	Start *StartRecord
}
