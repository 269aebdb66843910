package sqs

import (
	"errors"
	"net/http"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

const codeInvalidAction = "InvalidAction"

// A fault is an error as it is answered.
type fault struct {
	code      string // of the JSON protocol
	queryCode string // of the query protocol
	status    int
	message   string
}

// kind is whose fault it is.
func (f fault) kind() string {
	if f.status >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

// queryCodes are the codes that the query protocol has another word for.
var queryCodes = map[string]string{
	sqs.CodeNoQueue:        "AWS.SimpleQueueService.NonExistentQueue",
	sqs.CodeExists:         "QueueAlreadyExists",
	sqs.CodeNotInFlight:    "AWS.SimpleQueueService.MessageNotInflight",
	sqs.CodePurging:        "AWS.SimpleQueueService.PurgeQueueInProgress",
	sqs.CodeEmptyBatch:     "AWS.SimpleQueueService.EmptyBatchRequest",
	sqs.CodeTooManyEntries: "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	sqs.CodeIDsNotDistinct: "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
	sqs.CodeInvalidBatchID: "AWS.SimpleQueueService.InvalidBatchEntryId",
	sqs.CodeBatchTooLong:   "AWS.SimpleQueueService.BatchRequestTooLong",
	sqs.CodeUnsupported:    "AWS.SimpleQueueService.UnsupportedOperation",
}

// statuses are those other than 400.
var statuses = map[string]int{
	sqs.CodePurging:                 http.StatusForbidden,
	sqs.CodeOverLimit:               http.StatusForbidden,
	sqs.CodeThrottledRequests:       http.StatusForbidden,
	millicent.CodeAccessDenied:      http.StatusForbidden,
	millicent.CodeInternal:          http.StatusInternalServerError,
	millicent.CodeServerUnavailable: http.StatusServiceUnavailable,
}

// faultOf returns how an error is answered. What is not an *millicent.Error is
// ours, and tells the caller nothing.
func faultOf(err error) fault {
	var e *millicent.Error
	if !errors.As(err, &e) {
		e = &millicent.Error{Code: millicent.CodeInternal, Message: "The server failed to serve the request; its log says why."}
	}
	code := e.Code
	if code == millicent.CodeThrottled {
		code = sqs.CodeThrottledRequests
	}
	f := fault{code: code, queryCode: code, status: http.StatusBadRequest, message: e.Message}
	if q, ok := queryCodes[code]; ok {
		f.queryCode = q
	}
	if s, ok := statuses[code]; ok {
		f.status = s
	}
	return f
}
