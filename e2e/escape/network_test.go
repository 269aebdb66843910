package escape

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

const (
	platform   = "169.254.100.1"
	runtimeAPI = platform + ":9001"
	endpoint   = platform + ":4566"
)

// What becomes of a connection: nothing listens there inside the sandbox; or
// the policy proxy took it and reset it; or there is no way.
const (
	nobody = "ECONNREFUSED"
	reset  = "ECONNRESET"
	noWay  = "ENETUNREACH"
)

// TestHostsNetwork tries to reach the machine that it runs on, the server's
// API and what is near, under all the names that an address has.
func TestHostsNetwork(t *testing.T) {
	// A service of the machine that listens on all its addresses, as a
	// careless one does.
	open4, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open4.Close()
	_, port, _ := net.SplitHostPort(open4.Addr().String())
	tryAll(t, func(a *arena) []attempt {
		var attempts []attempt
		tcp := func(want string, addrs ...string) {
			attempts = append(attempts, paths("tcp", want, addrs...)...)
		}
		for _, p := range []string{a.Port(), port} {
			tcp(nobody, "127.0.0.1:"+p, "127.0.0.2:"+p, "127.255.255.254:"+p, "localhost:"+p, "0.0.0.0:"+p, "[::1]:"+p,
				"[::]:"+p, "[::ffff:127.0.0.1]:"+p, "[::ffff:0.0.0.0]:"+p, platform+":"+p, "[::ffff:"+platform+"]:"+p)
			for _, own := range ownAddrs(t) {
				tcp(reset, own+":"+p, "[::ffff:"+own+"]:"+p)
			}
		}
		tcp(reset, "169.254.169.254:80", "[::ffff:169.254.169.254]:80", "169.254.170.2:80", "169.254.0.1:80", "169.254.100.2:4566",
			"100.100.100.200:80", "168.63.129.16:80", "192.0.0.192:80", "10.0.0.1:22", "172.17.0.1:2375", "192.168.1.1:80",
			"100.64.0.1:80", "198.18.0.1:80", "0.0.0.1:80", "240.0.0.1:80")
		tcp(noWay, "[2606:4700:4700::1111]:443", "[fd00:ec2::254]:80", "[64:ff9b::a9fe:a9fe]:80", "[2002:7f00:1::]:80")
		tcp("EINVAL or "+noWay, "[fe80::1]:80")
		tcp(nobody, platform+":22", platform+":53000", platform+":15002", "127.0.0.1:9001", "127.0.0.1:4566")
		// The proxy's own door, knocked at directly, knows no destination but itself.
		tcp(reset, "127.0.0.1:15001", platform+":15001")
		udp := func(addrs ...string) { attempts = append(attempts, paths("udp", nobody, addrs...)...) }
		udp("8.8.8.8:53", "1.1.1.1:443", "169.254.169.254:53", "127.0.0.1:53", "10.0.0.1:53", platform+":4566", platform+":123")
		for _, own := range ownAddrs(t) {
			udp(own+":53", own+":"+port)
		}
		return attempts
	})
}

// ownAddrs returns the machine's own IPv4 addresses but loopback.
func ownAddrs(t *testing.T) (list []string) {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			list = append(list, p.Addr().String())
		}
	}
	return list
}

// TestHostsSockets tries the local sockets of the machine and of the server.
func TestHostsSockets(t *testing.T) {
	abstract := fmt.Sprintf("@millicent-escape-%d", os.Getpid())
	named := filepath.Join(t.TempDir(), "socket")
	for _, name := range []string{abstract, named} {
		l, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	tryAll(t, func(a *arena) []attempt {
		attempts := paths("unix", "ENOENT", named, filepath.Join(a.Data, "admin.sock"), "/run/docker.sock",
			"/run/systemd/private", "/run/dbus/system_bus_socket", "/var/run/nscd/socket", "/tmp/.X11-unix/X0")
		return append(attempts, paths("unix", nobody, abstract, "@/tmp/.X11-unix/X0", "@/org/freedesktop/systemd1")...)
	})
}

// TestNamesOfTheHost resolves names that lead to the machine, and connects to
// what the answer says, as rebinding does: what counts is the address.
func TestNamesOfTheHost(t *testing.T) {
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"localhost", hostname}
	if addrs, err := net.LookupHost(hostname); err != nil || len(addrs) == 0 {
		hosts = hosts[:1]
	}
	tryAll(t, func(a *arena) (attempts []attempt) {
		for _, h := range hosts {
			attempts = append(attempts, attempt{
				Op: "exec", name: "connect to " + h, want: "ok: 0 " + nobody + " or ok: 0 " + reset + " or ok: 0 unknown",
				Arg: `/usr/bin/python3 - <<'END'
import errno, socket
try:
    s = socket.create_connection(("` + h + `", ` + a.Port() + `), 10)
    s.sendall(b"GET /_millicent/health HTTP/1.1\r\nHost: x\r\n\r\n")
    print("reached", s.recv(100))
except socket.gaierror:
    print("unknown")
except OSError as e:
    print(errno.errorcode[e.errno])
END`,
			})
		}
		return attempts
	})
}

// TestPlatformsEndpoint uses the endpoint that functions are given for more
// than they may: whatever they sign with or claim, they may invoke, in their
// own account, and nothing else.
func TestPlatformsEndpoint(t *testing.T) {
	tryAll(t, func(a *arena) []attempt {
		victim := "/2015-03-31/functions/" + a.victim
		request := func(method, path string, more ...string) string {
			return method + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + strings.Join(append(more, "\r\n"), "\r\n")
		}
		var attempts []attempt
		try := func(want, request string) {
			attempts = append(attempts, attempt{Op: "http", Arg: endpoint, To: request, name: request, want: "ok: HTTP/1.1 " + want})
		}
		const denied = "403 Forbidden…"
		for _, call := range []string{
			"GET /2015-03-31/functions", "GET " + victim, "GET " + victim + "/configuration", "DELETE " + victim,
			"PUT " + victim + "/code", "PUT " + victim + "/configuration", "POST " + victim + "/versions", "GET " + victim + "/policy",
			"POST /2015-03-31/functions", "POST /2021-10-31/functions/" + a.victim + "/url", "GET /2016-08-19/account-settings",
			"PUT /2017-10-31/functions/" + a.victim + "/concurrency", "GET /metrics", "GET /_millicent/info", "GET /_millicent/runtimes",
			"GET /_millicent/logs?function=" + a.victim, "GET /_millicent/keys", "POST /_millicent/keys", "DELETE /_millicent/keys/x",
			"GET /_millicent/functions/" + a.victim + "/egress", "PUT /_millicent/functions/" + a.victim + "/egress",
			"GET /debug/pprof/", "GET /", "GET /nothing",
		} {
			method, path, _ := strings.Cut(call, " ")
			try(denied, request(method, path))
		}
		// What is claimed changes nothing.
		for _, claim := range []string{
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00",
			"X-Forwarded-For: 127.0.0.1", "X-Amz-Account-Id: 000000000000", "X-Amz-Security-Token: x", "Origin: http://localhost",
			"X-Http-Method-Override: GET", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings",
		} {
			try(denied, request("GET", "/2015-03-31/functions", claim))
		}
		// Ways around the path.
		for _, path := range []string{
			"/2015-03-31//functions", "/x/../2015-03-31/functions", "/2015-03-31/functions/" + a.victim + "/invocations/../code",
			"/_millicent/packages/../info", "/_millicent/packages/..%2finfo", "/_millicent/health/../info", "http://127.0.0.1" + victim,
		} {
			attempts = append(attempts, attempt{Op: "http", Arg: endpoint, To: request("GET", path), name: path,
				want: "ok: HTTP/1.1 403 … or ok: HTTP/1.1 404 … or ok: HTTP/1.1 301 … or ok: HTTP/1.1 307 …"})
		}
		// Other accounts' functions.
		try(denied, request("POST", "/2015-03-31/functions/arn:aws:lambda:us-east-1:111122223333:function:"+a.victim+"/invocations"))
		try("200 OK…", request("POST", victim+"/invocations", "Content-Length: 13", "\r\n{\"nonce\":\"x\"}"))
		try("200 OK…", request("GET", "/_millicent/health"))
		return attempts
	})
}

// TestFunctionCredentials takes a function's credentials out of it, and uses
// them from outside: they are good for invoking in their own account, as long
// as the function is there.
func TestFunctionCredentials(t *testing.T) {
	s := millicenttest.Up(t, millicenttest.Config{Args: []string{"--auth", "sigv4"}})
	s.KeyID, s.KeySecret = key(t, s, "")
	a := newArena(t, s)
	fn := a.python("attacker.handler", nil)
	var out []string
	a.do(fn, map[string]any{"ops": []attempt{
		{Op: "exec", Arg: "echo $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN"},
	}}, &out)
	var id, secret, token string
	if n, err := fmt.Sscanf(out[0], "ok: 0 %s %s %s", &id, &secret, &token); n != 3 {
		t.Fatalf("credentials %q: %v", out[0], err)
	}
	as := func(id, secret, token string) *lambda.Client {
		o := s.SDK().Options()
		o.Credentials = aws.CredentialsProviderFunc(static(id, secret, token))
		return lambda.New(o)
	}
	thief := as(id, secret, token)
	ctx := t.Context()
	_, err := thief.Invoke(ctx, &lambda.InvokeInput{FunctionName: &a.victim, Payload: []byte(`{"nonce":"x"}`)})
	if code(err) != "" {
		t.Errorf("a function's credentials do not invoke: %v", err)
	}
	for what, try := range map[string]func(*lambda.Client) error{
		"list": func(c *lambda.Client) error { _, err := c.ListFunctions(ctx, &lambda.ListFunctionsInput{}); return err },
		"get": func(c *lambda.Client) error {
			_, err := c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &a.victim})
			return err
		},
		"delete": func(c *lambda.Client) error {
			_, err := c.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &a.victim})
			return err
		},
		"change code": func(c *lambda.Client) error {
			_, err := c.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{FunctionName: &a.victim, ZipFile: []byte("x")})
			return err
		},
	} {
		if err := try(thief); code(err) != "AccessDeniedException" {
			t.Errorf("%s with a function's credentials: %v", what, err)
		}
	}
	// Without the token, with another's, or with a secret of another, they are nothing.
	otherID, otherSecret := key(t, s, "111122223333")
	for what, c := range map[string]*lambda.Client{
		"no token": as(id, secret, ""), "a token of another form": as(id, secret, "x"), "a key of another account's with the token": as(otherID, otherSecret, token),
	} {
		if _, err := c.Invoke(ctx, &lambda.InvokeInput{FunctionName: &a.victim}); code(err) != "UnrecognizedClientException" {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Another account sees nothing of this one.
	other := as(otherID, otherSecret, "")
	arn := "arn:aws:lambda:us-east-1:000000000000:function:" + a.victim
	for _, name := range []string{a.victim, arn} {
		_, err := other.Invoke(ctx, &lambda.InvokeInput{FunctionName: &name})
		if c := code(err); c != "ResourceNotFoundException" && c != "AccessDeniedException" {
			t.Errorf("another account invokes %s: %v", name, err)
		}
		_, err = other.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &name})
		if c := code(err); c != "ResourceNotFoundException" && c != "AccessDeniedException" {
			t.Errorf("another account deletes %s: %v", name, err)
		}
	}
	if list, err := other.ListFunctions(ctx, &lambda.ListFunctionsInput{}); err != nil || len(list.Functions) > 0 {
		t.Errorf("another account lists %v (%v)", list, err)
	}
	// The credentials of a deleted function are void.
	gone := a.make("gone", &lambda.CreateFunctionInput{
		Runtime: types.RuntimePython311, Handler: aws.String("attacker.handler"),
		Code: &types.FunctionCode{ZipFile: millicenttest.Zip(t, map[string]string{"attacker.py": attackerPython})},
	}, nil)
	a.do(gone, map[string]any{"ops": []attempt{
		{Op: "exec", Arg: "echo $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN"},
	}}, &out)
	if n, err := fmt.Sscanf(out[0], "ok: 0 %s %s %s", &id, &secret, &token); n != 3 {
		t.Fatalf("credentials %q: %v", out[0], err)
	}
	s.Delete(t, gone)
	if _, err := as(id, secret, token).Invoke(ctx, &lambda.InvokeInput{FunctionName: &a.victim}); code(err) != "UnrecognizedClientException" {
		t.Errorf("a deleted function's credentials: %v", err)
	}
	if strings.Contains(s.Log(), secret) {
		t.Error("a secret is in the server's log")
	}
}
