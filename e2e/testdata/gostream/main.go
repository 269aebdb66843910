// Command gostream is a Go function on the aws-lambda-go library that streams
// its response.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

type request struct {
	Fail   string            `json:"fail"`
	MB     string            `json:"mb"`
	Status string            `json:"status"`
	Query  map[string]string `json:"queryStringParameters"`
}

func handle(in request) (io.Reader, error) {
	if q := in.Query; q != nil {
		in = request{Fail: q["fail"], MB: q["mb"], Status: q["status"]}
	}
	if in.Fail == "early" {
		return nil, errors.New("early")
	}
	mb, _ := strconv.Atoi(in.MB) // none are none
	status, _ := strconv.Atoi(in.Status)
	body := io.MultiReader(
		strings.NewReader("first,"),
		later(func() (string, error) {
			switch in.Fail {
			case "mid":
				return "", errors.New("mid")
			case "exit":
				os.Exit(3)
			case "hang":
				time.Sleep(time.Minute)
			}
			return "", io.EOF
		}),
		strings.NewReader(strings.Repeat("x", mb<<20)),
		later(func() (string, error) {
			fmt.Println("wrote it all")
			return "," + strconv.FormatInt(time.Now().UnixMilli(), 10), io.EOF
		}),
	)
	if status == 0 {
		return body, nil
	}
	return &events.LambdaFunctionURLStreamingResponse{
		StatusCode: status, Body: body,
		Headers: map[string]string{"x-a": "b", "content-type": "text/html"}, Cookies: []string{"c=1", "d=2"},
	}, nil
}

// later reads what it returns when it is asked for it.
type later func() (string, error)

// Read implements io.Reader.
func (f later) Read(p []byte) (int, error) {
	text, err := f()
	return copy(p, text), err
}

func main() { lambda.Start(handle) }
