package millicent

import "time"

// A UsageKind is what a UsageRecord is about.
type UsageKind string

// The kinds of usage.
const (
	UsageInvocation  UsageKind = "invocation"  // one attempt of one invocation
	UsageProvisioned UsageKind = "provisioned" // environments that were kept ready; Quantity in MB-milliseconds
	UsageStorage     UsageKind = "storage"     // packages and messages kept; Quantity in byte-seconds
	UsageQueue       UsageKind = "queue"       // requests to queues; Quantity is how many
)

// A UsageRecord is one line of the ledger: what a tenant used, from which bills
// are made. Kind, ID and Attempt together name it: the ledger has none of them
// twice.
type UsageRecord struct {
	Kind    UsageKind
	ID      string // request id; of other kinds a name of the platform's own that is given once
	Attempt int    // of an asynchronous event's runs, from 1; 1 otherwise

	Tenant   string
	Function string            // name; empty where none is concerned
	Version  string            // number of the version that ran
	Alias    string            // that the caller named; empty when none
	Key      string            // id of the access key of the call; empty when none
	Tags     map[string]string // the function's at the time; shared, never modified

	Root   string // request id that began the chain of causes
	Parent string // request id of what caused it; empty for the first of a chain

	Start    time.Time     // exact to the millisecond
	Duration time.Duration // handler time, exact to the microsecond
	Init     time.Duration // that was billed, or the function's part of a snapshot's start
	Billed   time.Duration // whole milliseconds

	MemoryMB     int // configured
	PeakMemoryMB int
	CPU          time.Duration // of all processes of the environment, user and system
	In, Out      int64         // bytes of the event and of the answer
	Egress       int64         // bytes sent out of the sandbox to elsewhere
	Fuel         uint64        // instructions run, where they are counted; see Usage.Fuel

	Cold    bool
	Outcome Outcome

	Quantity int64 // of kinds other than invocations: in the kind's unit

	PriceBook string // name and version of the price book in force, such as default@1

	// Number is the record's in the ledger, from 1, for those who count it once
	// it is recorded; it is not a part of the record.
	Number uint64
}

// An Outcome is how an invocation ended.
type Outcome string

// The outcomes of invocations. Those that the platform refused have no record.
const (
	OutcomeSuccess       Outcome = "success"
	OutcomeFunctionError Outcome = "function_error"
	OutcomeTimeout       Outcome = "timeout"
	OutcomeOutOfMemory   Outcome = "out_of_memory"
)

// Outcome returns how the invocation ended.
func (r *Result) Outcome() Outcome {
	switch {
	case r.FunctionError == "":
		return OutcomeSuccess
	case r.ErrorType == "Sandbox.Timedout":
		return OutcomeTimeout
	case r.ErrorType == "Runtime.OutOfMemory":
		return OutcomeOutOfMemory
	}
	return OutcomeFunctionError
}
