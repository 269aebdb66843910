package process

import (
	"syscall"

	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// Failures of runtimes that are processes.

const (
	errorTruncated = "Runtime.TruncatedResponse"

	sigKill = syscall.SIGKILL
)

// exited is a process that ended.
func exited(status sandbox.ExitStatus, oom bool) *lifecycle.Failure {
	return lifecycle.Exited(status.Code, status.Signal, oom)
}

func responseModeFailure() *lifecycle.Failure {
	const kind = "Runtime.InvalidResponseModeHeader"
	return &lifecycle.Failure{Type: kind, Document: lifecycle.ErrorDocument(kind, "Invalid function response mode")}
}

// truncatedResponse is an answer that ended before its announced end.
func truncatedResponse() *lifecycle.Failure {
	return &lifecycle.Failure{Type: errorTruncated, Message: "HTTP request detected as truncated", Fatal: true}
}
