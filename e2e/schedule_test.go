package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
)

func TestBoto3Schedules(t *testing.T) {
	need(t, "/usr/lib/python3/dist-packages/boto3", "python3-boto3")
	s := up(t)
	runClient(t, s, ".", "/usr/bin/python3", "testdata/boto3_scheduler.py", s.url())
}

func (s *server) schedules() *scheduler.Client {
	return scheduler.New(scheduler.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.url()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.keyID, s.keySecret, ""),
	})
}

const anyRole = "arn:aws:iam::000000000000:role/any"

// schedule makes a schedule.
func (s *server) schedule(name, expression, target, input string, change func(*scheduler.CreateScheduleInput)) {
	s.t.Helper()
	in := &scheduler.CreateScheduleInput{
		Name: &name, ScheduleExpression: &expression,
		FlexibleTimeWindow: &schedulertypes.FlexibleTimeWindow{Mode: schedulertypes.FlexibleTimeWindowModeOff},
		Target:             &schedulertypes.Target{Arn: &target, RoleArn: aws.String(anyRole), Input: &input},
	}
	if input == "" {
		in.Target.Input = nil
	}
	if change != nil {
		change(in)
	}
	if _, err := s.schedules().CreateSchedule(s.t.Context(), in); err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
}

// soon is the expression of a time some seconds ahead.
func soon(seconds int) string {
	return time.Now().UTC().Add(time.Duration(seconds) * time.Second).Format("at(2006-01-02T15:04:05)")
}

// aws-sdk-go-v2 drives every operation, also with signatures.
func TestSDKSchedules(t *testing.T) {
	s := up(t, "--auth", "sigv4")
	s.withKey(t)
	c, ctx := s.schedules(), t.Context()
	queue := s.queue("q")
	group, err := c.CreateScheduleGroup(ctx, &scheduler.CreateScheduleGroupInput{Name: aws.String("g"), Tags: []schedulertypes.Tag{{Key: aws.String("a"), Value: aws.String("1")}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.TagResource(ctx, &scheduler.TagResourceInput{ResourceArn: group.ScheduleGroupArn, Tags: []schedulertypes.Tag{{Key: aws.String("b"), Value: aws.String("2")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(ctx, &scheduler.UntagResourceInput{ResourceArn: group.ScheduleGroupArn, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := c.ListTagsForResource(ctx, &scheduler.ListTagsForResourceInput{ResourceArn: group.ScheduleGroupArn})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Key != "b" {
		t.Errorf("tags %v, error %v", tags, err)
	}
	end := time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)
	s.schedule("s", "rate(1 hour)", queue, "x", func(in *scheduler.CreateScheduleInput) {
		in.GroupName, in.State, in.EndDate = aws.String("g"), schedulertypes.ScheduleStateDisabled, &end
		in.ActionAfterCompletion = schedulertypes.ActionAfterCompletionDelete
	})
	got, err := c.GetSchedule(ctx, &scheduler.GetScheduleInput{Name: aws.String("s"), GroupName: aws.String("g")})
	if err != nil || !got.EndDate.Equal(end) || got.ActionAfterCompletion != "DELETE" || got.State != "DISABLED" || time.Since(*got.CreationDate) > time.Minute {
		t.Errorf("got %+v, error %v", got, err)
	}
	list, err := c.ListSchedules(ctx, &scheduler.ListSchedulesInput{GroupName: aws.String("g"), State: schedulertypes.ScheduleStateDisabled})
	if err != nil || len(list.Schedules) != 1 || *list.Schedules[0].Arn != *got.Arn {
		t.Errorf("list %+v, error %v", list, err)
	}
	if out := s.mustCLI("schedule", "show", "g/s"); !strings.Contains(out, "rate(1 hour) in UTC") {
		t.Errorf("shown: %s", out)
	}
	s.mustCLI("schedule", "create", "h/s", "rate(1 hour)", "queue:q", "--paused", "--catch-up", "all")
	// Enabled, a rate begins at once.
	_, err = c.UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{
		Name: aws.String("s"), GroupName: aws.String("g"), ScheduleExpression: aws.String("rate(2 hours)"), FlexibleTimeWindow: got.FlexibleTimeWindow,
		Target: &schedulertypes.Target{Arn: &queue, RoleArn: aws.String(anyRole), Input: aws.String("now")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if m := s.await("q"); *m.Body != "now" {
		t.Errorf("message %q", *m.Body)
	}
	groups, err := c.ListScheduleGroups(ctx, &scheduler.ListScheduleGroupsInput{NamePrefix: aws.String("g")})
	if err != nil || len(groups.ScheduleGroups) != 1 {
		t.Errorf("groups %+v, error %v", groups, err)
	}
	if g, err := c.GetScheduleGroup(ctx, &scheduler.GetScheduleGroupInput{Name: aws.String("g")}); err != nil || g.State != schedulertypes.ScheduleGroupStateActive {
		t.Errorf("group %+v, error %v", g, err)
	}
	if _, err := c.DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{Name: aws.String("s"), GroupName: aws.String("g")}); err != nil {
		t.Error(err)
	}
	_, err = c.GetSchedule(ctx, &scheduler.GetScheduleInput{Name: aws.String("s"), GroupName: aws.String("g")})
	var missing *schedulertypes.ResourceNotFoundException
	if !errors.As(err, &missing) {
		t.Errorf("a deleted schedule: %v", err)
	}
	if _, err := c.DeleteScheduleGroup(ctx, &scheduler.DeleteScheduleGroupInput{Name: aws.String("g")}); err != nil {
		t.Error(err)
	}
}

// A schedule whose target does not exist goes to the dead letters.
func TestScheduleDeadLetter(t *testing.T) {
	s := up(t)
	dead := s.queue("dead")
	s.schedule("missing", soon(1), "arn:aws:lambda:us-east-1:000000000000:function:none", `{"n":1}`, func(in *scheduler.CreateScheduleInput) {
		in.Target.DeadLetterConfig = &schedulertypes.DeadLetterConfig{Arn: &dead}
	})
	letter := s.await("dead")
	for name, want := range map[string]string{
		"SCHEDULE_ARN": "arn:aws:scheduler:us-east-1:000000000000:schedule/default/missing", "ERROR_CODE": "ResourceNotFoundException",
		"TARGET_ARN": "arn:aws:lambda:us-east-1:000000000000:function:none", "RETRY_ATTEMPTS": "0", "IS_PAYLOAD_TRUNCATED": "false",
	} {
		if got := letter.MessageAttributes[name].StringValue; got == nil || *got != want {
			t.Errorf("dead letter: %s is %v, want %s", name, aws.ToString(got), want)
		}
	}
	if *letter.Body != `{"n":1}` {
		t.Errorf("dead letter %s", *letter.Body)
	}
}
