package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// abuses break the protocol of the Runtime API. One that answers the
// invocation itself returns answered.
var abuses = map[string]func(e event, id string) any{
	"foreign":  foreign,
	"identify": identify,
	"twice":    twice,
	"again":    again,
	"calls":    calls,
	"raw":      raw,
	"hoard":    hoard,
	"dribble":  dribble,
	"large":    large,
	"endless":  endless,
	"told":     func(event, string) any { return kept },
	"parallel": parallel,
	"convention": func(e event, _ string) any {
		convention(e.Args[0])
		return "it returned"
	},
}

const answered = "\x00answered"

// foreign answers and fails invocations that are not its own.
func foreign(e event, _ string) any {
	var out []string
	for _, id := range e.Args {
		out = append(out, send(http.MethodPost, "/invocation/"+id+"/response", []byte(`"forged"`)),
			send(http.MethodPost, "/invocation/"+id+"/error", []byte(`{"errorMessage":"forged"}`)))
	}
	return out
}

// identify says which invocation it is, after a while.
func identify(e event, id string) any {
	e.hold()
	return []string{id}
}

// twice answers its invocation, and then again in each way; the refusals are
// told by the next one.
func twice(_ event, id string) any {
	kept = []string{
		send(http.MethodPost, "/invocation/"+id+"/response", []byte(`"first"`)),
		send(http.MethodPost, "/invocation/"+id+"/response", []byte(`"second"`)),
		send(http.MethodPost, "/invocation/"+id+"/error", []byte(`{"errorMessage":"third"}`)),
	}
	return answered
}

// again asks for the next event without having answered this one.
func again(_ event, id string) any {
	resp, err := client.Get(api + "/invocation/next")
	if err != nil {
		return failure(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return failure(err)
	}
	if got := resp.Header.Get("Lambda-Runtime-Aws-Request-Id"); got != id {
		return "another: " + got
	}
	return resp.Status + " the same"
}

// parallel asks for the next event many times at once: one event is given to
// one asker only, or this one is all that there is.
func parallel(e event, id string) any {
	results := make(chan string, e.N)
	for range e.N {
		go func() { results <- fmt.Sprint(again(e, id)) }()
	}
	seen := map[string]int{}
	for range e.N {
		seen[<-results]++
	}
	return seen
}

// calls makes calls that are not for it to make, "METHOD path" each, and
// returns their statuses.
func calls(e event, id string) any {
	var out []string
	for _, call := range e.Args {
		method, path, _ := strings.Cut(strings.ReplaceAll(call, "ID", id), " ")
		out = append(out, send(method, path, []byte(`{}`)))
	}
	return out
}

// raw sends each argument as it is over a connection of its own, with ID
// replaced by its invocation's, and returns the first line of the answer.
func raw(e event, id string) any {
	var out []string
	for _, request := range e.Args {
		out = append(out, firstLine(strings.ReplaceAll(request, "ID", id)))
	}
	return out
}

func firstLine(request string) string {
	c, err := net.DialTimeout("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API"), patience)
	if err != nil {
		return failure(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	go c.Write([]byte(request)) // the answer may come before all is sent
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if n == 0 {
		return failure(err)
	}
	line, _, _ := strings.Cut(string(b[:n]), "\r\n")
	return line
}

// hoard opens N connections to the Runtime API and sends half a request on
// each, and then answers on one more.
func hoard(e event, _ string) any {
	var held []net.Conn
	for range e.N {
		c, err := net.DialTimeout("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API"), patience)
		if err != nil {
			break
		}
		held = append(held, c)
		c.SetDeadline(time.Now().Add(time.Second))
		io.WriteString(c, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nX-A: ")
		io.Copy(c, io.LimitReader(zeroes{}, 1<<20))
	}
	e.hold()
	n := len(held)
	for _, c := range held {
		c.Close()
	}
	return n
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// dribble answers a byte at a time, without an end.
func dribble(_ event, id string) any {
	r, w := io.Pipe()
	go func() {
		for {
			if _, err := w.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return stream(id, r)
}

// endless answers as fast as it can, without an end.
func endless(_ event, id string) any { return stream(id, zeroes{}) }

func stream(id string, body io.Reader) string {
	req, err := http.NewRequest(http.MethodPost, api+"/invocation/"+id+"/response", body)
	if err != nil {
		return err.Error()
	}
	resp, err := client.Do(req)
	if err != nil {
		kept = failure(err)
		return answered
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body) // what there is of it
	kept = resp.Status + " " + strings.TrimSpace(string(answer))
	return answered
}

// large answers with N MB.
func large(e event, id string) any {
	body := append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, e.N<<20)...), '"')
	kept = send(http.MethodPost, "/invocation/"+id+"/response", body)
	return answered
}
