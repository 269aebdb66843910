package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/api/lambda"
)

// Codes that the listener itself raises.
const (
	codeMissingToken  = "MissingAuthenticationTokenException"
	codeUnknownClient = "UnrecognizedClientException"
	codeBadSignature  = "InvalidSignatureException"
	codeIncomplete    = "IncompleteSignatureException"
	codeTooLarge      = "RequestTooLargeException"
	codeUnknown       = "UnknownOperationException"
)

// listener says how errors are answered that come before the Lambda API is
// reached; AWS's front door writes these without a Type.
var listener = map[string]lambda.Exception{
	codeMissingToken:  {Status: http.StatusForbidden, Message: "message"},
	codeUnknownClient: {Status: http.StatusForbidden, Message: "message"},
	codeBadSignature:  {Status: http.StatusForbidden, Message: "message"},
	codeIncomplete:    {Status: http.StatusForbidden, Message: "message"},
}

// answerOf returns what is sent for an error: the one map from codes to
// answers. Codes that the listener does not raise itself are the Lambda API's;
// an unknown code, or no *millicent.Error at all, is answered as a
// ServiceException that tells nothing.
func answerOf(err error) (status int, header http.Header, body []byte) {
	var e *millicent.Error
	if errors.As(err, &e) {
		if ex, ok := listener[e.Code]; ok {
			body, _ = json.Marshal(map[string]string{ex.Message: e.Message}) // strings only: it cannot fail
			return ex.Status, http.Header{"Content-Type": {"application/json"}, "X-Amzn-Errortype": {e.Code}}, body
		}
	}
	return lambda.Answer(err)
}
