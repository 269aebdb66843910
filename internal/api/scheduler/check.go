package scheduler

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/schedule"
)

// A check collects what breaks the constraints of the API's model.
type check struct{ problems []string }

func (c *check) fail(value any, member, constraint string) {
	shown := fmt.Sprint(value)
	if len(shown) > 300 {
		shown = strings.ToValidUTF8(shown[:300], "")
	}
	c.problems = append(c.problems, fmt.Sprintf("Value '%s' at '%s' failed to satisfy constraint: %s", shown, member, constraint))
}

// err returns the answer to what was found, or nil.
func (c *check) err() error {
	switch n := len(c.problems); n {
	case 0:
		return nil
	case 1:
		return millicent.Errorf(schedule.CodeValidation, "1 validation error detected: %s", c.problems[0])
	default:
		return millicent.Errorf(schedule.CodeValidation, "%d validation errors detected: %s", n, strings.Join(c.problems, "; "))
	}
}

// A text is the constraints of a string.
type text struct {
	min, max int
	form     *regexp.Regexp
}

var (
	nameText        = text{1, 64, regexp.MustCompile(`^[0-9a-zA-Z-_.]+$`)}
	prefixText      = text{1, 64, regexp.MustCompile(`^[a-zA-Z][0-9a-zA-Z-_]*$`)}
	tokenText       = text{1, 64, regexp.MustCompile(`^[a-zA-Z0-9-_]+$`)}
	descriptionText = text{0, 512, nil}
	expressionText  = text{1, 256, nil}
	zoneText        = text{1, 50, nil}
	arnText         = text{1, 1600, nil}
	groupIDText     = text{1, 128, nil}
	nextText        = text{1, 2048, nil}
	keyText         = text{1, 2048, regexp.MustCompile(`^arn:aws(-[a-z]+)?:kms:[a-z0-9\-]+:\d{12}:(key|alias)\/[0-9a-zA-Z-_]*$`)}
	roleText        = text{1, 1600, regexp.MustCompile(`^arn:aws(-[a-z]+)?:iam::\d{12}:role\/(service-role\/){0,1}[a-zA-Z0-9\+=,\.@\-_]+$`)}
	deadLetterText  = text{1, 1600, regexp.MustCompile(`^arn:aws(-[a-z]+)?:sqs:[a-z0-9\-]+:\d{12}:[a-zA-Z0-9\-_]+$`)}
	tagKeyText      = text{1, 128, nil}
	tagValueText    = text{1, 256, nil}
	inputText       = text{1, 1 << 20, nil}
)

// text checks a string that may be missing.
func (c *check) text(s *string, member string, t text) {
	if s == nil {
		return
	}
	switch n := utf8.RuneCountInString(*s); {
	case n < t.min:
		c.fail(*s, member, fmt.Sprintf("Member must have length greater than or equal to %d", t.min))
	case n > t.max:
		c.fail(*s, member, fmt.Sprintf("Member must have length less than or equal to %d", t.max))
	}
	if t.form != nil && !t.form.MatchString(*s) {
		c.fail(*s, member, "Member must satisfy regular expression pattern: "+t.form.String())
	}
}

// required checks a string that must be there.
func (c *check) required(s *string, member string, t text) {
	if s == nil {
		c.fail("null", member, "Member must not be null")
	}
	c.text(s, member, t)
}

func (c *check) number(n *int, member string, low, high int) {
	switch {
	case n == nil:
	case *n < low:
		c.fail(*n, member, fmt.Sprintf("Member must have value greater than or equal to %d", low))
	case *n > high:
		c.fail(*n, member, fmt.Sprintf("Member must have value less than or equal to %d", high))
	}
}

func (c *check) enum(s *string, member string, values ...string) {
	if s == nil {
		return
	}
	for _, v := range values {
		if *s == v {
			return
		}
	}
	c.fail(*s, member, "Member must satisfy enum value set: ["+strings.Join(values, ", ")+"]")
}

// schedule checks the body of CreateSchedule and UpdateSchedule.
func (c *check) schedule(in *scheduleInput, name string) error {
	c.text(&name, "name", nameText)
	c.text(in.GroupName, "groupName", nameText)
	c.text(in.ClientToken, "clientToken", tokenText)
	c.text(in.Description, "description", descriptionText)
	c.text(in.KmsKeyArn, "kmsKeyArn", keyText)
	c.required(in.ScheduleExpression, "scheduleExpression", expressionText)
	c.text(in.ScheduleExpressionTimezone, "scheduleExpressionTimezone", zoneText)
	c.enum(in.State, "state", enabled, disabled)
	c.enum(in.ActionAfterCompletion, "actionAfterCompletion", "NONE", "DELETE")
	if in.FlexibleTimeWindow == nil {
		c.fail("null", "flexibleTimeWindow", "Member must not be null")
	} else {
		if in.FlexibleTimeWindow.Mode == nil {
			c.fail("null", "flexibleTimeWindow.mode", "Member must not be null")
		}
		c.enum(in.FlexibleTimeWindow.Mode, "flexibleTimeWindow.mode", "OFF", "FLEXIBLE")
		c.number(in.FlexibleTimeWindow.MaximumWindowInMinutes, "flexibleTimeWindow.maximumWindowInMinutes", 1, 1440)
	}
	if in.Target == nil {
		c.fail("null", "target", "Member must not be null")
	} else {
		c.target(in.Target)
	}
	if err := c.err(); err != nil {
		return err
	}
	return in.meaning()
}

func (c *check) target(t *targetBody) {
	c.required(t.Arn, "target.arn", arnText)
	c.required(t.RoleArn, "target.roleArn", roleText)
	c.text(t.Input, "target.input", inputText)
	if p := t.RetryPolicy; p != nil {
		c.number(p.MaximumEventAgeInSeconds, "target.retryPolicy.maximumEventAgeInSeconds", 60, 86400)
		c.number(p.MaximumRetryAttempts, "target.retryPolicy.maximumRetryAttempts", 0, 185)
	}
	if t.DeadLetterConfig != nil {
		c.text(t.DeadLetterConfig.Arn, "target.deadLetterConfig.arn", deadLetterText)
	}
	if t.SqsParameters != nil {
		c.text(t.SqsParameters.MessageGroupID, "target.sqsParameters.messageGroupId", groupIDText)
	}
}

// meaning checks what the model can't say.
func (in *scheduleInput) meaning() error {
	t, w := in.Target, in.FlexibleTimeWindow
	flexible := *w.Mode == "FLEXIBLE"
	switch {
	case flexible && w.MaximumWindowInMinutes == nil:
		return millicent.Errorf(schedule.CodeValidation, "MaximumWindowInMinutes must be specified for a FLEXIBLE time window.")
	case !flexible && w.MaximumWindowInMinutes != nil:
		return millicent.Errorf(schedule.CodeValidation, "MaximumWindowInMinutes must not be specified when the time window is OFF.")
	case t.EcsParameters != nil || t.EventBridgeParameters != nil || t.KinesisParameters != nil || t.SageMakerPipelineParameters != nil:
		return millicent.Errorf(schedule.CodeValidation, "The Target has parameters of a service that this server does not have. It has functions and queues.")
	}
	for _, date := range []*float64{in.StartDate, in.EndDate} {
		if date != nil && (timeOf(date).Year() < 1970 || timeOf(date).Year() > 2199) {
			return millicent.Errorf(schedule.CodeValidation, "StartDate and EndDate have to be in the years from 1970 to 2199.")
		}
	}
	return nil
}

// tags checks tags and returns them.
func (c *check) tags(all []tag) map[string]string {
	if len(all) > 200 {
		c.fail(fmt.Sprintf("%d tags", len(all)), "tags", "Member must have length less than or equal to 200")
	}
	tags := make(map[string]string, len(all))
	for i, t := range all {
		c.required(t.Key, fmt.Sprintf("tags.%d.member.key", i+1), tagKeyText)
		c.required(t.Value, fmt.Sprintf("tags.%d.member.value", i+1), tagValueText)
		tags[value(t.Key, "")] = value(t.Value, "")
	}
	return tags
}
