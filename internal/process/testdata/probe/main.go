// The probe of the conformance suite as a native function: see package
// launchertest for what it does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
)

type event struct {
	Do      string          `json:"do"`
	Value   json.RawMessage `json:"value"`
	Type    string          `json:"type"`
	Message string          `json:"message"`
	Lines   []string        `json:"lines"`
	Ms      int             `json:"ms"`
	Code    int             `json:"code"`
	MB      int             `json:"mb"`
	Path    string          `json:"path"`
	N       int             `json:"n"`
	Name    string          `json:"name"`
}

var (
	count int
	kept  [][]byte
)

func main() {
	switch os.Getenv("PROBE_INIT") {
	case "fail":
		postInitError()
		os.Exit(1)
	case "exit":
		os.Exit(3)
	case "hang":
		time.Sleep(time.Hour)
	}
	switch os.Getenv("PROBE_RUNTIME") {
	case "dawdle":
		dawdle()
	case "truncate":
		truncate()
	case "leave":
		leave()
	}
	var options []lambda.Option
	if path := os.Getenv("PROBE_SIGTERM"); path != "" {
		options = append(options, lambda.WithEnableSIGTERM(func() {
			fmt.Println("asked to end")
		}))
	}
	lambda.StartWithOptions(handle, options...)
}

const initDocument = `{"errorMessage":"not today","errorType":"Runtime.ProbeError","requestId":"","stackTrace":[]}`

func postInitError() {
	url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(initDocument))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Lambda-Runtime-Function-Error-Type", "Runtime.ProbeError")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	res.Body.Close()
}

func handle(_ context.Context, e event) (any, error) {
	switch e.Do {
	case "echo":
		return e.Value, nil
	case "fail":
		return nil, messages.InvokeResponse_Error{Message: e.Message, Type: e.Type}
	case "log":
		fmt.Println(strings.Join(e.Lines, "\n"))
		return nil, nil
	case "sleep":
		time.Sleep(time.Duration(e.Ms) * time.Millisecond)
		return nil, nil
	case "exit":
		os.Exit(e.Code)
	case "kill":
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			return nil, err
		}
		select {}
	case "allocate":
		for range e.MB {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = byte(i)
			}
			kept = append(kept, b)
		}
		return nil, nil
	case "write":
		var s string
		if err := json.Unmarshal(e.Value, &s); err != nil {
			return nil, err
		}
		return nil, os.WriteFile(e.Path, []byte(s), 0o600)
	case "read":
		data, err := os.ReadFile(e.Path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return string(data), err
	case "count":
		count++
		return count, nil
	case "bytes":
		return strings.Repeat("x", e.N-2), nil
	case "stream":
		return io.MultiReader(strings.NewReader("first,"), strings.NewReader(strings.Repeat("x", e.N))), nil
	case "getenv":
		return os.Getenv(e.Name), nil
	case "log and sleep":
		fmt.Println(e.Message)
		time.Sleep(time.Duration(e.Ms) * time.Millisecond)
		return nil, nil
	case "panic":
		panic(e.Message)
	case "spawn":
		return spawn()
	case "alive":
		return syscall.Kill(e.N, 0) == nil, nil
	case "flood":
		line := strings.Repeat("x", 99) + "\n"
		for range e.N / len(line) {
			fmt.Print(line)
		}
		return nil, nil
	case "spin":
		for end := time.Now().Add(time.Duration(e.Ms) * time.Millisecond); time.Now().Before(end); {
		}
		return nil, nil
	case "get":
		return get(e.Path)
	case "world":
		return world(), nil
	}
	return nil, fmt.Errorf("cannot do %q", e.Do)
}

// dawdle is a runtime that answers at once and works on before it asks for
// the next event: as many milliseconds as the event says.
func dawdle() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for n := 1; ; n++ {
		res, err := http.Get(base + "next")
		if err != nil {
			panic(err)
		}
		var ms int
		if err := json.NewDecoder(res.Body).Decode(&ms); err != nil {
			panic(err)
		}
		res.Body.Close()
		url := base + res.Header.Get("Lambda-Runtime-Aws-Request-Id") + "/response"
		if res, err = http.Post(url, "application/json", strings.NewReader(fmt.Sprint(n))); err != nil {
			panic(err)
		}
		res.Body.Close()
		time.Sleep(time.Duration(ms) * time.Millisecond)
	}
}

// truncate is a runtime whose answer ends early. For the event "exit" it ends
// itself then.
func truncate() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	res, err := http.Get(base + "next")
	if err != nil {
		panic(err)
	}
	var event string
	if err := json.NewDecoder(res.Body).Decode(&event); err != nil {
		panic(err)
	}
	conn, err := net.Dial("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API"))
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(conn, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort",
		res.Header.Get("Lambda-Runtime-Aws-Request-Id"))
	if event == "exit" {
		os.Exit(7)
	}
	conn.Close()
	select {}
}

// leave is a runtime that sends what the event says to the path of its
// invocation's response, and ends at once. With PROBE_CHILD set, a process
// that holds the connection stays.
func leave() {
	api := os.Getenv("AWS_LAMBDA_RUNTIME_API")
	res, err := http.Get("http://" + api + "/2018-06-01/runtime/invocation/next")
	if err != nil {
		panic(err)
	}
	var said string
	if err := json.NewDecoder(res.Body).Decode(&said); err != nil {
		panic(err)
	}
	conn, err := net.Dial("tcp", api)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(conn, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\n%s",
		res.Header.Get("Lambda-Runtime-Aws-Request-Id"), said)
	if os.Getenv("PROBE_CHILD") != "" {
		f, err := conn.(*net.TCPConn).File()
		if err != nil {
			panic(err)
		}
		if _, err := os.StartProcess("/usr/bin/sleep", []string{"sleep", "3600"}, &os.ProcAttr{Files: []*os.File{f}}); err != nil {
			panic(err)
		}
	}
	os.Exit(7)
}

// spawn leaves a child process behind and returns its id.
func spawn() (int, error) {
	p, err := os.StartProcess("/usr/bin/sleep", []string{"sleep", "3600"}, &os.ProcAttr{})
	if err != nil {
		return 0, err
	}
	return p.Pid, nil
}

// get fetches a URL and returns its status and body.
func get(url string) (string, error) {
	res, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var b strings.Builder
	if _, err := fmt.Fprintf(&b, "%d ", res.StatusCode); err != nil {
		return "", err
	}
	buf := make([]byte, 4096)
	n, _ := res.Body.Read(buf)
	b.Write(buf[:n])
	return b.String(), nil
}
