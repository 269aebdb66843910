// Command go-hello is a function that greets whoever the event or the request
// names. Built as an executable named bootstrap, it runs as provided.al2023.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"log"
	"runtime"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// An input is a plain event, or with RequestContext.HTTP the request that
// came in by the function's URL.
type input struct {
	Name string `json:"name"`
	events.LambdaFunctionURLRequest
}

type answer struct {
	Message     string `json:"message"`
	Runtime     string `json:"runtime"`
	Request     string `json:"request"`
	RemainingMs int64  `json:"remainingMs"`
	Path        string `json:"path,omitempty"`
}

func handle(ctx context.Context, in input) (any, error) {
	name := cmp.Or(in.Name, in.QueryStringParameters["name"], "world")
	log.Println("greeting", name)
	a := answer{Message: "Hello, " + name + "!", Runtime: runtime.Version(), Path: in.RequestContext.HTTP.Path}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		a.Request = lc.AwsRequestID
	}
	if deadline, ok := ctx.Deadline(); ok {
		a.RemainingMs = time.Until(deadline).Milliseconds()
	}
	if in.RequestContext.HTTP.Method == "" {
		return a, nil
	}
	body, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	return events.LambdaFunctionURLResponse{
		StatusCode: 200,
		Headers:    map[string]string{"content-type": "application/json"},
		Body:       string(body),
	}, nil
}

func main() { lambda.Start(handle) }
