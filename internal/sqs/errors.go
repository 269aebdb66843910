package sqs

import (
	"github.com/millicent-run/millicent"
)

// Codes of errors, as the SQS API names them.
const (
	CodeNoQueue           = "QueueDoesNotExist"
	CodeExists            = "QueueNameExists"
	CodeInvalidValue      = "InvalidParameterValue"
	CodeMissing           = "MissingParameter"
	CodeInvalidAttribute  = "InvalidAttributeName"
	CodeInvalidAttrValue  = "InvalidAttributeValue"
	CodeInvalidContents   = "InvalidMessageContents"
	CodeInvalidHandle     = "ReceiptHandleIsInvalid"
	CodeNotInFlight       = "MessageNotInflight"
	CodePurging           = "PurgeQueueInProgress"
	CodeOverLimit         = "OverLimit"
	CodeEmptyBatch        = "EmptyBatchRequest"
	CodeTooManyEntries    = "TooManyEntriesInBatchRequest"
	CodeIDsNotDistinct    = "BatchEntryIdsNotDistinct"
	CodeInvalidBatchID    = "InvalidBatchEntryId"
	CodeBatchTooLong      = "BatchRequestTooLong"
	CodeUnsupported       = "UnsupportedOperation"
	CodeThrottledRequests = "RequestThrottled"
)

func invalid(format string, args ...any) error {
	return millicent.Errorf(CodeInvalidValue, format, args...)
}

func invalidParameter(value any, name, reason string) error {
	return millicent.Errorf(CodeInvalidValue, "Value %v for parameter %s is invalid. Reason: %s", value, name, reason)
}

func missing(name string) error {
	return millicent.Errorf(CodeMissing, "The request must contain the parameter %s.", name)
}

func noQueue() error {
	return millicent.Errorf(CodeNoQueue, "The specified queue does not exist.")
}
