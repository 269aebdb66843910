package schedule

import (
	"context"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/sqs"
)

// Operations that a schedule may name as its target, instead of a function or
// a queue: its input then is the operation's.
const (
	universalInvoke = "arn:aws:scheduler:::aws-sdk:lambda:invoke"
	universalSend   = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"
)

// maxInput bounds a target's input, in bytes.
const maxInput = 256 << 10

// A target is what a ScheduleTarget's ARN names.
type target struct {
	tenant, region      string
	function, qualifier string
	queue               string
	universal           string // one of the operations; the others are empty
}

var functionARNForm = regexp.MustCompile(`^arn:aws:lambda:([a-z0-9-]+):([0-9]{12}):function:([a-zA-Z0-9-_]{1,64})(?::(\$LATEST|[a-zA-Z0-9-_]{1,128}))?$`)

func parseTarget(arn string) (t target, ok bool) {
	if arn == universalInvoke || arn == universalSend {
		return target{universal: arn}, true
	}
	if m := functionARNForm.FindStringSubmatch(arn); m != nil {
		return target{region: m[1], tenant: m[2], function: m[3], qualifier: m[4]}, true
	}
	region, tenant, name, ok := millicent.ParseQueueARN(arn)
	return target{region: region, tenant: tenant, queue: name}, ok
}

// checkTarget refuses what a tenant's schedule can't call.
func (s *Service) checkTarget(tenant string, t millicent.ScheduleTarget) error {
	to, ok := parseTarget(t.ARN)
	fifo := strings.HasSuffix(to.queue, ".fifo")
	switch {
	case !ok:
		return millicent.Errorf(CodeValidation, "Provided Arn is not in correct format, or is of a target that this server does not have: %.200s. It has functions and queues.", t.ARN)
	case to.universal == "" && (to.tenant != tenant || to.region != s.cfg.Region):
		return millicent.Errorf(CodeValidation, "The target %.200s is of another account or region.", t.ARN)
	case len(t.Input) > maxInput:
		return millicent.Errorf(CodeValidation, "The Input is larger than %d bytes.", maxInput)
	case (to.function != "" || to.universal != "") && t.Input != "" && !json.Valid([]byte(t.Input)):
		return millicent.Errorf(CodeValidation, "Invalid RequestJson provided. Reason: The Input is not well-formed JSON.")
	case to.universal != "" && t.Input == "":
		return millicent.Errorf(CodeValidation, "Invalid RequestJson provided. Reason: A universal target needs an Input.")
	case fifo && t.Group == "":
		return millicent.Errorf(CodeValidation, "SqsParameters with a MessageGroupId must be given for a FIFO queue.")
	case !fifo && t.Group != "" && to.universal == "" && to.queue == "":
		return millicent.Errorf(CodeValidation, "SqsParameters are for queues.")
	case to.universal != "":
		if err := checkUniversal(to.universal, t.Input); err != nil {
			return err
		}
	}
	if t.DeadLetterARN == "" {
		return nil
	}
	if region, of, _, ok := millicent.ParseQueueARN(t.DeadLetterARN); !ok || of != tenant || region != s.cfg.Region {
		return millicent.Errorf(CodeValidation, "The dead-letter queue %.200s is no queue of this account and region.", t.DeadLetterARN)
	}
	return nil
}

// A call is one attempt to call a target.
type call struct {
	schedule *millicent.Schedule
	tick     tick
	attempt  int // from 1
	region   string
	settles  queue.Settled // the tick
}

// timeOf is how times are written in inputs and dead letters.
func timeOf(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// input returns what the target gets: the input with its context attributes
// filled in, or a notification.
func (c call) input() string {
	d := c.schedule
	if d.Target.Input != "" {
		return strings.NewReplacer(
			"<aws.scheduler.schedule-arn>", d.ARN(c.region),
			"<aws.scheduler.scheduled-time>", timeOf(c.tick.Time),
			"<aws.scheduler.execution-id>", c.tick.execution(),
			"<aws.scheduler.attempt-number>", strconv.Itoa(c.attempt),
		).Replace(d.Target.Input)
	}
	event, _ := json.Marshal(notification{ // strings only: it cannot fail
		Version: "0", ID: c.tick.request(), Type: "Scheduled Event", Source: "aws.scheduler", Account: d.Tenant,
		Time: timeOf(c.tick.Time), Region: c.region, Resources: []string{d.ARN(c.region)}, Detail: "{}",
	})
	return string(event)
}

// A notification is what a target without an input gets.
type notification struct {
	Version   string   `json:"version"`
	ID        string   `json:"id"`
	Type      string   `json:"detail-type"`
	Source    string   `json:"source"`
	Account   string   `json:"account"`
	Time      string   `json:"time"`
	Region    string   `json:"region"`
	Resources []string `json:"resources"`
	Detail    string   `json:"detail"`
}

// call calls a target and settles the tick, in one step, and returns when that
// is durable.
func (e *Engine) call(ctx context.Context, c call) error {
	to, ok := parseTarget(c.schedule.Target.ARN)
	switch {
	case !ok:
		return millicent.Errorf(CodeValidation, "%s is no target.", c.schedule.Target.ARN)
	case to.universal == universalInvoke:
		return e.invokeUniversal(ctx, c)
	case to.universal == universalSend:
		return e.sendUniversal(ctx, c)
	case to.function != "":
		return e.invoke(ctx, c, to, []byte(c.input()))
	}
	return e.send(ctx, c, to.queue, sqs.Outgoing{
		Body: c.input(), QueueMessage: millicent.QueueMessage{Sender: sender, Group: c.schedule.Target.Group},
	})
}

// sender is what messages have as the id of who sent them.
const sender = "scheduler"

// invoke has a function invoked asynchronously. Each tick is the root of a
// chain of its own.
func (e *Engine) invoke(ctx context.Context, c call, to target, event []byte) error {
	id := c.tick.request()
	return e.cfg.Invoker.Follow(ctx, &millicent.Invocation{
		ID: id, Tenant: c.schedule.Tenant, Function: to.function, Qualifier: to.qualifier,
		Event: event, Lineage: millicent.Lineage{Root: id},
	}, c.settles)
}

// send sends a message to a queue of the schedule's tenant.
func (e *Engine) send(ctx context.Context, c call, name string, out sqs.Outgoing) error {
	q, err := e.cfg.Queues.Queue(c.schedule.Tenant, name)
	if err != nil {
		return err
	}
	return e.cfg.Queues.Follow(ctx, q, out, c.settles)
}
