package api

import (
	"net/http"
	"strings"

	"github.com/millicent-run/millicent"
)

// invoking are the operations that a function may call.
var invoking = map[string]bool{"Invoke": true, "InvokeAsync": true, "InvokeWithResponseStream": true}

// authorize refuses what a function may not ask of the platform: all but
// invoking, in its own account. Other callers may do everything in theirs.
func (h *Handler) authorize(r *http.Request, id millicent.Identity) error {
	if id.Function == "" {
		return nil
	}
	operation, function := "", ""
	if h.cfg.Lambda.Match(r) {
		operation, function = h.cfg.Lambda.Operation(r)
	}
	if invoking[operation] {
		return nil
	}
	if operation == "" {
		operation = "UnknownOperation"
	}
	resource := "*"
	if function != "" {
		resource = function
		if !strings.HasPrefix(function, "arn:") {
			resource = millicent.ARN(h.cfg.Region, id.Tenant, function, "")
		}
	}
	return millicent.Errorf(millicent.CodeAccessDenied,
		"User: %s is not authorized to perform: lambda:%s on resource: %.200s because no identity-based policy allows the lambda:%s action",
		id.ARN(), operation, resource, operation)
}
