package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/millicent-run/millicent"
)

// DefaultEndpoint is where a server listens when nobody says otherwise.
const DefaultEndpoint = "http://127.0.0.1:4566"

// maxAnswer bounds what is read of one answer; the largest is a list.
const maxAnswer = 64 << 20

// Config configures a Client.
type Config struct {
	Endpoint string // http(s)://host:port, host:port, or unix:/path of an admin socket; zero means DefaultEndpoint
	Region   string // zero means us-east-1

	// Credentials: calls are signed when AccessKeyID is set.
	AccessKeyID, SecretAccessKey, SessionToken string
}

// A Client calls one server.
type Client struct {
	base   *url.URL
	name   string // the endpoint as people know it
	region string
	creds  aws.Credentials
	http   *http.Client
	signer *v4.Signer
}

// New returns a Client. It does not connect yet.
func New(cfg Config) (*Client, error) {
	if cfg.Endpoint == "" {
		cfg.Endpoint = DefaultEndpoint
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport.DialContext = dialer.DialContext
	c := &Client{
		name:   cfg.Endpoint,
		region: cfg.Region,
		creds:  aws.Credentials{AccessKeyID: cfg.AccessKeyID, SecretAccessKey: cfg.SecretAccessKey, SessionToken: cfg.SessionToken},
		http:   &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		signer: v4.NewSigner(),
	}
	if path, ok := strings.CutPrefix(cfg.Endpoint, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		c.base = &url.URL{Scheme: "http", Host: "admin"}
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
		return c, nil
	}
	if !strings.Contains(c.name, "://") {
		c.name = "http://" + c.name
	}
	base, err := url.Parse(c.name)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") || base.RawQuery != "" || base.User != nil {
		return nil, fmt.Errorf("endpoint %q: want a URL like %s", cfg.Endpoint, DefaultEndpoint)
	}
	c.base, c.name = base, strings.TrimRight(c.name, "/")
	return c, nil
}

// Endpoint returns the server's address as it was given.
func (c *Client) Endpoint() string { return c.name }

// Unreachable is the error of a call that no server answered.
type Unreachable struct {
	Endpoint string
	Err      error
}

// Error names the endpoint and the cause.
func (e *Unreachable) Error() string {
	return fmt.Sprintf("no server at %s: %v", e.Endpoint, e.Err)
}

// Unwrap returns the cause.
func (e *Unreachable) Unwrap() error { return e.Err }

// A request is one call before it is sent.
type request struct {
	method string
	path   string // escaped
	query  url.Values
	header http.Header
	body   []byte
	report func(sent int64) // may be nil
}

// send sends a request and returns the answer, whatever its status. The
// caller closes its body.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	u := *c.base
	escaped := strings.TrimRight(u.EscapedPath(), "/") + r.path
	plain, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, fmt.Errorf("path %q: %w", escaped, err)
	}
	u.Path, u.RawPath, u.RawQuery = plain, escaped, r.query.Encode()

	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	if len(r.body) > 0 && r.report != nil {
		req.Body = io.NopCloser(&reporter{r: bytes.NewReader(r.body), report: r.report})
		req.GetBody = nil
	}
	req.Header.Set("User-Agent", "millicent-client")
	for k, v := range r.header {
		req.Header[k] = v
	}
	if c.creds.AccessKeyID != "" {
		sum := sha256.Sum256(r.body)
		err := c.signer.SignHTTP(ctx, c.creds, req, hex.EncodeToString(sum[:]), service(r.path), c.region, time.Now())
		if err != nil {
			return nil, fmt.Errorf("sign the call: %w", err)
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, &Unreachable{Endpoint: c.name, Err: err}
	}
	return resp, nil
}

// call sends a request with in as its JSON body, unless nil, and decodes the
// answer's JSON to out, unless nil. An error status is a *millicent.Error.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	r := request{method: method, path: path, query: query}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the call: %w", err)
		}
		r.body = body
		r.header = http.Header{"Content-Type": {"application/json"}}
	}
	return c.roundTrip(ctx, r, out)
}

func (c *Client) roundTrip(ctx context.Context, r request, out any) error {
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return decodeError(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if out == nil || len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s answered what this client does not understand: %w", c.name, err)
	}
	return nil
}

// decodeError reads a server's refusal.
func decodeError(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is of it
	e := &millicent.Error{Code: resp.Header.Get("X-Amzn-ErrorType")}
	e.Code, _, _ = strings.Cut(e.Code, ":")
	var members map[string]any
	if json.Unmarshal(body, &members) == nil {
		for k, v := range members {
			s, ok := v.(string)
			switch {
			case !ok:
			case strings.EqualFold(k, "message"):
				e.Message = s
			case k == "__type" || k == "code":
				if e.Code == "" {
					e.Code = s[strings.LastIndexByte(s, '#')+1:]
				}
			default:
				if e.Detail == nil {
					e.Detail = make(map[string]string)
				}
				e.Detail[k] = s
			}
		}
	}
	if e.Code == "" {
		e.Code = millicent.CodeInternal
	}
	if e.Message == "" {
		e.Message = "The server answered " + resp.Status + "."
	}
	return e
}

// IsNotFound reports whether an error says that a thing does not exist.
func IsNotFound(err error) bool {
	return err != nil && millicent.ErrorCode(err) == millicent.CodeNotFound
}

// A reporter tells how much of a body was read.
type reporter struct {
	r      *bytes.Reader
	sent   int64
	report func(sent int64)
}

func (r *reporter) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.sent += int64(n)
	r.report(r.sent)
	return n, err
}
