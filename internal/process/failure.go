package process

import (
	"encoding/json"
	"fmt"
	"syscall"
	"time"

	"github.com/millicent-run/millicent/internal/sandbox"
)

// Error types that decisions depend on.
const (
	failureOfPlatform = "Sandbox.Failure" // not the function's doing
	errorTruncated    = "Runtime.TruncatedResponse"
	errorOutOfMemory  = "Runtime.OutOfMemory"

	sigKill = syscall.SIGKILL
)

// A failure is how an invocation or an Init phase failed: what the caller is
// told and what the log and the metrics call it.
type failure struct {
	errorType string // the kind: Runtime.ExitError, Function.Unknown, …
	document  []byte // what the caller gets, verbatim; when nil it is made of message
	message   string // names the reason in a document of the platform's own
	reported  string // what REPORT calls it, when that differs from errorType
	timeout   bool
	fatal     bool // the runtime cannot go on and is started afresh
}

// payload returns the error document for the invocation of the given id.
func (f *failure) payload(id string) []byte {
	if f.document != nil {
		return f.document
	}
	return encode(struct {
		ErrorType    string `json:"errorType"`
		ErrorMessage string `json:"errorMessage"`
	}{f.errorType, fmt.Sprintf("RequestId: %s Error: %s", id, f.message)})
}

// said is what the failure's author says of it, in a sentence or so.
func (f *failure) said() string {
	var doc struct{ ErrorType, ErrorMessage string }
	if json.Unmarshal(f.document, &doc) == nil && doc.ErrorMessage != "" {
		return fmt.Sprintf("%.1000s: %.1000s", doc.ErrorType, doc.ErrorMessage)
	}
	return f.errorType + ": " + f.message
}

// reportedType is the Error Type of a REPORT line.
func (f *failure) reportedType() string {
	if f.reported != "" {
		return f.reported
	}
	return f.errorType
}

// errorDocument returns an error document in the order of members that
// functions use.
func errorDocument(errorType, message string) []byte {
	return encode(struct {
		ErrorMessage string `json:"errorMessage"`
		ErrorType    string `json:"errorType"`
	}{message, errorType})
}

// timedOut is an invocation beyond its version's timeout.
func timedOut(timeout time.Duration) *failure {
	return &failure{
		errorType: "Sandbox.Timedout",
		message:   fmt.Sprintf("Task timed out after %.2f seconds", timeout.Seconds()),
		timeout:   true,
		fatal:     true,
	}
}

// exited is a runtime that ended by itself, or was killed by the kernel for
// the memory limit.
func exited(status sandbox.ExitStatus, oom bool) *failure {
	f := &failure{errorType: "Runtime.ExitError", fatal: true}
	switch {
	case status.Signal != 0:
		f.message = "Runtime exited with error: signal: " + status.Signal.String()
	case status.Code != 0:
		f.message = fmt.Sprintf("Runtime exited with error: exit status %d", status.Code)
	default:
		f.message = "Runtime exited without providing a reason"
	}
	if oom {
		f.reported = errorOutOfMemory
	}
	return f
}

// invalidEntrypoint is a runtime that cannot be started for what the package
// holds.
func invalidEntrypoint(message string) *failure {
	return &failure{errorType: "Runtime.InvalidEntrypoint", message: message, fatal: true}
}

// responseTooLarge is a response of more than limit bytes.
func responseTooLarge(limit int) *failure {
	const kind = "Function.ResponseSizeTooLarge"
	return &failure{errorType: kind, document: errorDocument(kind,
		fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", limit))}
}

func responseModeFailure() *failure {
	const kind = "Runtime.InvalidResponseModeHeader"
	return &failure{errorType: kind, document: errorDocument(kind, "Invalid function response mode")}
}

// truncatedResponse is an answer that ended before its announced end.
func truncatedResponse() *failure {
	return &failure{errorType: errorTruncated, message: "HTTP request detected as truncated", fatal: true}
}
