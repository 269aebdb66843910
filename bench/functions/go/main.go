// Command go counts its calls, so that the first of an environment is known by
// its answer. Built as an executable named bootstrap, it runs as
// provided.al2023.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

type count struct {
	N int `json:"n"`
}

func main() {
	var calls int
	lambda.Start(func(_ context.Context, event map[string]any) (any, error) {
		calls++
		if _, who := event["who"]; who {
			return os.Readlink("/proc/self/ns/pid")
		}
		if mb, ok := event["mb"].(float64); ok {
			return stream(int(mb)), nil
		}
		return count{calls}, nil
	})
}
