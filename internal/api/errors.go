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
	codeSignIn:        {Status: http.StatusForbidden, Message: "message"},
	codeExpired:       {Status: http.StatusForbidden, Message: "message"},
}

// answerOf returns what is sent for an error: the one map from codes to
// answers, of the Lambda API or of the other one that r is to. Codes that the
// listener does not raise itself are that API's; an unknown code, or no
// *millicent.Error at all, is answered as a failure that tells nothing.
func answerOf(r *http.Request, other otherAPI, err error) (status int, header http.Header, body []byte) {
	var e *millicent.Error
	var ex lambda.Exception
	own := errors.As(err, &e)
	if own {
		ex, own = listener[e.Code]
	}
	switch {
	case other != nil:
		return other.Answer(r, err, ex.Status)
	case own:
		body, _ = json.Marshal(map[string]string{ex.Message: e.Message}) // strings only: it cannot fail
		return ex.Status, http.Header{"Content-Type": {"application/json"}, "X-Amzn-Errortype": {e.Code}}, body
	}
	return lambda.Answer(err)
}
