package lifecycle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"syscall"
	"time"

	"github.com/millicent-run/millicent"
)

// Error types that decisions depend on.
const (
	FailureOfPlatform = "Sandbox.Failure" // not the function's doing
	OutOfMemory       = "Runtime.OutOfMemory"
)

// A Failure is how an invocation or an Init phase failed: what the caller is
// told and what the log and the metrics call it.
type Failure struct {
	Type     string // the kind: Runtime.ExitError, Function.Unknown, …
	Document []byte // what the caller gets, verbatim; when nil it is made of Message
	Message  string // names the reason in a document of the platform's own
	Reported string // what REPORT calls it, when that differs from Type
	Timeout  bool
	Fatal    bool // the runtime cannot go on and is started afresh
}

// Payload returns the error document for the invocation of the given id.
func (f *Failure) Payload(id string) []byte {
	if f.Document != nil {
		return f.Document
	}
	return Encode(struct {
		ErrorType    string `json:"errorType"`
		ErrorMessage string `json:"errorMessage"`
	}{f.Type, fmt.Sprintf("RequestId: %s Error: %s", id, f.Message)})
}

// Said is what the failure's author says of it, in a sentence or so.
func (f *Failure) Said() string {
	var doc struct{ ErrorType, ErrorMessage string }
	if json.Unmarshal(f.Document, &doc) == nil && doc.ErrorMessage != "" {
		return fmt.Sprintf("%.1000s: %.1000s", doc.ErrorType, doc.ErrorMessage)
	}
	return f.Type + ": " + f.Message
}

// OfInit is what whoever wanted an initialised environment is told of f.
func (f *Failure) OfInit() error {
	return &millicent.Error{
		Code:    millicent.CodeInitFailed,
		Message: "The function could not be initialised.",
		Err:     errors.New(f.ReportedType()),
	}
}

// ReportedType is the Error Type of a REPORT line.
func (f *Failure) ReportedType() string {
	if f.Reported != "" {
		return f.Reported
	}
	return f.Type
}

// ErrorDocument returns an error document in the order of members that
// functions use.
func ErrorDocument(errorType, message string) []byte {
	return Encode(struct {
		ErrorMessage string `json:"errorMessage"`
		ErrorType    string `json:"errorType"`
	}{message, errorType})
}

// TimedOut is an invocation beyond its version's timeout.
func TimedOut(timeout time.Duration) *Failure {
	return &Failure{
		Type:    "Sandbox.Timedout",
		Message: fmt.Sprintf("Task timed out after %.2f seconds", timeout.Seconds()),
		Timeout: true,
		Fatal:   true,
	}
}

// Exited is a runtime that ended with an exit code by itself, or by a signal,
// which is zero otherwise; outOfMemory says that this was for the memory limit.
func Exited(code int, signal syscall.Signal, outOfMemory bool) *Failure {
	f := &Failure{Type: "Runtime.ExitError", Fatal: true}
	switch {
	case signal != 0:
		f.Message = "Runtime exited with error: signal: " + signal.String()
	case code != 0:
		f.Message = fmt.Sprintf("Runtime exited with error: exit status %d", code)
	default:
		f.Message = "Runtime exited without providing a reason"
	}
	if outOfMemory {
		f.Reported = OutOfMemory
	}
	return f
}

// InvalidEntrypoint is a runtime that cannot be started for what the package
// holds.
func InvalidEntrypoint(message string) *Failure {
	return &Failure{Type: "Runtime.InvalidEntrypoint", Message: message, Fatal: true}
}

// ResponseTooLarge is a response of more than limit bytes.
func ResponseTooLarge(limit int) *Failure {
	const kind = "Function.ResponseSizeTooLarge"
	return &Failure{Type: kind, Document: ErrorDocument(kind,
		fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", limit))}
}

// PlatformError is what the caller learns of a failure that is not the
// function's.
func PlatformError(doing string, err error) error {
	var told *millicent.Error
	if errors.As(err, &told) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &millicent.Error{
		Code:    millicent.CodeInternal,
		Message: "The platform could not start an execution environment.",
		Err:     fmt.Errorf("%s: %w", doing, err),
	}
}

// Encode returns v as JSON without HTML escapes and without a final newline.
// It serves types of our own, which always encode.
func Encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("lifecycle: encode %T: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

var errorTypePattern = regexp.MustCompile(`^(Runtime|Function)\.[A-Z][a-zA-Z]{1,127}$`)

// FunctionErrorType keeps an error type that has the protocol's form.
func FunctionErrorType(s string) string {
	if errorTypePattern.MatchString(s) {
		return s
	}
	return "Function.Unknown"
}

// RuntimeErrorType is FunctionErrorType for an Init phase.
func RuntimeErrorType(s string) string {
	if errorTypePattern.MatchString(s) {
		return s
	}
	return "Runtime.Unknown"
}
