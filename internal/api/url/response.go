package url

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// A Response is what a function answered, as HTTP.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// hopByHop are the headers that belong to the connection or are the
// platform's to write; a function's are dropped.
var hopByHop = map[string]bool{
	"Connection": true, "Content-Length": true, "Keep-Alive": true, "Proxy-Authenticate": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// preludeEnd is between the prelude of a streamed response and its body. No
// JSON has it.
var preludeEnd = make([]byte, 8)

// ResponseFrom reads a function's result in payload format 2.0. An object
// with a statusCode says all of the response; anything else is the body of a
// 200 of type application/json, a string without its quotes. A response that
// was written to a stream with a prelude is what that says. The error says
// what is malformed, for the operator.
func ResponseFrom(payload []byte) (*Response, error) {
	if prelude, body, ok := bytes.Cut(payload, preludeEnd); ok && bytes.HasPrefix(prelude, []byte("{")) {
		return streamed(prelude, body)
	}
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 {
		return inferred(nil), nil
	}
	if payload[0] != '{' {
		return inferScalar(payload)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(payload, &members); err != nil {
		return nil, fmt.Errorf("result is not JSON: %w", err)
	}
	if status, ok := members["statusCode"]; !ok || isNull(status) {
		return inferScalar(payload)
	}
	return explicit(members)
}

func inferred(body []byte) *Response {
	return &Response{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   body,
	}
}

func inferScalar(payload []byte) (*Response, error) {
	if payload[0] == '"' {
		var s string
		if err := json.Unmarshal(payload, &s); err != nil {
			return nil, fmt.Errorf("result is not JSON: %w", err)
		}
		return inferred([]byte(s)), nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, payload); err != nil {
		return nil, fmt.Errorf("result is not JSON: %w", err)
	}
	return inferred(b.Bytes()), nil
}

// explicit reads a result with a statusCode.
func explicit(members map[string]json.RawMessage) (*Response, error) {
	r, err := headOf(members, "application/json")
	if err != nil {
		return nil, err
	}
	if r.Body, err = bodyOf(members["body"], members["isBase64Encoded"]); err != nil {
		return nil, err
	}
	return r, nil
}

// streamed reads a prelude, which has the form of a result without its body.
func streamed(prelude, body []byte) (*Response, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(prelude, &members); err != nil {
		return nil, fmt.Errorf("prelude is not JSON: %w", err)
	}
	if isNull(members["statusCode"]) {
		members["statusCode"] = json.RawMessage("200")
	}
	r, err := headOf(members, "application/octet-stream")
	if err != nil {
		return nil, err
	}
	r.Body = body
	return r, nil
}

// headOf reads all but the body of a response.
func headOf(members map[string]json.RawMessage, contentType string) (*Response, error) {
	status, err := statusOf(members["statusCode"])
	if err != nil {
		return nil, err
	}
	header, err := headersOf(members["headers"])
	if err != nil {
		return nil, err
	}
	if err := addCookies(header, members["cookies"]); err != nil {
		return nil, err
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", contentType)
	}
	return &Response{Status: status, Header: header}, nil
}

// statusOf reads a whole number from 200 to 599, also as a string. 1xx are
// not final answers.
func statusOf(raw json.RawMessage) (int, error) {
	s, ok := scalar(raw)
	n, err := strconv.ParseFloat(s, 64)
	if !ok || err != nil || n != float64(int(n)) || n < 200 || n > 599 {
		return 0, fmt.Errorf("statusCode %.40s is not a number from 200 to 599", raw)
	}
	return int(n), nil
}

func headersOf(raw json.RawMessage) (http.Header, error) {
	header := http.Header{}
	if isNull(raw) {
		return header, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	for name, raw := range members {
		value, ok := scalar(raw)
		if !ok {
			return nil, fmt.Errorf("header %.80q is not a string", name)
		}
		if !validName(name) || !validValue(value) {
			return nil, fmt.Errorf("header %.80q has characters that headers cannot have", name)
		}
		if name = textproto.CanonicalMIMEHeaderKey(name); !hopByHop[name] {
			header.Add(name, value)
		}
	}
	return header, nil
}

func addCookies(header http.Header, raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var cookies []string
	if err := json.Unmarshal(raw, &cookies); err != nil {
		return fmt.Errorf("cookies: %w", err)
	}
	for _, c := range cookies {
		if !validValue(c) {
			return errors.New("a cookie has characters that headers cannot have")
		}
		header.Add("Set-Cookie", c)
	}
	return nil
}

// bodyOf returns the body's bytes; one that is not a string is JSON.
func bodyOf(raw, encoded json.RawMessage) ([]byte, error) {
	if isNull(raw) {
		return nil, nil
	}
	if raw[0] != '"' {
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		return b.Bytes(), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if string(encoded) != "true" {
		return []byte(s), nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("body is not base64: %w", err)
	}
	return b, nil
}

// scalar returns a JSON string, number or boolean as text.
func scalar(raw json.RawMessage) (string, bool) {
	if isNull(raw) {
		return "", false
	}
	switch raw[0] {
	case '{', '[':
		return "", false
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err == nil
	}
	return string(raw), true
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// validName reports whether s is a token of RFC 9110, section 5.6.2.
func validName(s string) bool {
	const others = "!#$%&'*+-.^_`|~"
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !alnum && !strings.ContainsRune(others, r)
	}) < 0
}

// validValue reports whether s has no control characters but tab.
func validValue(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}
