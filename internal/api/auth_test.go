package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"

	"github.com/millicent-run/millicent"
)

var goodKey = aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "the-secret"}

// ownKey is of the server's own account.
var ownKey = aws.Credentials{AccessKeyID: "AKIAOWN", SecretAccessKey: "the-other-secret"}

const (
	invokePath = "/2015-03-31/functions/fn/invocations"
	mismatch   = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)

// signing is how a request is signed, and with what.
type signing struct {
	key     aws.Credentials
	body    string // that the signature is for
	hash    string // instead of the body's
	service string
	region  string
	time    time.Time
	expires string // presigns when not empty
}

// signed returns a request signed by the SDK's signer.
func signed(t *testing.T, method, target, body string, change func(*signing, *http.Request)) *http.Request {
	t.Helper()
	s := &signing{key: goodKey, body: body, service: "lambda", region: testRegion, time: time.Now()}
	r := newRequest(method, target, body)
	r.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(s, r)
	}
	if s.hash == "" {
		sum := sha256.Sum256([]byte(s.body))
		s.hash = hex.EncodeToString(sum[:])
	}
	signer := v4.NewSigner()
	if s.expires == "" {
		if err := signer.SignHTTP(t.Context(), s.key, r, s.hash, s.service, s.region, s.time); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r.ContentLength = 0 // what a presigned request carries is not known when it is signed
	q := r.URL.Query()
	q.Set("X-Amz-Expires", s.expires)
	r.URL.RawQuery = q.Encode()
	uri, header, err := signer.PresignHTTP(t.Context(), s.key, r, s.hash, s.service, s.region, s.time)
	if err != nil {
		t.Fatal(err)
	}
	again := httptest.NewRequest(method, uri, strings.NewReader(body))
	again.Host = r.Host
	for name, values := range header {
		if name != "Host" && name != "Content-Length" {
			again.Header[name] = values
		}
	}
	return again
}

func TestSigned(t *testing.T) {
	function := testKeys.For(testAccount, "fn")
	functionKey := aws.Credentials{AccessKeyID: function.ID, SecretAccessKey: function.Secret, SessionToken: function.Token}
	for name, c := range map[string]struct {
		method, target, body string
		change               func(*signing, *http.Request)
		tenant               string
	}{
		"post":           {"POST", invokePath, `{"a":1}`, nil, "111122223333"},
		"get":            {"GET", "/2015-03-31/functions/fn", "", nil, "111122223333"},
		"escaped ARN":    {"GET", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Afn", "", nil, "111122223333"},
		"escaped slash":  {"GET", "/2015-03-31/tags/a%2Fb", "", nil, "111122223333"},
		"query":          {"GET", "/2015-03-31/functions?MaxItems=3&Marker=a%2Bb%20c&x=&x=2", "", nil, "111122223333"},
		"many headers":   {"POST", invokePath, "", func(_ *signing, r *http.Request) { r.Header["X-Amz-Client-Context"] = []string{"a  b", "c"} }, "111122223333"},
		"14 minutes old": {"GET", "/2015-03-31/functions", "", func(s *signing, _ *http.Request) { s.time = s.time.Add(-14 * time.Minute) }, "111122223333"},
		"14 minutes new": {"GET", "/2015-03-31/functions", "", func(s *signing, _ *http.Request) { s.time = s.time.Add(14 * time.Minute) }, "111122223333"},
		"presigned":      {"GET", "/2015-03-31/functions?Marker=a%2Fb", "", func(s *signing, _ *http.Request) { s.expires = "60" }, "111122223333"},
		"presigned, an hour old": {"GET", "/2015-03-31/functions", "", func(s *signing, _ *http.Request) {
			s.expires, s.time = "7200", s.time.Add(-time.Hour)
		}, "111122223333"},
		"function":            {"POST", invokePath, "x", func(s *signing, _ *http.Request) { s.key = functionKey }, testAccount},
		"function, presigned": {"POST", invokePath, "x", func(s *signing, _ *http.Request) { s.key, s.expires = functionKey, "60" }, testAccount},
		"hash in a header": {"POST", invokePath, "x", func(s *signing, r *http.Request) {
			sum := sha256.Sum256([]byte("x"))
			r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
		}, "111122223333"},
	} {
		f := newFixture(true)
		resp, body := f.do(t, f, signed(t, c.method, c.target, c.body, c.change))
		if resp.StatusCode != 200 || f.lambda.identity.Tenant != c.tenant || f.lambda.body != c.body {
			t.Errorf("%s: %d %s, identity %+v, body %q", name, resp.StatusCode, body, f.lambda.identity, f.lambda.body)
		}
	}
}

func TestTampered(t *testing.T) {
	auth := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			was := r.Header.Get("Authorization")
			r.Header.Set("Authorization", strings.Replace(was, old, new, 1))
			if r.Header.Get("Authorization") == was {
				panic("nothing changed")
			}
		}
	}
	const unknown = "The security token included in the request is invalid."
	function := testKeys.For(testAccount, "fn")
	with := func(key aws.Credentials) func(*signing, *http.Request) {
		return func(s *signing, _ *http.Request) { s.key = key }
	}
	for name, c := range map[string]struct {
		change        func(*signing, *http.Request) // before signing
		tamper        func(*http.Request)           // after
		code, message string
	}{
		"no signature":     {nil, func(r *http.Request) { r.Header.Del("Authorization") }, codeMissingToken, "Missing Authentication Token"},
		"other scheme":     {nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, codeMissingToken, "Missing Authentication Token"},
		"other algorithm":  {nil, auth(algorithm, "AWS4-ECDSA-P256-SHA256"), codeIncomplete, "Unsupported AWS"},
		"no credential":    {nil, auth("Credential=", "X="), codeIncomplete, "requires 'Credential' parameter"},
		"no date":          {nil, func(r *http.Request) { r.Header.Del("X-Amz-Date") }, codeIncomplete, "requires existence of"},
		"garbled scope":    {nil, auth("/aws4_request", ""), codeIncomplete, "5 slash-delimited"},
		"no equals sign":   {nil, auth("Signature=", "Signature"), codeIncomplete, "missing equal-sign"},
		"two headers":      {nil, func(r *http.Request) { r.Header.Add("Authorization", "AWS4-X") }, codeIncomplete, "more than one"},
		"garbled date":     {nil, func(r *http.Request) { r.Header.Set("X-Amz-Date", "today") }, codeIncomplete, "ISO-8601"},
		"unknown key":      {with(aws.Credentials{AccessKeyID: "AKIANONE", SecretAccessKey: "x"}), nil, codeUnknownClient, unknown},
		"wrong secret":     {with(aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "x"}), nil, codeBadSignature, mismatch},
		"token not ours":   {with(aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "the-secret", SessionToken: "x"}), nil, codeUnknownClient, unknown},
		"forged token":     {with(aws.Credentials{AccessKeyID: function.ID, SecretAccessKey: function.Secret, SessionToken: function.Token[:len(function.Token)-2] + "AA"}), nil, codeUnknownClient, unknown},
		"token without":    {with(aws.Credentials{AccessKeyID: function.ID, SecretAccessKey: function.Secret}), nil, codeUnknownClient, unknown},
		"other's token":    {with(aws.Credentials{AccessKeyID: function.ID, SecretAccessKey: function.Secret, SessionToken: testKeys.For(testAccount, "fn2").Token}), nil, codeUnknownClient, unknown},
		"deleted function": {with(credentialsOf("gone")), nil, codeUnknownClient, unknown},
		"other region":     {func(s *signing, _ *http.Request) { s.region = "eu-west-1" }, nil, codeBadSignature, "Credential should be scoped to a valid region, not 'eu-west-1'. "},
		"other service":    {func(s *signing, _ *http.Request) { s.service = "s3" }, nil, codeBadSignature, "Credential should be scoped to correct service: 'lambda'. "},
		"too old":          {func(s *signing, _ *http.Request) { s.time = s.time.Add(-16 * time.Minute) }, nil, codeBadSignature, "Signature expired: "},
		"too new":          {func(s *signing, _ *http.Request) { s.time = s.time.Add(16 * time.Minute) }, nil, codeBadSignature, "Signature not yet current: "},
		"date not scope's": {nil, func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().Add(-24*time.Hour).UTC().Format(timeForm))
		}, codeBadSignature, "Date in Credential scope does not match"},
		"later date": {nil, func(r *http.Request) {
			at, _ := time.Parse(timeForm, r.Header.Get("X-Amz-Date"))
			r.Header.Set("X-Amz-Date", at.Add(time.Second).Format(timeForm))
		}, codeBadSignature, ""},
		"host not signed":     {nil, auth("SignedHeaders=content-length;content-type;host;", "SignedHeaders=content-length;content-type;"), codeBadSignature, "'Host' or ':authority' must be a 'SignedHeader'"},
		"header not signed":   {nil, func(r *http.Request) { r.Header.Set("X-Amz-Invocation-Type", "Event") }, codeBadSignature, "'x-amz-invocation-type' must be a 'SignedHeader'"},
		"header changed":      {nil, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, codeBadSignature, mismatch},
		"header gone":         {nil, func(r *http.Request) { r.Header.Del("Content-Type") }, codeBadSignature, mismatch},
		"header added":        {nil, func(r *http.Request) { r.Header.Add("Content-Type", "x") }, codeBadSignature, mismatch},
		"method changed":      {nil, func(r *http.Request) { r.Method = "PUT" }, codeBadSignature, mismatch},
		"host changed":        {nil, func(r *http.Request) { r.Host = "127.0.0.1:9" }, codeBadSignature, mismatch},
		"path changed":        {nil, func(r *http.Request) { r.URL.Path += "x" }, codeBadSignature, mismatch},
		"query changed":       {nil, func(r *http.Request) { r.URL.RawQuery = "Qualifier=2" }, codeBadSignature, mismatch},
		"query unreadable":    {nil, func(r *http.Request) { r.URL.RawQuery = "Qualifier=1&a;b" }, codeBadSignature, mismatch},
		"body changed":        {func(s *signing, _ *http.Request) { s.body = "other" }, nil, codeBadSignature, mismatch},
		"payload not signed":  {func(s *signing, r *http.Request) { s.hash = "UNSIGNED-PAYLOAD" }, nil, codeBadSignature, mismatch},
		"payload header lies": {func(s *signing, r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) }, nil, codeBadSignature, mismatch},
		"payload header waives": {func(s *signing, r *http.Request) {
			s.hash = "UNSIGNED-PAYLOAD"
			r.Header.Set("X-Amz-Content-Sha256", s.hash)
		}, nil, codeBadSignature, mismatch},
		"signature changed":     {nil, func(r *http.Request) { flipLast(r) }, codeBadSignature, mismatch},
		"presigned, expired":    {func(s *signing, _ *http.Request) { s.expires, s.time = "60", s.time.Add(-2*time.Minute) }, nil, codeBadSignature, "Signature expired: "},
		"presigned, eight days": {func(s *signing, _ *http.Request) { s.expires = "691200" }, nil, codeIncomplete, "X-Amz-Expires must be"},
		"presigned, longer": {func(s *signing, _ *http.Request) { s.expires = "60" }, func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "X-Amz-Expires=60", "X-Amz-Expires=600", 1)
		}, codeBadSignature, mismatch},
		"presigned, twice": {func(s *signing, _ *http.Request) { s.expires = "60" }, func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Date=x" }, codeIncomplete, "'X-Amz-Date', once"},
		"presigned, more":  {func(s *signing, _ *http.Request) { s.expires = "60" }, func(r *http.Request) { r.URL.RawQuery += "&a=b" }, codeBadSignature, mismatch},
	} {
		f := newFixture(true)
		r := signed(t, "POST", invokePath+"?Qualifier=1", "body", c.change)
		if c.tamper != nil {
			c.tamper(r)
		}
		resp, body := f.do(t, f, r)
		if got := resp.Header.Get("X-Amzn-Errortype"); resp.StatusCode != 403 || got != c.code || !strings.Contains(body, c.message) || f.lambda.served != 0 {
			t.Errorf("%s: got %d %s %s, served %d; want %s %q", name, resp.StatusCode, got, body, f.lambda.served, c.code, c.message)
		}
	}
}

func credentialsOf(function string) aws.Credentials {
	c := testKeys.For(testAccount, function)
	return aws.Credentials{AccessKeyID: c.ID, SecretAccessKey: c.Secret, SessionToken: c.Token}
}

// flipLast changes the last digit of a request's signature.
func flipLast(r *http.Request) {
	value := []byte(r.Header.Get("Authorization"))
	value[len(value)-1] ^= 1
	r.Header.Set("Authorization", string(value))
}

// TestSignedUserAgent signs what older SDKs sign and this one's signer skips.
func TestSignedUserAgent(t *testing.T) {
	f := newFixture(true)
	r := newRequest("GET", "/2015-03-31/functions", "")
	r.Header["user-agent"] = []string{"old"} // in lower case the signer signs it
	sum := sha256.Sum256(nil)
	if err := v4.NewSigner().SignHTTP(t.Context(), goodKey, r, hex.EncodeToString(sum[:]), "lambda", testRegion, time.Now()); err != nil {
		t.Fatal(err)
	}
	delete(r.Header, "user-agent")
	r.Header.Set("User-Agent", "old")
	if !strings.Contains(r.Header.Get("Authorization"), "user-agent") {
		t.Fatalf("not signed: %s", r.Header.Get("Authorization"))
	}
	if resp, body := f.do(t, f, r); resp.StatusCode != 200 {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	r.Header.Set("User-Agent", "new")
	if resp, _ := f.do(t, f, r); resp.StatusCode != 403 {
		t.Errorf("changed user agent: got %d", resp.StatusCode)
	}
}

// TestSDKClient calls with the SDK's own client, over a connection.
func TestSDKClient(t *testing.T) {
	f := newFixture(true)
	server := httptest.NewServer(f)
	defer server.Close()
	call := func(secret string) error {
		client := sdk.New(sdk.Options{
			BaseEndpoint: &server.URL, Region: testRegion, RetryMaxAttempts: 1,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: secret}, nil
			}),
		})
		_, err := client.Invoke(t.Context(), &sdk.InvokeInput{
			FunctionName: aws.String("arn:aws:lambda:us-east-1:111122223333:function:fn"), Payload: []byte(`{"a":1}`), Qualifier: aws.String("$LATEST"),
		})
		return err
	}
	if err := call("the-secret"); err != nil || f.lambda.body != `{"a":1}` {
		t.Errorf("right secret: %v, body %q", err, f.lambda.body)
	}
	var api smithy.APIError
	if err := call("another"); !errors.As(err, &api) || api.ErrorCode() != codeBadSignature || api.ErrorMessage() != mismatch {
		t.Errorf("wrong secret: %v", err)
	}
}

func TestBodyTooLarge(t *testing.T) {
	f := newFixture(true)
	r := signed(t, "POST", invokePath, "x", nil)
	r.ContentLength = maxRequest + 1
	resp, body := f.do(t, f, r)
	if resp.StatusCode != 413 || !strings.Contains(body, "70167211 bytes") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	if f.bodies.used.Load() != 0 {
		t.Error("the refused body keeps its memory")
	}
}

func TestOpenServer(t *testing.T) {
	function := credentialsOf("fn")
	for name, c := range map[string]struct {
		key    aws.Credentials
		tamper func(*http.Request)
		tenant string
	}{
		"no signature":  {goodKey, func(r *http.Request) { r.Header.Del("Authorization") }, testAccount},
		"garbled":       {goodKey, func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }, testAccount},
		"unknown key":   {aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil, testAccount},
		"known key":     {goodKey, nil, "111122223333"},
		"not checked":   {goodKey, flipLast, "111122223333"},
		"function's":    {function, nil, testAccount},
		"function gone": {credentialsOf("gone"), nil, testAccount},
	} {
		f := newFixture(false)
		r := signed(t, "POST", "/2015-03-31/functions", "x", func(s *signing, _ *http.Request) { s.key = c.key })
		if c.tamper != nil {
			c.tamper(r)
		}
		resp, body := f.do(t, f, r)
		if resp.StatusCode != 200 || f.lambda.identity.Tenant != c.tenant {
			t.Errorf("%s: %d %s, identity %+v", name, resp.StatusCode, body, f.lambda.identity)
		}
	}
}

func TestFunctionKeysDiffer(t *testing.T) {
	a, b := testKeys.For(testAccount, "fn"), testKeys.For(testAccount, "fn2")
	other := FunctionKeys{Secret: []byte("another server")}.For(testAccount, "fn")
	if a != testKeys.For(testAccount, "fn") || a.ID == b.ID || a.Secret == b.Secret || a.Secret == other.Secret || a.Token == other.Token {
		t.Errorf("keys: %+v %+v %+v", a, b, other)
	}
	if len(a.ID) != 20 || len(a.Secret) != 40 || !strings.HasPrefix(a.ID, "ASIA") {
		t.Errorf("form: %+v", a)
	}
}

func FuzzParseSignature(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=a/20260101/r/s/aws4_request, SignedHeaders=host, Signature=00", "20260101T000000Z", "")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/20260101/r/s/aws4_request&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=0&X-Amz-Expires=1")
	f.Fuzz(func(t *testing.T, header, date, query string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = query
		if header != "" {
			r.Header["Authorization"] = []string{header}
			r.Header["X-Amz-Date"] = []string{date}
		}
		s, err := parseSignature(r)
		if err == nil && (s.key == "" || s.date == "" || s.time.IsZero() && date == "") {
			t.Fatalf("accepted %+v", s)
		}
		if err != nil && millicent.ErrorCode(err) != codeMissingToken && millicent.ErrorCode(err) != codeIncomplete {
			t.Fatalf("error %v", err)
		}
	})
}
