//go:build wasip1

// Command wasm-go-reactor is a function that greets whoever the event or the
// request names: a reactor. The runtime of Go and all packages are initialised
// once, at the deploy; each request begins with the memory as it was then.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
)

// An input is a plain event, or the request that came in by the function's URL.
type input struct {
	Name                  string `json:"name"`
	QueryStringParameters struct {
		Name string `json:"name"`
	} `json:"queryStringParameters"`
}

type answer struct {
	Message string `json:"message"`
	Runtime string `json:"runtime"`
}

// handler is what abi.go calls with each event.
func handler(event []byte) ([]byte, error) {
	var in input
	if err := json.Unmarshal(event, &in); err != nil {
		return nil, fmt.Errorf("the event: %w", err)
	}
	name := cmp.Or(in.Name, in.QueryStringParameters.Name, "world")
	return json.Marshal(answer{"Hello, " + name + "!", runtime.Version() + " " + runtime.GOOS})
}

// warm runs once before the image that requests begin with is made: what the
// first call finds out, as encoding/json does of the types, is part of it.
func warm() {
	for range 3 {
		_, _ = handler([]byte(`{"name":"nobody"}`)) // for what it leaves behind
	}
}

// main never runs: a reactor has no beginning of its own.
func main() {}
