package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent/client"
)

// A newSchedule is a schedule as the command line says it.
type newSchedule struct {
	name, expression, target string
	zone, input, description string
	start, end               string
	deadLetter, messageGroup string
	catchUp                  string
	window, retries, age     int
	paused, deleteAfter      bool
}

func (c *cli) scheduleCreateCommand() *cobra.Command {
	var n newSchedule
	cmd := &cobra.Command{
		Use:   "create NAME EXPRESSION TARGET",
		Short: "Make a schedule",
		Long: `Make a schedule, and its group if need be.

EXPRESSION is one of
  rate(5 minutes)              minutes, hours or days; the first time at once
  cron(0 9 ? * MON-FRI *)      minutes hours day-of-month month day-of-week year; one
                               of the days has to be ?; L, W and # as on AWS
  at(2027-01-31T09:00:00)      once

TARGET is a function NAME[:QUALIFIER], queue:NAME, or an ARN. Without --input it
gets a notification. In the input, <aws.scheduler.scheduled-time>,
<aws.scheduler.execution-id>, <aws.scheduler.attempt-number> and
<aws.scheduler.schedule-arn> are replaced.`,
		Example: `  millicent schedule create often 'rate(5 minutes)' hello --input '{"name":"you"}'
  millicent schedule create jobs/payday 'cron(0 9 LW * ? *)' queue:work --zone Europe/Berlin --catch-up latest
  millicent schedule create once 'at(2027-01-31T09:00:00)' hello:live --delete-after --dead-letter failed`,
		Args: wantArgs(3, 3, "a schedule [GROUP/]NAME, an EXPRESSION and a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.name, n.expression, n.target = args[0], args[1], args[2]
			s, err := n.schedule()
			if err != nil {
				return &usageError{cmd: cmd.CommandPath(), message: err.Error()}
			}
			return c.createSchedule(cmd.Context(), s, n.catchUp)
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.zone, "zone", "UTC", "time `zone` of the expression, like Europe/Berlin")
	f.StringVar(&n.input, "input", "", "`text` that the target gets; JSON for a function")
	f.StringVar(&n.description, "description", "", "`text` to remember it by")
	f.StringVar(&n.start, "start", "", "nothing before this `time`, like 2027-01-31T09:00:00Z")
	f.StringVar(&n.end, "end", "", "nothing after this `time`")
	f.IntVar(&n.window, "window", 0, "`minutes` within which a call may come after its time")
	f.IntVar(&n.retries, "retries", 185, "attempts after the first, `N`")
	f.IntVar(&n.age, "max-age", 86400, "`seconds` after which no attempt is made")
	f.StringVar(&n.deadLetter, "dead-letter", "", "`queue` for what could not be delivered")
	f.StringVar(&n.messageGroup, "message-group", "", "message group `id`, for a FIFO queue")
	f.StringVar(&n.catchUp, "catch-up", "", "`which` of the times that pass while the server is down run late: none, latest or all")
	f.BoolVar(&n.paused, "paused", false, "make it paused")
	f.BoolVar(&n.deleteAfter, "delete-after", false, "delete it after its last call")
	return cmd
}

// schedule returns what the command line says; names of targets are not yet
// ARNs.
func (n *newSchedule) schedule() (client.Schedule, error) {
	group, name := splitSchedule(n.name)
	s := client.Schedule{
		Name: name, GroupName: group, ScheduleExpression: n.expression, ScheduleExpressionTimezone: n.zone,
		Description: n.description, State: client.ScheduleEnabled, FlexibleTimeWindow: client.ScheduleWindow{Mode: "OFF"},
		Target: client.ScheduleTarget{
			Arn: n.target, Input: n.input,
			RetryPolicy: &client.ScheduleRetries{MaximumEventAgeInSeconds: &n.age, MaximumRetryAttempts: &n.retries},
		},
	}
	switch n.catchUp {
	case "", "none", "latest", "all":
	default:
		return s, fmt.Errorf("--catch-up is none, latest or all, not %q", n.catchUp)
	}
	for _, d := range []struct {
		text string
		date **float64
	}{{n.start, &s.StartDate}, {n.end, &s.EndDate}} {
		if d.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, d.text)
		if err != nil {
			return s, fmt.Errorf("%q is no time like 2027-01-31T09:00:00Z", d.text)
		}
		seconds := float64(t.Unix())
		*d.date = &seconds
	}
	if n.window != 0 {
		s.FlexibleTimeWindow = client.ScheduleWindow{Mode: "FLEXIBLE", MaximumWindowInMinutes: &n.window}
	}
	if n.paused {
		s.State = client.ScheduleDisabled
	}
	if n.deleteAfter {
		s.ActionAfterCompletion = client.ScheduleDelete
	}
	if n.messageGroup != "" {
		s.Target.SqsParameters = &client.ScheduleSQSParameters{MessageGroupId: n.messageGroup}
	}
	if n.deadLetter != "" {
		s.Target.DeadLetterConfig = &client.ScheduleDeadLetters{Arn: "queue:" + strings.TrimPrefix(n.deadLetter, "queue:")}
	}
	return s, nil
}

func (c *cli) createSchedule(ctx context.Context, s client.Schedule, catchUp string) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	info, err := api.Info(ctx)
	if err != nil {
		return err
	}
	s.Target.Arn = targetARN(info, s.Target.Arn)
	s.Target.RoleArn = "arn:aws:iam::" + info.Account + ":role/schedule" // of no effect, and demanded
	if d := s.Target.DeadLetterConfig; d != nil {
		d.Arn = targetARN(info, d.Arn)
	}
	arn, err := api.CreateSchedule(ctx, s)
	if err == nil && catchUp != "" {
		err = api.TagSchedule(ctx, arn, client.CatchUpTag, catchUp)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s created\n", joinSchedule(s.GroupName, s.Name))
	return err
}

// targetARN is the inverse of targetName.
func targetARN(info client.Info, name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	if queue, ok := strings.CutPrefix(name, "queue:"); ok {
		return fmt.Sprintf("arn:aws:sqs:%s:%s:%s", info.Region, info.Account, queue)
	}
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", info.Region, info.Account, name)
}
