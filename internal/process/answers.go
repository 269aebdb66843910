package process

import (
	"fmt"
	"net/http"

	"github.com/millicent-run/millicent/internal/lifecycle"
)

// answer writes an answer of the Runtime API, newline included.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(lifecycle.Encode(v), '\n')) // a runtime that hung up needs no answer
}

func answerAccepted(w http.ResponseWriter) {
	answer(w, http.StatusAccepted, struct {
		Status string `json:"status"`
	}{"OK"})
}

func answerError(w http.ResponseWriter, status int, errorType, message string) {
	answer(w, status, struct {
		ErrorMessage string `json:"errorMessage"`
		ErrorType    string `json:"errorType"`
	}{message, errorType})
}

func answerTooLarge(w http.ResponseWriter, limit int) {
	answerError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
		fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", limit))
}

func answerTruncated(w http.ResponseWriter) {
	answerError(w, http.StatusBadRequest, "TruncatedHTTPRequest", "HTTP request detected as truncated")
}

// answerTransition refuses what the runtime may not do where it stands.
func answerTransition(w http.ResponseWriter, from, to runtimeState) {
	answerError(w, http.StatusForbidden, "InvalidStateTransition",
		fmt.Sprintf("State transition from %s to %s failed for runtime. Error: %s", from, to, errNotAllowed))
}
