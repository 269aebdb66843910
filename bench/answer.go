package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// This file reads the answers of HTTP/1.1 servers, as far as a load generator
// has to: one that asks for little, and asks it of servers on this machine.

const (
	maxHead = 64 << 10
	maxBody = 16 << 20
)

var errAnswer = errors.New("this is no HTTP/1.1 answer")

// An answer is one of a server's. Its body is valid until the connection that
// it came by sends again.
type answer struct {
	status int
	body   []byte
	close  bool // the server ends the connection
}

// parseAnswer reads the answer that data begins with and tells how long it
// is. The size is 0 while the answer is not complete.
func parseAnswer(data []byte) (a answer, size int, err error) {
	head := bytes.Index(data, []byte("\r\n\r\n"))
	if head < 0 {
		if len(data) > maxHead {
			return a, 0, fmt.Errorf("%w: no end of its head", errAnswer)
		}
		return a, 0, nil
	}
	line, fields, _ := bytes.Cut(data[:head], []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return a, 0, fmt.Errorf("%w: %.40q", errAnswer, line)
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil || a.status < 200 {
		return a, 0, fmt.Errorf("%w: %.40q", errAnswer, line)
	}
	length, chunked := 0, false
	for field := range bytes.SplitSeq(fields, []byte("\r\n")) {
		name, value, _ := bytes.Cut(field, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(value))
			if err != nil || length < 0 || length > maxBody {
				return a, 0, fmt.Errorf("%w: content length %.20q", errAnswer, value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")):
			a.close = bytes.EqualFold(value, []byte("close"))
		}
	}
	rest := data[head+4:]
	if chunked {
		body, n, err := dechunk(rest)
		if n == 0 || err != nil {
			return a, 0, err
		}
		a.body = body
		return a, head + 4 + n, nil
	}
	if len(rest) < length {
		return a, 0, nil
	}
	a.body = rest[:length]
	return a, head + 4 + length, nil
}

// dechunk puts a chunked body together and tells how long it was; 0 while it
// is not complete. Trailers are refused: nobody here sends any.
func dechunk(data []byte) (body []byte, size int, err error) {
	for at := 0; ; {
		line := bytes.Index(data[at:], []byte("\r\n"))
		if line < 0 {
			return nil, 0, nil
		}
		n, err := strconv.ParseUint(string(data[at:at+line]), 16, 31)
		if err != nil || n > maxBody {
			return nil, 0, fmt.Errorf("%w: chunk of %.20q bytes", errAnswer, data[at:at+line])
		}
		at += line + 2
		if len(data) < at+int(n)+2 {
			return nil, 0, nil
		}
		body = append(body, data[at:at+int(n)]...)
		at += int(n)
		if !bytes.HasPrefix(data[at:], []byte("\r\n")) {
			return nil, 0, fmt.Errorf("%w: a chunk does not end", errAnswer)
		}
		at += 2
		if n == 0 {
			return body, at, nil
		}
	}
}
