// The attacker is a hostile function in native code: a Runtime API client
// without any library, so that it can break that protocol, too. Its event says
// what to do; see the files for what there is.
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
)

// event is what the tests send.
type event struct {
	Do  string `json:"do"`
	Ops []op   `json:"ops"` // do "ops"

	// Of the bombs, what each means by it.
	Path string   `json:"path"`
	Addr string   `json:"addr"`
	N    int      `json:"n"`
	Args []string `json:"args"`
	Hold int      `json:"hold"` // milliseconds to stay as it is
}

// deeds are what an event can ask for; each returns what becomes the answer.
var deeds = map[string]func(event) any{
	"ops": func(e event) any { return tryAll(e.Ops) },
}

// kept outlives an invocation.
var kept any

var (
	api    = "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime"
	client = &http.Client{}
)

func main() {
	runtime.LockOSThread()
	for {
		resp, err := client.Get(api + "/invocation/next")
		if err != nil {
			os.Exit(10)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			os.Exit(11)
		}
		id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		var e event
		if err := json.Unmarshal(body, &e); err != nil {
			post("/invocation/"+id+"/error", err.Error())
			continue
		}
		var out any
		switch deed, abuse := deeds[e.Do], abuses[e.Do]; {
		case deed != nil:
			out = deed(e)
		case abuse != nil:
			if out = abuse(e, id); out == answered {
				continue
			}
		default:
			out = "no such deed: " + e.Do
		}
		post("/invocation/"+id+"/response", out)
	}
}

// post posts a JSON document and returns the status and the answer.
func post(path string, doc any) string {
	body, err := json.Marshal(doc)
	if err != nil {
		os.Exit(12)
	}
	return send(http.MethodPost, path, body)
}

// send returns the status and the answer of a call.
func send(method, path string, body []byte, headers ...string) string {
	req, err := http.NewRequest(method, api+path, bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return failure(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return failure(err)
	}
	return resp.Status + " " + strings.TrimSpace(string(answer))
}
