package millicent

import (
	"errors"
	"fmt"
)

// An Error is the platform's refusal or failure to serve a call. Code is for
// programs, Message for the caller, Err for the operator's log: what Err says
// never reaches the caller.
type Error struct {
	Code    string            // an exception name of the Lambda API, or one of the Code constants
	Message string            // whole sentence for the caller
	Detail  map[string]string // further members of the answer, such as Reason
	Err     error             // cause, may be nil
}

// Codes used where the Lambda API has no name of its own, or where packages
// below the API decide upon one. All others are the Lambda API's exception
// names, written where they are raised.
const (
	CodeNotFound          = "ResourceNotFoundException"
	CodeConflict          = "ResourceConflictException"
	CodeInvalid           = "InvalidParameterValueException"
	CodeThrottled         = "TooManyRequestsException"
	CodeRecursive         = "RecursiveInvocationException"
	CodePrecondition      = "PreconditionFailedException"
	CodeInternal          = "ServiceException"
	CodeAccessDenied      = "AccessDeniedException"
	CodeNotImplemented    = "NotImplementedException" // ours: the operation is not built yet
	CodeEnvironmentDead   = "EnvironmentDead"         // ours: see Environment.Invoke; never leaves invoke
	CodeInitFailed        = "InitFailed"              // ours: see Provisioner.Provision; never leaves the scheduler
	CodeServerUnavailable = "ServiceUnavailableException"
)

// Reasons of a throttle: the Reason member that goes with CodeThrottled.
const (
	ReasonConcurrency         = "ConcurrentInvocationLimitExceeded"
	ReasonReservedConcurrency = "ReservedFunctionConcurrentInvocationLimitExceeded"
	ReasonBudget              = "FunctionInvocationRateLimitExceeded" // the message names the budget
)

// Errorf returns an Error with a formatted message for the caller.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Throttled returns the protocol's answer to a call beyond a limit.
func Throttled(reason string) *Error {
	return &Error{
		Code:    CodeThrottled,
		Message: "Rate Exceeded.",
		Detail:  map[string]string{"Reason": reason},
	}
}

// Error returns code, message and cause, for logs.
func (e *Error) Error() string {
	s := e.Code + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the code of the first *Error in err's chain, CodeInternal
// for any other error, and "" for nil.
func ErrorCode(err error) string {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
