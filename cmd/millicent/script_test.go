package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/millicent-run/millicent/internal/server"
)

func TestMain(m *testing.M) {
	server.Main() // the test binary is the first process of sandboxes, too
	os.Exit(testscript.RunMain(m, map[string]func() int{
		"millicent": func() int { main(); return 0 },
	}))
}

// TestScripts runs the command line as its users do. Scripts that start a
// server have these commands besides the usual ones:
//
//	up [FLAG...]     starts a server on a free port, and sets MILLICENT_ENDPOINT
//	down             stops it, and wants a clean end
//	fetch NAME PATH  prints what a function answers to a GET of its URL
//	usekey FILE      signs from now on with the key that FILE, or stdout, holds
//	api METHOD PATH BODY   calls the server
//	until RE ARG...  runs millicent ARG... until it prints what RE matches
//	number VAR       sets VAR to the first number of the JSON in stdout
//	oneday           waits where a day is about to end: a day's budget begins anew then
//	request VAR      sets VAR to the requestId of the JSON in stdout
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("MILLICENT_ENDPOINT", "http://127.0.0.1:1") // nobody listens there
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GOCACHE", goCache())
			env.Values[scriptServer{}] = new(running)
			return nil
		},
		Condition: func(cond string) (bool, error) { return cond == "root" && os.Geteuid() == 0, nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"up": scriptUp, "down": scriptDown, "fetch": scriptFetch, "usekey": scriptUseKey,
			"request": scriptRequest, "api": scriptAPI, "until": scriptUntil, "number": scriptNumber,
			"oneday": scriptOneDay,
		},
	})
}

// goCache returns where this machine's Go keeps what it built.
func goCache() string {
	if dir := os.Getenv("GOCACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "go-build")
	}
	return filepath.Join(dir, "go-build")
}

// scriptServer is the key of a script's server.
type scriptServer struct{}

type running struct {
	cmd *exec.Cmd
	log strings.Builder
}

// readyLine is what `millicent up` prints once it serves.
var readyLine = regexp.MustCompile(`ready on (http://\S+)`)

func scriptUp(ts *testscript.TestScript, neg bool, args []string) {
	r := ts.Value(scriptServer{}).(*running)
	if neg || r.cmd != nil {
		ts.Fatalf("up: usage: up [FLAG...], once before down")
	}
	cmd := exec.Command("millicent", append([]string{"up", "--listen", "127.0.0.1:0", "--data", ts.MkAbs("data")}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"))
	cmd.Stderr = &r.log
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	r.cmd = cmd
	ts.Defer(func() { r.stop(ts) })
	timer := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
			ts.Setenv("MILLICENT_ENDPOINT", m[1])
			go io.Copy(io.Discard, stdout) // ends with the process
			return
		}
	}
	ts.Fatalf("up: the server did not get ready:\n%s", &r.log)
}

func scriptOneDay(*testscript.TestScript, bool, []string) {
	if next := time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour); time.Until(next) < time.Minute {
		time.Sleep(time.Until(next) + time.Second)
	}
}

func scriptDown(ts *testscript.TestScript, neg bool, args []string) {
	r := ts.Value(scriptServer{}).(*running)
	if neg || len(args) > 0 || r.cmd == nil {
		ts.Fatalf("down: usage: down, after up")
	}
	if err := r.stop(ts); err != nil {
		ts.Fatalf("down: %v", err)
	}
}

// stop stops the server, if it runs.
func (r *running) stop(ts *testscript.TestScript) error {
	if r.cmd == nil {
		return nil
	}
	cmd := r.cmd
	r.cmd = nil
	cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	ts.Logf("[server]\n%s", &r.log)
	r.log.Reset()
	return err
}

func scriptFetch(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("fetch: usage: fetch FUNCTION PATH")
	}
	ts.Check(ts.Exec("millicent", "url", args[0], "--path"))
	resp, err := http.Get(strings.TrimSpace(ts.ReadFile("stdout")) + args[1])
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	if (resp.StatusCode >= 400) != neg {
		ts.Fatalf("fetch: %s", resp.Status)
	}
}

// keyLine is one line of what `millicent keys create` prints.
var keyLine = regexp.MustCompile(`(?m)^export (AWS_\w+)=(\S+)$`)

func scriptUseKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usekey: usage: usekey FILE")
	}
	lines := keyLine.FindAllStringSubmatch(ts.ReadFile(args[0]), -1)
	if len(lines) != 2 {
		ts.Fatalf("usekey: no key in %s", args[0])
	}
	for _, m := range lines {
		ts.Setenv(m[1], m[2])
	}
}

// requestLine is a line of JSON with the id of a request.
var requestLine = regexp.MustCompile(`"requestId": ?"([^"]+)"`)

func scriptRequest(ts *testscript.TestScript, neg bool, args []string) {
	m := requestLine.FindStringSubmatch(ts.ReadFile("stdout"))
	if neg || len(args) != 1 || m == nil {
		ts.Fatalf("request: usage: request VAR, after what printed JSON")
	}
	ts.Setenv(args[0], m[1])
}

func scriptAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("api: usage: api METHOD PATH BODY")
	}
	req, err := http.NewRequest(args[0], ts.Getenv("MILLICENT_ENDPOINT")+args[1], strings.NewReader(args[2]))
	ts.Check(err)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode >= 300 {
		ts.Fatalf("api: %s: %s", resp.Status, body)
	}
}

func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("until: usage: until REGEXP ARG...")
	}
	wanted := regexp.MustCompile(args[0])
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		ts.Check(ts.Exec("millicent", args[1:]...))
		if wanted.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("until: it never printed %s", args[0])
		}
	}
}

// numberMember is the first number of a dead letter.
var numberMember = regexp.MustCompile(`"number": (\d+)`)

func scriptNumber(ts *testscript.TestScript, neg bool, args []string) {
	m := numberMember.FindStringSubmatch(ts.ReadFile("stdout"))
	if neg || len(args) != 1 || m == nil {
		ts.Fatalf("number: usage: number VAR, after something that printed one")
	}
	ts.Setenv(args[0], m[1])
}
