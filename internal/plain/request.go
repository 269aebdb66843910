package plain

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
)

// Most plain requests are so plain that little is left to be read of their
// heads: net/http takes thrice as long to come to the same request, and twice
// the memory. All others it reads itself. A fuzz target holds both to the same
// requests.

// maxFields is the number of headers up to which a request is read here.
const maxFields = 32

// A parsed request's parts are allocated together.
type parsed struct {
	url    url.URL
	body   rest
	values [8]string // of most requests' headers
}

// parse makes r the request of a head, of whose line and headers it is known
// where they are; false where net/http has to. The body is what follows the
// head on in. Names in the head become canonical.
func parse(r *http.Request, head []byte, line int, fields []field, in *bufio.Reader) bool {
	method, path, ok := cutLine(head[:line])
	if !ok || len(fields) > maxFields {
		return false
	}
	length, ok := bodyLength(head, fields)
	if !ok {
		return false
	}
	for _, f := range fields {
		canonical(head[f.name:f.nameEnd])
	}
	text := string(head) // what the request says is parts of it
	p := &parsed{}
	r.Method, r.RequestURI = method, text[len(method)+1:len(method)+1+path]
	p.url.Path = r.RequestURI
	r.URL = &p.url
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.ContentLength, r.Body = length, http.NoBody
	if length > 0 {
		p.body = rest{in, length}
		r.Body = &p.body
	}
	r.Header = make(http.Header, len(fields)-1)
	values := p.values[:0]
	if len(fields) > len(p.values) {
		values = make([]string, 0, len(fields))
	}
	for _, f := range fields {
		key, value := text[f.name:f.nameEnd], text[f.value:f.valueEnd]
		if key == "Host" {
			r.Host = value
		} else if have := r.Header[key]; have != nil {
			r.Header[key] = append(have, value)
		} else {
			n := len(values)
			values = append(values, value)
			r.Header[key] = values[n : n+1 : n+1]
		}
	}
	return true
}

// cutLine returns the method of a request line that can only be understood in
// one way, and the length of its path.
func cutLine(line []byte) (method string, path int, ok bool) {
	switch {
	case bytes.HasPrefix(line, []byte("POST /")):
		method = http.MethodPost
	case bytes.HasPrefix(line, []byte("GET /")):
		method = http.MethodGet
	default:
		return "", 0, false
	}
	target := line[len(method)+1 : len(line)-len(" HTTP/1.1")]
	if len(target) > 1 && target[1] == '/' {
		return "", 0, false // a host, to some
	}
	for _, c := range target {
		if !isWord(c) && c != '/' && c != '-' && c != '.' {
			return "", 0, false
		}
	}
	return method, len(target), true
}

// bodyLength returns the length of the body that the headers tell of; false
// where it takes more to know it, or they say what changes others.
func bodyLength(head []byte, fields []field) (length int64, ok bool) {
	told := false
	for _, f := range fields {
		switch name, value := head[f.name:f.nameEnd], head[f.value:f.valueEnd]; {
		case is(name, "Content-Length"):
			if length, ok = number(value); told || !ok {
				return 0, false
			}
			told = true
		case is(name, "Transfer-Encoding"), is(name, "Trailer"), is(name, "Pragma"):
			return 0, false
		}
	}
	return length, true
}

// number returns what digits say, and at most 18 of them.
func number(digits []byte) (n int64, ok bool) {
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// canonical makes a name the one that net/http knows a header by.
func canonical(name []byte) {
	first := true
	for i, c := range name {
		switch {
		case first && 'a' <= c && c <= 'z':
			name[i] = c - ('a' - 'A')
		case !first && 'A' <= c && c <= 'Z':
			name[i] = c + ('a' - 'A')
		}
		first = c == '-'
	}
}

// rest is the body of a request that is followed by others.
type rest struct {
	in   *bufio.Reader
	left int64
}

// Read implements io.Reader. The last bytes come with io.EOF.
func (b *rest) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case b.left == 0:
		return n, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements io.Closer.
func (b *rest) Close() error { return nil }
