// Command gohandler is an ordinary Go function on the aws-lambda-go library.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type request struct {
	Name string `json:"name"`
}

type answer struct {
	Text      string `json:"text"`
	RequestID string `json:"requestId"`
}

func handle(ctx context.Context, in request) (answer, error) {
	if in.Name == "fail" {
		return answer{}, errors.New("told to fail")
	}
	lc, ok := lambdacontext.FromContext(ctx)
	if !ok {
		return answer{}, errors.New("no Lambda context")
	}
	if _, ok := ctx.Deadline(); !ok {
		return answer{}, errors.New("no deadline")
	}
	text := fmt.Sprintf("%s %s from %s:%s", os.Getenv("GREETING"), in.Name, lambdacontext.FunctionName, lambdacontext.FunctionVersion)
	return answer{Text: text, RequestID: lc.AwsRequestID}, nil
}

func main() { lambda.Start(handle) }
