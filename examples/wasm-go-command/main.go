// Command wasm-go-command is a function that greets whoever the event or the
// request names: a WASI command. The event is its standard input, the answer
// its standard output, and what it writes to standard error is the log.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log"
	"os"
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
	Request string `json:"request"`
}

func main() {
	log.SetFlags(0)
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		log.Fatal("the event: ", err)
	}
	name := cmp.Or(in.Name, in.QueryStringParameters.Name, "world")
	log.Println("greeting", name)
	err := json.NewEncoder(os.Stdout).Encode(answer{
		Message: fmt.Sprintf("Hello, %s!", name),
		Runtime: runtime.Version() + " " + runtime.GOOS,
		Request: os.Getenv("AWS_LAMBDA_REQUEST_ID"),
	})
	if err != nil {
		log.Fatal(err)
	}
}
