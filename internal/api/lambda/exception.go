package lambda

import (
	"errors"
	"maps"
	"net/http"

	"github.com/millicent-run/millicent"
)

// Codes of the Lambda API that the service model does not list.
const (
	codeValidation    = "ValidationException"
	codeSerialization = "SerializationException"
	codeEntityTooBig  = "RequestEntityTooLargeException" // of a package
	codeTooLarge      = "RequestTooLargeException"       // of an invocation
	codeContent       = "InvalidRequestContentException"
	codeUnknown       = "UnknownOperationException"
)

// An Exception says how an error of a code is answered.
type Exception struct {
	Status  int
	Message string            // member that holds the message: message or Message
	Type    string            // value of the member Type; none when empty
	Headers map[string]string // members of Error.Detail that travel as headers
}

// unmodelled holds the exceptions that the service model does not list.
var unmodelled = map[string]Exception{
	codeValidation:                  {Status: http.StatusBadRequest, Message: "message"},
	codeSerialization:               {Status: http.StatusBadRequest, Message: "message"},
	codeEntityTooBig:                {Status: http.StatusRequestEntityTooLarge, Message: "message"},
	codeUnknown:                     {Status: http.StatusNotFound, Message: "message"},
	millicent.CodeAccessDenied:      {Status: http.StatusForbidden, Message: "Message"},
	millicent.CodeNotImplemented:    {Status: http.StatusNotImplemented, Message: "message"},
	millicent.CodeServerUnavailable: {Status: http.StatusServiceUnavailable, Message: "Message"},
}

// ExceptionOf returns how errors of a code are answered. A code that the
// Lambda API does not know is answered as a ServiceException.
func ExceptionOf(code string) (e Exception, known bool) {
	if e, known = modelled[code]; known {
		return e, true
	}
	if e, known = unmodelled[code]; known {
		return e, true
	}
	return modelled[millicent.CodeInternal], false
}

// internalMessage is all that a caller learns of an error that is not an
// *millicent.Error.
const internalMessage = "The service encountered an internal error."

// Answer returns what a caller is sent for an error: status, headers and
// body. An *millicent.Error's Detail adds members to the body or to the
// headers; a Detail "Type" of "" leaves the member Type out, as AWS does for a
// few errors. The cause never shows.
func Answer(err error) (status int, header http.Header, body []byte) {
	var e *millicent.Error
	if !errors.As(err, &e) {
		e = &millicent.Error{Code: millicent.CodeInternal, Message: internalMessage}
	}
	ex, known := ExceptionOf(e.Code)
	code, message := e.Code, e.Message
	if !known {
		code, message = millicent.CodeInternal, internalMessage
	}
	members := map[string]any{ex.Message: message}
	if message == "" {
		members[ex.Message] = nil
	}
	if ex.Type != "" {
		members["Type"] = ex.Type
	}
	header = http.Header{"Content-Type": {"application/json"}, "X-Amzn-Errortype": {code}}
	detail := maps.Clone(e.Detail)
	if _, told := detail["retryAfterSeconds"]; code == millicent.CodeThrottled && !told {
		header.Set("Retry-After", "1")
	}
	for name, value := range detail {
		switch {
		case ex.Headers[name] != "":
			if value != "" {
				header.Set(ex.Headers[name], value)
			}
		case name == "Type" && value == "":
			delete(members, name)
		default:
			members[name] = value
		}
	}
	body, err = marshal(members)
	if err != nil { // strings only: it cannot be
		body = []byte("{}")
	}
	return ex.Status, header, body
}

// typeless returns an error whose answer has no member Type.
func typeless(e *millicent.Error) *millicent.Error {
	e.Detail = map[string]string{"Type": ""}
	return e
}

func invalid(format string, args ...any) *millicent.Error {
	return millicent.Errorf(millicent.CodeInvalid, format, args...)
}

func notFound(format string, args ...any) *millicent.Error {
	return millicent.Errorf(millicent.CodeNotFound, format, args...)
}

func conflict(format string, args ...any) *millicent.Error {
	return millicent.Errorf(millicent.CodeConflict, format, args...)
}

// unsupported is the answer to a wish that this server does not fulfil.
func unsupported(format string, args ...any) *millicent.Error {
	return millicent.Errorf(millicent.CodeNotImplemented, format, args...)
}
