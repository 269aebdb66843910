package schedule

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

// invokeInput is the input of a universal target for functions. Whatever its
// InvocationType, nobody waits for the function's answer.
type invokeInput struct {
	FunctionName string
	Qualifier    string
	Payload      json.RawMessage
}

// sendInput is the input of a universal target for queues.
type sendInput struct {
	QueueURL               string `json:"QueueUrl"`
	MessageBody            string
	DelaySeconds           *int
	MessageGroupID         string `json:"MessageGroupId"`
	MessageDeduplicationID string `json:"MessageDeduplicationId"`
}

func checkUniversal(operation, input string) error {
	var err error
	if operation == universalInvoke {
		_, err = readInvoke(input)
	} else {
		_, err = readSend(input)
	}
	return err
}

func badRequestJSON(reason string) error {
	return millicent.Errorf(CodeValidation, "Invalid RequestJson provided. Reason: %s", reason)
}

func readInvoke(text string) (in invokeInput, err error) {
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return in, badRequestJSON("The Input is not that of lambda:invoke.")
	}
	if in.FunctionName == "" {
		return in, badRequestJSON("FunctionName is missing.")
	}
	return in, nil
}

func readSend(text string) (in sendInput, err error) {
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return in, badRequestJSON("The Input is not that of sqs:sendMessage.")
	}
	if in.QueueURL == "" || in.MessageBody == "" {
		return in, badRequestJSON("QueueUrl or MessageBody is missing.")
	}
	return in, nil
}

// invokeUniversal does what a universal target for functions says, in the
// schedule's account.
func (e *Engine) invokeUniversal(ctx context.Context, c call) error {
	in, err := readInvoke(c.input())
	if err != nil {
		return err
	}
	to := target{function: in.FunctionName, qualifier: in.Qualifier}
	if strings.HasPrefix(in.FunctionName, "arn:") {
		named, ok := parseTarget(in.FunctionName)
		if !ok || named.function == "" || named.tenant != c.schedule.Tenant {
			return badRequestJSON("FunctionName is of no function of this account.")
		}
		to = named
		if to.qualifier == "" {
			to.qualifier = in.Qualifier
		}
	} else if name, qualifier, ok := strings.Cut(in.FunctionName, ":"); ok {
		to.function, to.qualifier = name, qualifier
	}
	event := []byte(in.Payload)
	var text string
	if json.Unmarshal(event, &text) == nil { // the payload's JSON within a string, as AWS wants it
		event = []byte(text)
	}
	if len(event) > 0 && !json.Valid(event) {
		return badRequestJSON("The Payload is not well-formed JSON.")
	}
	return e.invoke(ctx, c, to, event)
}

// sendUniversal does what a universal target for queues says, in the
// schedule's account.
func (e *Engine) sendUniversal(ctx context.Context, c call) error {
	in, err := readSend(c.input())
	if err != nil {
		return err
	}
	u, err := url.Parse(in.QueueURL)
	if err != nil {
		return badRequestJSON("QueueUrl is no URL.")
	}
	tenant, name, ok := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if !ok || tenant != c.schedule.Tenant {
		return badRequestJSON("QueueUrl is of no queue of this account.")
	}
	out := sqs.Outgoing{Body: in.MessageBody, QueueMessage: millicent.QueueMessage{
		Sender: sender, Group: in.MessageGroupID, Dedup: in.MessageDeduplicationID,
	}}
	if in.DelaySeconds != nil {
		d := time.Duration(*in.DelaySeconds) * time.Second
		out.Delay = &d
	}
	return e.send(ctx, c, name, out)
}
