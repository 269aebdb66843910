package plain

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
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

// parse makes r the request that a line and headers say; false where net/http
// has to. The body is what follows its head on in.
func parse(r *http.Request, line []byte, fields []field, in *bufio.Reader) bool {
	method, target, ok := cutLine(line)
	if !ok || len(fields) > maxFields {
		return false
	}
	length, ok := bodyLength(fields)
	if !ok {
		return false
	}
	p := &parsed{}
	r.Method, r.RequestURI = method, string(target)
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
		key, value := canonical(f.name), string(f.value)
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

// cutLine returns what a request line says that can only be understood in one
// way.
func cutLine(line []byte) (method string, target []byte, ok bool) {
	const version = " HTTP/1.1"
	switch {
	case bytes.HasPrefix(line, []byte("POST /")):
		method = http.MethodPost
	case bytes.HasPrefix(line, []byte("GET /")):
		method = http.MethodGet
	default:
		return "", nil, false
	}
	target = line[len(method)+1 : len(line)-len(version)]
	if len(target) > 1 && target[1] == '/' {
		return "", nil, false // a host, to some
	}
	for _, c := range target {
		if !isWord(c) && c != '/' && c != '-' && c != '.' {
			return "", nil, false
		}
	}
	return method, target, true
}

// bodyLength returns the length of the body that the headers tell of; false
// where it takes more to know it, or they say what changes others.
func bodyLength(fields []field) (length int64, ok bool) {
	told := false
	for _, f := range fields {
		switch {
		case is(f.name, "Content-Length"):
			if told {
				return 0, false
			}
			told = true
			for _, c := range f.value {
				if c < '0' || c > '9' {
					return 0, false
				}
			}
			n, err := strconv.ParseInt(string(f.value), 10, 64)
			if err != nil {
				return 0, false
			}
			length = n
		case is(f.name, "Transfer-Encoding"), is(f.name, "Trailer"), is(f.name, "Pragma"):
			return 0, false
		}
	}
	return length, true
}

// usualNames are those of most headers, which take no memory.
var usualNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Authorization", "Connection", "Content-Length",
		"Content-Type", "Host", "User-Agent", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-User-Agent", "X-Amzn-Trace-Id",
	} {
		names[name] = name
	}
	return names
}()

// canonical returns the name that net/http knows a header by, and makes it the
// one in the head as well.
func canonical(name []byte) string {
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
	if usual, ok := usualNames[string(name)]; ok {
		return usual
	}
	return string(name)
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
