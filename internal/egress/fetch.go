package egress

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// A Fetcher makes HTTP requests for one environment that has no network of its
// own. Off by default: with an empty allow-list it refuses all; otherwise what
// Gateway.Dial allows is what it reaches, also by redirects. One goroutine at a
// time uses it; Sent may be called at any time.
type Fetcher struct {
	gateway *Gateway
	allow   []string
	client  http.Client
	sent    atomic.Int64
	toll    toll
	left    int // requests of this invocation
}

// Bounds of a Fetcher.
const (
	maxFetches      = 50 // of an invocation
	maxFetchHead    = 64 << 10
	maxFetchBody    = 6 << 20
	maxFetchHeaders = 128
	maxRedirects    = 5
	fetchTime       = 30 * time.Second // of one request, where nothing else ends it before
)

// Fetcher returns a Fetcher for a function with an allow-list. Close it.
func (g *Gateway) Fetcher(allow []string) *Fetcher {
	f := &Fetcher{gateway: g, allow: allow, left: maxFetches}
	f.client.Transport = &http.Transport{
		DialContext:            f.dial,
		MaxIdleConns:           4,
		IdleConnTimeout:        15 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxFetchHead,
	}
	return f
}

// Begin begins an invocation, which has a number of requests to make. pay is
// asked before bytes are sent: see [Traffic.Begin].
func (f *Fetcher) Begin(pay func(bytes int64) bool) {
	f.left = maxFetches
	f.toll.begin(pay, 0)
}

// Sent returns how many bytes the Fetcher's connections have sent so far.
func (f *Fetcher) Sent() int64 { return f.sent.Load() }

// Close closes the connections.
func (f *Fetcher) Close() { f.client.CloseIdleConnections() }

// A fetchRequest is the head of what is asked for. The document is the length
// of the head (four bytes, little-endian), the head as JSON, and the body.
type fetchRequest struct {
	Method   string      `json:"method"` // default GET
	URL      string      `json:"url"`
	Headers  [][2]string `json:"headers"`
	Redirect string      `json:"redirect"` // follow (default), manual, error
	Timeout  int         `json:"timeout"`  // milliseconds; zero means no limit but the platform's
}

// A fetchResponse is the head of what came of it, in a document of the same
// form. With Error there is nothing else.
type fetchResponse struct {
	Error   string      `json:"error,omitempty"`
	Status  int         `json:"status,omitempty"`
	URL     string      `json:"url,omitempty"` // after redirects
	Headers [][2]string `json:"headers,omitempty"`
}

// Fetch makes a request and returns what came of it, also where that is an
// error. ctx bounds it.
func (f *Fetcher) Fetch(ctx context.Context, document []byte) []byte {
	head, body, err := f.fetch(ctx, document)
	if err != nil {
		text := err.Error()
		head, body = &fetchResponse{Error: text[:min(len(text), 1<<10)]}, nil
	}
	text, err := json.Marshal(head)
	if err != nil {
		panic(fmt.Sprintf("egress: %v", err)) // strings and a number
	}
	out := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(text)+len(body)), uint32(len(text)))
	return append(append(out, text...), body...)
}

var errFetchOff = errors.New("outbound HTTP is off: the function has no allow-list of where it may connect to")

func (f *Fetcher) fetch(ctx context.Context, document []byte) (*fetchResponse, []byte, error) {
	if len(f.allow) == 0 {
		return nil, nil, errFetchOff
	}
	if f.left == 0 {
		return nil, nil, fmt.Errorf("an invocation may make %d requests", maxFetches)
	}
	f.left--
	head, body, err := parseFetch(document)
	if err != nil {
		return nil, nil, err
	}
	limit := fetchTime
	if asked := time.Duration(head.Timeout) * time.Millisecond; asked > 0 {
		limit = min(limit, asked)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := head.request(ctx, body)
	if err != nil {
		return nil, nil, err
	}
	client := f.client // with the redirects of this request
	client.CheckRedirect = head.redirect
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxFetchBody+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("read the answer: %w", err)
	case len(answer) > maxFetchBody:
		return nil, nil, fmt.Errorf("the answer is larger than %d bytes", maxFetchBody)
	}
	out := &fetchResponse{Status: resp.StatusCode, URL: resp.Request.URL.String()}
	for name, values := range resp.Header {
		for _, v := range values {
			out.Headers = append(out.Headers, [2]string{name, v})
		}
	}
	return out, answer, nil
}

// parseFetch reads a request's document.
func parseFetch(document []byte) (*fetchRequest, []byte, error) {
	if len(document) < 4 {
		return nil, nil, errors.New("the request has no head")
	}
	n, rest := binary.LittleEndian.Uint32(document), document[4:]
	if n > maxFetchHead || int(n) > len(rest) {
		return nil, nil, fmt.Errorf("the request's head is not whole, or longer than %d bytes", maxFetchHead)
	}
	if len(rest)-int(n) > maxFetchBody {
		return nil, nil, fmt.Errorf("the request's body is larger than %d bytes", maxFetchBody)
	}
	var head fetchRequest
	if err := json.Unmarshal(rest[:n], &head); err != nil {
		return nil, nil, fmt.Errorf("the request's head: %w", err)
	}
	return &head, rest[n:], nil
}

// kept are the header fields that belong to the connection, or say whom it is
// with: those are the platform's to set.
var kept = map[string]bool{
	"Host": true, "Connection": true, "Keep-Alive": true, "Transfer-Encoding": true, "Te": true, "Trailer": true,
	"Upgrade": true, "Expect": true, "Content-Length": true, "Proxy-Authorization": true, "Proxy-Connection": true,
}

// request makes the request that a head describes.
func (h *fetchRequest) request(ctx context.Context, body []byte) (*http.Request, error) {
	if h.Method == "CONNECT" || h.Method == "TRACE" {
		return nil, fmt.Errorf("the method %s is not for functions", h.Method)
	}
	u, err := url.Parse(h.URL)
	if err != nil {
		return nil, errors.New("the URL is malformed")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the URL has to begin with http:// or https:// and a host")
	}
	if len(h.Headers) > maxFetchHeaders {
		return nil, fmt.Errorf("a request may have %d header fields", maxFetchHeaders)
	}
	req, err := http.NewRequestWithContext(ctx, h.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, field := range h.Headers {
		if name := http.CanonicalHeaderKey(field[0]); !kept[name] {
			req.Header.Add(name, field[1])
		}
	}
	if _, set := req.Header["User-Agent"]; !set {
		req.Header.Set("User-Agent", "millicent")
	}
	return req, nil
}

// redirect is the http.Client's CheckRedirect.
func (h *fetchRequest) redirect(_ *http.Request, via []*http.Request) error {
	switch {
	case h.Redirect == "manual":
		return http.ErrUseLastResponse
	case h.Redirect == "error":
		return errors.New("the answer is a redirect")
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return nil
}

// dial connects to where the function may, and counts what is sent.
func (f *Fetcher) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, ErrRefused
	}
	c, err := f.gateway.Dial(ctx, f.allow, address)
	if err != nil {
		return nil, err
	}
	return &sendingConn{c, f}, nil
}

// A sendingConn counts what is sent, and has it paid for.
type sendingConn struct {
	net.Conn
	fetcher *Fetcher
}

func (c *sendingConn) Write(p []byte) (int, error) {
	if !c.fetcher.toll.pass(int64(len(p))) {
		return 0, errUnpaid
	}
	n, err := c.Conn.Write(p)
	c.fetcher.sent.Add(int64(n))
	return n, err
}
