package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// InvokeStream calls a function and writes what it answers to out as it comes.
// A function that failed, be it after a part of its answer, is a Result with a
// FunctionError and its error document as the Payload; of others the Payload
// is empty.
func (c *Client) InvokeStream(ctx context.Context, inv Invocation, out io.Writer) (*Result, error) {
	path := "/2021-11-15/functions/" + url.PathEscape(inv.Function) + "/response-streaming-invocations"
	resp, res, err := c.begin(ctx, path, inv)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent { // a DryRun
		return res, nil
	}
	if err := res.follow(resp.Body, out); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return res, nil
}

// follow reads events to the last one, whose words it notes.
func (r *Result) follow(in io.Reader, out io.Writer) error {
	decoder := eventstream.NewDecoder()
	for buf := []byte(nil); ; {
		message, err := decoder.Decode(&bounded{in, maxAnswer}, buf)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		buf = message.Payload
		kind := ""
		if v := message.Headers.Get(":event-type"); v != nil {
			kind = v.String()
		}
		switch kind {
		case "PayloadChunk":
			if _, err := out.Write(message.Payload); err != nil {
				return err
			}
		case "InvokeComplete":
			return r.complete(message.Payload)
		} // others are of later versions of the protocol
	}
}

// complete notes what the last event says.
func (r *Result) complete(document []byte) error {
	var last struct{ ErrorCode, ErrorDetails, LogResult string }
	if err := json.Unmarshal(bytes.TrimSpace(document), &last); err != nil {
		return fmt.Errorf("the last event: %w", err)
	}
	log, err := base64.StdEncoding.DecodeString(last.LogResult)
	if err != nil {
		return fmt.Errorf("the log's tail: %w", err)
	}
	r.FunctionError, r.Payload, r.Log = last.ErrorCode, []byte(last.ErrorDetails), string(log)
	return nil
}

// bounded fails after so many bytes: an event's length is the server's word.
type bounded struct {
	io.Reader
	left int
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("an event is too large")
	}
	n, err := b.Reader.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
