package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	queueConns   = 16
	queueBatch   = 10
	messageBytes = 1 << 10
)

// sqs returns the request for an operation of the SQS API.
func (s *server) sqs(operation string, in any) []byte {
	body, err := json.Marshal(in)
	if err != nil {
		panic(err) // the bench's own values
	}
	return fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: AmazonSQS.%s\r\nContent-Length: %d\r\n\r\n%s",
		s.addr, operation, len(body), body)
}

// queueURL names a queue to the server.
func queueURL(name string) string { return "/000000000000/" + name }

// makeQueues creates queues.
func (s *server) makeQueues(ctx context.Context, l *loader, attributes map[string]string, names ...string) error {
	for _, name := range names {
		a, _, err := l.once(ctx, s.sqs("CreateQueue", map[string]any{"QueueName": name, "Attributes": attributes}))
		if err != nil {
			return err
		}
		if err := accepted(a); err != nil {
			return fmt.Errorf("create queue %s: %w", name, err)
		}
	}
	return nil
}

// accepted returns an error for an answer that is one.
func accepted(a answer) error {
	if a.status != 200 {
		return fmt.Errorf("status %d: %.200s", a.status, a.body)
	}
	return nil
}

// A courier sends, receives and deletes messages on one connection, over and
// over.
type courier struct {
	s       *server
	queue   string
	batch   int // messages at a time
	body    string
	step    int
	handles []string
	done    int // messages that have gone all the way
}

// next returns the next request.
func (c *courier) next() []byte {
	url := queueURL(c.queue)
	switch {
	case c.step == 0 && c.batch == 1:
		return c.s.sqs("SendMessage", map[string]any{"QueueUrl": url, "MessageBody": c.body})
	case c.step == 0:
		return c.s.sqs("SendMessageBatch", map[string]any{"QueueUrl": url, "Entries": c.entries(func(int) map[string]any {
			return map[string]any{"MessageBody": c.body}
		}, c.batch)})
	case c.step == 1:
		return c.s.sqs("ReceiveMessage", map[string]any{"QueueUrl": url, "MaxNumberOfMessages": c.batch})
	case c.batch == 1:
		return c.s.sqs("DeleteMessage", map[string]any{"QueueUrl": url, "ReceiptHandle": c.handles[0]})
	}
	return c.s.sqs("DeleteMessageBatch", map[string]any{"QueueUrl": url, "Entries": c.entries(func(i int) map[string]any {
		return map[string]any{"ReceiptHandle": c.handles[i]}
	}, len(c.handles))})
}

func (c *courier) entries(of func(i int) map[string]any, n int) (list []map[string]any) {
	for i := range n {
		e := of(i)
		e["Id"] = strconv.Itoa(i)
		list = append(list, e)
	}
	return list
}

// got takes in an answer.
func (c *courier) got(a answer) error {
	if err := accepted(a); err != nil {
		return err
	}
	switch c.step {
	case 0:
		c.step = 1
	case 1:
		var out struct {
			Messages []struct{ ReceiptHandle string }
		}
		if err := json.Unmarshal(a.body, &out); err != nil {
			return err
		}
		c.handles = nil
		for _, m := range out.Messages {
			c.handles = append(c.handles, m.ReceiptHandle)
		}
		c.step = 2
		if len(c.handles) == 0 {
			c.step = 0 // others were faster
		}
	case 2:
		c.done += len(c.handles)
		c.step = 0
	}
	return nil
}

// queues measures messages that are sent, received and deleted, one by one and
// in batches, from a queue to a function, and what mappings cost that have
// nothing to do.
func (b *bench) queues(ctx context.Context) (err error) {
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	l, err := newLoader(s.addr, queueConns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, kind := range []struct {
		label  string
		batch  int
		target float64
	}{{"one by one", 1, 1500}, {"in batches of 10", queueBatch, 8000}} {
		name := fmt.Sprintf("q%d", kind.batch)
		if err := s.makeQueues(ctx, l, nil, name); err != nil {
			return err
		}
		rates, err := b.carry(ctx, s, l, name, kind.batch)
		if err != nil {
			return err
		}
		sum := summarise(rates)
		b.rec.add(figure{
			Name: "send, receive, delete, " + kind.label, Unit: "/s", Value: number(sum.p50), Spread: number(sum.mad), N: sum.n,
			Target: atLeast(kind.target), Bare: unknown, Note: fmt.Sprintf("%d connections, 1 KB", queueConns),
		})
	}
	return errors.Join(b.queueToFunction(ctx, s, l), b.idleMappings(ctx))
}

// carry returns the messages a second of each round.
func (b *bench) carry(ctx context.Context, s *server, l *loader, name string, batch int) (rates []float64, err error) {
	body := strings.Repeat("x", messageBytes)
	var couriers []*courier
	for range queueConns {
		couriers = append(couriers, &courier{s: s, queue: name, batch: batch, body: body})
	}
	for round := range b.size.rounds + 1 {
		var failure error
		before, begin := 0, time.Now()
		for _, c := range couriers {
			before += c.done
		}
		err := l.run(ctx, func(i int) []byte {
			if failure != nil || time.Since(begin) >= b.size.round && couriers[i].step == 0 {
				return nil
			}
			return couriers[i].next()
		}, func(i int, a answer, _ time.Duration) {
			if err := couriers[i].got(a); err != nil {
				failure = err
			}
		})
		if err := errors.Join(err, failure); err != nil {
			return nil, err
		}
		done := -before
		for _, c := range couriers {
			done += c.done
		}
		if round > 0 { // the first is for warming up
			rates = append(rates, float64(done)/time.Since(begin).Seconds())
		}
	}
	return rates, nil
}

// queueToFunction measures from before a message is sent until a warm function
// runs with it.
func (b *bench) queueToFunction(ctx context.Context, s *server, l *loader) error {
	f, err := b.python("mapped", source("queue/app.py"))
	if err != nil {
		return err
	}
	f.memoryMB = wholeCore
	names, err := s.deploy(ctx, f, 1)
	if err != nil {
		return err
	}
	if err := s.makeQueues(ctx, l, nil, "in", "out"); err != nil {
		return err
	}
	if err := s.createMapping(ctx, names[0], "in"); err != nil {
		return err
	}
	var ms []float64
	for n := -warmUps; n < max(1, b.size.starts/5); n++ {
		took, err := s.through(ctx, l)
		if err != nil {
			return err
		}
		if n >= 0 {
			ms = append(ms, took)
		}
		if err := sleep(ctx, b.size.pause/5); err != nil {
			return err
		}
	}
	sum := summarise(ms)
	b.rec.add(figure{
		Name: "from a queue to a warm Python function", Unit: "ms", Value: number(sum.p50), Spread: number(sum.mad), N: sum.n,
		Target: atMost(15), Bare: unknown, Note: fmt.Sprintf("p99 %s", digits(sum.p99)),
	})
	b.rec.keep("queue to function", "ms", ms)
	return nil
}

func (s *server) createMapping(ctx context.Context, function, queue string) error {
	var made struct{ UUID string }
	return s.call(ctx, "POST", "/2015-03-31/event-source-mappings", map[string]any{
		"FunctionName": function, "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:" + queue,
	}, &made)
}

// through sends a message to the queue in and waits for what the function
// makes of it in the queue out. It returns the time until the function ran.
func (s *server) through(ctx context.Context, l *loader) (ms float64, err error) {
	begin := time.Now()
	a, _, err := l.once(ctx, s.sqs("SendMessage", map[string]any{"QueueUrl": queueURL("in"), "MessageBody": "m"}))
	if err := errors.Join(err, accepted(a)); err != nil {
		return 0, err
	}
	a, _, err = l.once(ctx, s.sqs("ReceiveMessage", map[string]any{"QueueUrl": queueURL("out"), "WaitTimeSeconds": 20}))
	if err := errors.Join(err, accepted(a)); err != nil {
		return 0, err
	}
	var out struct {
		Messages []struct{ ReceiptHandle, Body string }
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		return 0, err
	}
	if len(out.Messages) != 1 {
		return 0, errors.New("the function sent nothing on in 20 s")
	}
	_, text, _ := strings.Cut(out.Messages[0].Body, " ")
	ran, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, err
	}
	a, _, err = l.once(ctx, s.sqs("DeleteMessage", map[string]any{"QueueUrl": queueURL("out"), "ReceiptHandle": out.Messages[0].ReceiptHandle}))
	return milliseconds(time.Unix(0, ran).Sub(begin)), errors.Join(err, accepted(a))
}

// idleMappings measures what many mappings cost whose queues are empty.
func (b *bench) idleMappings(ctx context.Context) (err error) {
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	l, err := newLoader(s.addr, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	names, err := s.deploy(ctx, b.functions.python, 1)
	if err != nil {
		return err
	}
	before, err := residentMB(s.pid())
	if err != nil {
		return err
	}
	for i := range b.size.mappings {
		name := fmt.Sprintf("idle%d", i)
		if err := errors.Join(s.makeQueues(ctx, l, nil, name), s.createMapping(ctx, names[0], name)); err != nil {
			return err
		}
	}
	if err := sleep(ctx, b.size.idle); err != nil {
		return err
	}
	after, err := residentMB(s.pid())
	if err != nil {
		return err
	}
	cpu, err := processorTime(s.pid())
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := sleep(ctx, b.size.watch); err != nil {
		return err
	}
	later, err := processorTime(s.pid())
	if err != nil {
		return err
	}
	label := fmt.Sprintf("%d idle mappings: ", b.size.mappings)
	b.rec.add(figure{Name: label + "processor", Unit: "%", Value: number(100 * (later - cpu).Seconds() / time.Since(begin).Seconds()),
		Spread: unknown, N: 1, Target: atMost(3), Bare: unknown, Note: "of one core"})
	b.rec.add(figure{Name: label + "memory", Unit: "MB", Value: number(after - before), Spread: unknown, N: 1, Target: atMost(100), Bare: unknown,
		Note: "queues included"})
	return nil
}

// ticks is how many units of /proc's processor times make a second on Linux,
// whatever the kernel's own clock.
const ticks = 100

// processorTime returns what a process has used of the processors.
func processorTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The command, in parentheses, may hold anything; see proc(5).
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var sum int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}
