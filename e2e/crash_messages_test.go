package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// messageLoad is messages to standard and FIFO queues: some are received at
// the end, the others are mapped to functions.
type messageLoad struct{ senders []*sender }

// A sender sends to one queue, in batches, and sends again what was not
// acknowledged if the queue is one that knows what it has already.
type sender struct {
	queue string
	acked map[string]string // by message id
	n     int
	again []map[string]any // entries without an answer
	bad   bool             // some messages are ones that the function refuses
}

func (s *sender) fifo() bool { return strings.HasSuffix(s.queue, ".fifo") }

func newMessageLoad(s *server) *messageLoad {
	dead := s.queue("dead")
	create := func(name string, attributes map[string]string) {
		if strings.HasSuffix(name, ".fifo") {
			attributes["FifoQueue"] = "true"
		}
		var made struct{ QueueURL string }
		s.mustSQS("CreateQueue", map[string]any{"QueueName": name, "Attributes": attributes}, &made)
	}
	// What a crash interrupted comes back at once, what failed after this.
	mapped := map[string]string{"VisibilityTimeout": "5",
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":3}`, dead)}
	create("kept", map[string]string{})
	create("kept.fifo", map[string]string{})
	create("in", mapped)
	create("in.fifo", map[string]string{"VisibilityTimeout": "5"})
	s.createTelling("mapped")
	_, err := s.sdk().UpdateFunctionConfiguration(s.t.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("mapped"), Timeout: aws.Int32(5)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.waitActive("mapped")
	for _, name := range []string{"in", "in.fifo"} {
		_, err := s.sdk().CreateEventSourceMapping(s.t.Context(), &lambda.CreateEventSourceMappingInput{
			FunctionName: aws.String("mapped"), EventSourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:" + name), BatchSize: aws.Int32(5),
			FunctionResponseTypes: []types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures},
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	l := &messageLoad{}
	for _, name := range []string{"kept", "kept.fifo", "in", "in.fifo"} {
		l.senders = append(l.senders, &sender{queue: name, acked: map[string]string{}, bad: name == "in"})
	}
	return l
}

func (l *messageLoad) work(ctx context.Context, c *crashes) {
	var all sync.WaitGroup
	for _, s := range l.senders {
		all.Go(func() {
			for ctx.Err() == nil && s.send(ctx, c) {
				time.Sleep(5 * time.Millisecond) // leaves the machine to others
			}
		})
	}
	all.Wait()
}

// send sends a batch; false when the server is gone.
func (s *sender) send(ctx context.Context, c *crashes) bool {
	entries := s.again
	if entries == nil {
		entries = s.next(1 + s.n%3)
	}
	s.again = nil
	var out struct {
		Successful []struct {
			ID        string `json:"Id"`
			MessageID string `json:"MessageId"`
		}
		Failed []any
	}
	err := c.trySQS(ctx, "SendMessageBatch", map[string]any{"QueueUrl": "/000000000000/" + s.queue, "Entries": entries}, &out)
	var refused *sqsError
	if err != nil || len(out.Failed) > 0 {
		if s.fifo() {
			s.again = entries
		}
		if err == nil || errors.As(err, &refused) && refused.status[0] != '5' {
			c.t.Errorf("%s: %v, failed %v", s.queue, err, out.Failed)
		}
		return false
	}
	for i, sent := range out.Successful {
		s.acked[sent.MessageID] = entries[i]["MessageBody"].(string)
	}
	return true
}

// next returns the entries of n further messages.
func (s *sender) next(n int) (entries []map[string]any) {
	for i := range n {
		s.n++
		e := map[string]any{"Id": fmt.Sprint(i), "MessageBody": fmt.Sprintf("good %d %08d", s.n%2, s.n)}
		if s.bad && s.n%40 == 39 {
			e["MessageBody"] = fmt.Sprintf("bad %d", s.n)
		}
		if s.fifo() {
			e["MessageGroupId"], e["MessageDeduplicationId"] = fmt.Sprint("group-", s.n%2), fmt.Sprint(s.n)
		}
		entries = append(entries, e)
	}
	return entries
}

func (l *messageLoad) worth() int {
	least := len(l.senders[0].acked)
	for _, s := range l.senders[1:] {
		least = min(least, len(s.acked))
	}
	return least / 5
}

func (l *messageLoad) check(c *crashes) string {
	dead := map[string]int{}
	c.drain("dead", func(m crashMessage) { dead[m.MessageID]++ })
	var told []string
	for _, s := range l.senders {
		var there map[string]int
		if strings.HasPrefix(s.queue, "kept") {
			there = s.received(c)
		} else {
			there = s.handled(c, dead)
		}
		lost := 0
		for id, body := range s.acked {
			if there[id] == 0 {
				lost++
				c.t.Errorf("lost: %s %s %s", s.queue, id, body)
			}
		}
		told = append(told, fmt.Sprintf("%s %d acknowledged, %d lost", s.queue, len(s.acked), lost))
	}
	for id, n := range dead {
		if n > 1 {
			c.t.Errorf("%s is %d times among the dead letters", id, n)
		}
	}
	return fmt.Sprintf("messages: %s; %d dead letters", strings.Join(told, "; "), len(dead))
}

// received takes out the messages of a queue without a receiver: each is there
// once, and in order if the queue has one.
func (s *sender) received(c *crashes) map[string]int {
	there, bodies, last := map[string]int{}, map[string]int{}, map[string]string{}
	c.drain(s.queue, func(m crashMessage) {
		if there[m.MessageID]++; there[m.MessageID] > 1 {
			c.t.Errorf("%s: %s %s was received %d times", s.queue, m.MessageID, m.Body, there[m.MessageID])
		}
		if bodies[m.Body]++; s.fifo() && bodies[m.Body] > 1 {
			c.t.Errorf("%s: %s was kept %d times", s.queue, m.Body, bodies[m.Body])
		}
		group := m.Body[:len("good 0")]
		if s.fifo() && m.Body < last[group] {
			c.t.Errorf("%s: %s came after %s", s.queue, m.Body, last[group])
		}
		last[group] = m.Body
	})
	return there
}

// handled looks at the runs of a mapped queue's messages: each ran, or came to
// its dead-letter queue; those of a group began in their order.
func (s *sender) handled(c *crashes, dead map[string]int) map[string]int {
	there, first := map[string]int{}, map[string]float64{}
	for id, body := range s.acked {
		there[id] = len(c.ran[id]) + dead[id]
		retries := 0
		if strings.HasPrefix(body, "bad") {
			retries = 2
			if dead[id] == 0 {
				c.t.Errorf("%s %s is not among the dead letters", id, body)
			}
		}
		c.explain(id, retries)
		if len(c.ran[id]) > 0 {
			first[body] = c.ran[id][0]
		}
	}
	last := map[string]string{}
	for _, body := range slices.Sorted(maps.Keys(first)) {
		group := body[:len("good 0")]
		if before := last[group]; s.fifo() && before != "" && first[body] < first[before] {
			c.t.Errorf("%s ran before %s", body, before)
		}
		last[group] = body
	}
	return there
}
