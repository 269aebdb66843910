package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// signInBody is what the console's page sends.
func signInBody(id, secret string) string {
	b, _ := json.Marshal(map[string]string{"accessKeyId": id, "secretAccessKey": secret})
	return string(b)
}

// signedIn returns a token of goodKey's.
func signedIn(t *testing.T, f *fixture) string {
	t.Helper()
	resp, body := f.do(t, f, newRequest("POST", sessionPath, signInBody(goodKey.AccessKeyID, goodKey.SecretAccessKey)))
	var got struct {
		Token, Account string
		Expires        time.Time
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 200 {
		t.Fatalf("sign in: %d %s", resp.StatusCode, body)
	}
	if got.Account != "111122223333" || got.Expires.Sub(f.now).Round(time.Minute) != sessionLife {
		t.Errorf("signed in to %s until %s", got.Account, got.Expires)
	}
	if len(resp.Cookies()) > 0 {
		t.Errorf("a cookie is set: %v", resp.Cookies())
	}
	return got.Token
}

// asking returns a request with a token.
func asking(method, path, token string) *http.Request {
	r := newRequest(method, path, "")
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func TestSignIn(t *testing.T) {
	f := newFixture(true)
	for name, body := range map[string]string{
		"wrong secret":     signInBody("AKIATEST", "the-secret2"),
		"no secret":        signInBody("AKIATEST", ""),
		"unknown key":      signInBody("AKIANONE", "the-secret"),
		"unknown, empty":   signInBody("AKIANONE", ""),
		"a function's key": signInBody(testKeys.For(testAccount, "fn").ID, testKeys.For(testAccount, "fn").Secret),
		"no JSON":          "AKIATEST:the-secret",
		"too long":         signInBody("AKIATEST", strings.Repeat("x", maxSignIn)),
	} {
		resp, got := f.do(t, f, newRequest("POST", sessionPath, body))
		if resp.StatusCode != 403 || resp.Header.Get("X-Amzn-Errortype") != codeSignIn || strings.Contains(got, "token") {
			t.Errorf("%s: %d %s", name, resp.StatusCode, got)
		}
	}
	signedIn(t, f)
	if strings.Contains(f.log.String(), goodKey.SecretAccessKey) {
		t.Error("the secret is in the log")
	}
}

func TestSession(t *testing.T) {
	f := newFixture(true)
	token := signedIn(t, f)
	const read = "/_millicent/info"
	code := func(r *http.Request) string {
		resp, _ := f.do(t, f, r)
		if resp.StatusCode == 200 {
			return ""
		}
		return resp.Header.Get("X-Amzn-Errortype")
	}
	for name, c := range map[string]struct {
		r    *http.Request
		want string
	}{
		"read":           {asking("GET", read, token), ""},
		"no token":       {newRequest("GET", read, ""), codeMissingToken},
		"change":         {asking("POST", "/_millicent/keys", token), codeMissingToken},
		"delete":         {asking("DELETE", "/_millicent/keys/AKIATEST", token), codeMissingToken},
		"the Lambda API": {asking("GET", "/2015-03-31/functions", token), codeMissingToken},
		"an invocation":  {asking("POST", invokePath, token), codeMissingToken},
		"metrics":        {asking("GET", "/metrics", token), codeMissingToken},
		"cut off":        {asking("GET", read, token[:len(token)-1]), codeExpired},
		"longer":         {asking("GET", read, token+"AAAA"), codeExpired},
		"empty":          {asking("GET", read, ""), codeExpired},
		"huge":           {asking("GET", read, strings.Repeat("A", 10_000)), codeExpired},
		"of another server": {asking("GET", read, NewAuth(AuthConfig{FunctionKeys: FunctionKeys{Secret: []byte("other")}}).
			token("AKIATEST", f.now.Add(time.Hour))), codeExpired},
		"of a deleted key": {asking("GET", read, f.cfg.Auth.token("AKIAGONE", f.now.Add(time.Hour))), codeExpired},
	} {
		if got := code(c.r); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	for i := range token { // every character counts
		other := []byte(token)
		other[i] ^= 1
		if code(asking("GET", read, string(other))) == "" {
			t.Errorf("accepted with character %d changed", i)
		}
	}
	f.now = f.now.Add(sessionLife - time.Second)
	if got := code(asking("GET", read, token)); got != "" {
		t.Errorf("before its end: %s", got)
	}
	f.now = f.now.Add(2 * time.Second)
	if got := code(asking("GET", read, token)); got != codeExpired {
		t.Errorf("after its end: %q", got)
	}
}

func TestConsoleIsServed(t *testing.T) {
	for _, verified := range []bool{false, true} {
		f := newFixture(verified)
		for path, want := range map[string]string{
			"/_console/": "console /_console/", "/_console/functions/x": "console /_console/functions/x",
		} {
			if resp, body := f.do(t, f, newRequest("GET", path, "")); resp.StatusCode != 200 || body != want {
				t.Errorf("%s: %d %s", path, resp.StatusCode, body)
			}
		}
		if resp, _ := f.do(t, f, newRequest("GET", "/_console", "")); resp.Header.Get("Location") != "/_console/" {
			t.Errorf("/_console: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
		}
		// A function gets neither the console nor in, whatever it knows.
		token := f.cfg.Auth.token("AKIATEST", f.now.Add(time.Hour))
		for _, r := range []*http.Request{
			newRequest("GET", "/_console/", ""), asking("GET", "/_millicent/info", token),
			newRequest("POST", sessionPath, signInBody(goodKey.AccessKeyID, goodKey.SecretAccessKey)),
		} {
			r = r.WithContext(millicent.WithCaller(r.Context(), millicent.Caller{Tenant: testAccount, Function: "fn"}))
			if resp, body := f.do(t, f, r); resp.StatusCode != 403 {
				t.Errorf("%s for a function: %d %s", r.URL.Path, resp.StatusCode, body)
			}
		}
	}
	f := newFixture(false)
	r := newRequest("GET", "/_console/", "")
	r.Host = "evil.example"
	if resp, body := f.do(t, f, r); resp.StatusCode != 403 {
		t.Errorf("by a stranger's name: %d %s", resp.StatusCode, body)
	}
}

// TestFunctionPagesAreKeptApart checks what keeps a function's page, under the
// origin of the console, from acting as the console.
func TestFunctionPagesAreKeptApart(t *testing.T) {
	f := newFixture(false)
	for name, c := range map[string]struct {
		answer string
		status int
	}{
		"an answer":      {`"<html>"`, 200},
		"its own policy": {`{"statusCode":200,"headers":{"content-security-policy":"default-src *","service-worker-allowed":"/"},"body":"x"}`, 200},
		"an error":       {`{"statusCode":500,"body":"x"}`, 500},
		"a redirection":  {`{"statusCode":302,"headers":{"location":"/_console/"}}`, 302},
		"malformed":      {`{"statusCode":"x"`, 502},
	} {
		f.urls.answer = c.answer
		for _, path := range []string{"/_url/" + testURL + "/", "/_url/" + testURL} {
			resp, body := f.do(t, f, newRequest("GET", path, ""))
			if resp.StatusCode != c.status {
				t.Errorf("%s: %d %s", name, resp.StatusCode, body)
			}
			policies := resp.Header.Values("Content-Security-Policy")
			last := policies[max(0, len(policies)-1):]
			if len(last) != 1 || !strings.HasPrefix(last[0], "sandbox ") || strings.Contains(last[0], "allow-same-origin") {
				t.Errorf("%s: policies %q", name, policies)
			}
			if resp.Header.Get("Service-Worker-Allowed") != "" {
				t.Errorf("%s: may have a service worker anywhere", name)
			}
		}
		r := newRequest("GET", "/", "")
		r.Host = testURL + ".lambda-url." + testRegion + ".localhost:4566"
		if resp, _ := f.do(t, f, r); strings.Contains(strings.Join(resp.Header.Values("Content-Security-Policy"), ""), "sandbox") {
			t.Errorf("%s: by its own host name it has an origin of its own already", name)
		}
	}
	if resp, _ := f.do(t, f, newRequest("GET", "/_url/none/", "")); resp.Header.Get("Content-Security-Policy") == "" {
		t.Error("an unknown URL's answer is not kept apart")
	}
}

func FuzzSession(f *testing.F) {
	a := newFixture(true).cfg.Auth
	f.Add("")
	f.Add(a.token("AKIATEST", time.Unix(1, 0)))
	f.Fuzz(func(t *testing.T, token string) {
		if id, err := a.session(token); err == nil {
			t.Fatalf("a made-up token is accepted: %q is %+v", token, id)
		}
	})
}
