package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/client"
)

// maxPayload bounds what is read as a payload: more than any server takes.
const maxPayload = 8 << 20

// errFunction is the error of an invocation whose function failed.
var errFunction = errors.New("the function failed")

func (c *cli) invokeCommand() *cobra.Command {
	var payload, qualifier string
	var async, showLog, stream bool
	cmd := &cobra.Command{
		Use:   "invoke NAME",
		Short: "Call a function, and print its answer",
		Long: `Call a function, and print its answer. When the function fails, its error
document is printed and the exit code is 1.`,
		Example: `  millicent invoke hello
  millicent invoke hello --payload '{"name":"you"}' --log
  millicent invoke hello --payload @event.json --qualifier live
  millicent invoke hello --stream     # print what it streams as it comes
  jq -n '{n: 1}' | millicent invoke hello --payload -
  millicent invoke hello --async      # do not wait for the answer`,
		Args:              wantArgs(1, 1, "one function NAME"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := c.readPayload(payload)
			if err != nil {
				return err
			}
			inv := client.Invocation{Function: args[0], Qualifier: qualifier, Payload: body, Tail: showLog}
			if async {
				if showLog {
					return &usageError{cmd: cmd.CommandPath(), message: "--log needs the answer, which --async does not wait for"}
				}
				inv.Type = millicent.Event
			}
			if !stream {
				return c.invoke(cmd.Context(), inv)
			}
			if async || c.json {
				return &usageError{cmd: cmd.CommandPath(), message: "--stream prints the answer alone, and cannot be with --async or --json"}
			}
			return c.invokeStream(cmd.Context(), inv)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&payload, "payload", "p", "", "event: `JSON`, @FILE, or - for standard input")
	f.StringVarP(&qualifier, "qualifier", "q", "", "`version` or alias (default the draft)")
	f.BoolVar(&async, "async", false, "do not wait for the answer")
	f.BoolVar(&stream, "stream", false, "print the answer as it comes, byte for byte")
	f.BoolVar(&showLog, "log", false, "print the end of the invocation's log to standard error")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) readPayload(arg string) ([]byte, error) {
	file, isFile := strings.CutPrefix(arg, "@")
	var body []byte
	var err error
	switch {
	case arg == "-":
		body, err = io.ReadAll(io.LimitReader(c.in, maxPayload+1))
	case isFile:
		body, err = readBounded(file)
	default:
		return []byte(arg), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the payload: %w", err)
	}
	if len(body) > maxPayload {
		return nil, fmt.Errorf("the payload is larger than %s", size(maxPayload))
	}
	return body, nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxPayload+1))
}

func (c *cli) invoke(ctx context.Context, inv client.Invocation) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	res, err := api.Invoke(ctx, inv)
	if err != nil {
		return err
	}
	if c.json {
		err = printJSON(c.out, invoked(res))
	} else {
		err = c.printResult(inv, res)
	}
	if err == nil && res.FunctionError != "" {
		return fmt.Errorf("%w: %s", errFunction, res.FunctionError)
	}
	return err
}

// invokeStream prints what a function answers as it comes. An error document
// goes to standard error: what came before it is not to be mixed with it.
func (c *cli) invokeStream(ctx context.Context, inv client.Invocation) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	res, err := api.InvokeStream(ctx, inv, c.out)
	if err != nil {
		return err
	}
	c.printLog(res)
	if res.FunctionError != "" {
		return fmt.Errorf("%w: %s: %s", errFunction, res.FunctionError, plain(c.err, string(res.Payload)))
	}
	return nil
}

func (c *cli) printLog(res *client.Result) {
	if res.Log != "" {
		fmt.Fprintln(c.err, paint(c.err, dim, strings.TrimRight(plain(c.err, res.Log), "\n")))
	}
}

func (c *cli) printResult(inv client.Invocation, res *client.Result) error {
	c.printLog(res)
	if inv.Type == millicent.Event {
		_, err := fmt.Fprintf(c.err, "accepted, request %s\n", res.RequestID)
		return err
	}
	if len(res.Payload) == 0 {
		return nil
	}
	out := res.Payload
	if !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, '\n')
	}
	_, err := c.out.Write(out)
	return err
}

// invoked is a result for --json; a payload that is not JSON becomes a string.
func invoked(res *client.Result) any {
	out := struct {
		Status        int             `json:"status"`
		RequestID     string          `json:"requestId,omitempty"`
		Version       string          `json:"version,omitempty"`
		FunctionError string          `json:"functionError,omitempty"`
		Payload       json.RawMessage `json:"payload,omitempty"`
		Log           string          `json:"log,omitempty"`
	}{Status: res.Status, RequestID: res.RequestID, Version: res.Version, FunctionError: res.FunctionError, Log: res.Log}
	switch {
	case json.Valid(res.Payload):
		out.Payload = res.Payload
	case len(res.Payload) > 0:
		out.Payload, _ = json.Marshal(string(res.Payload)) // a string always has a JSON form
	}
	return out
}
