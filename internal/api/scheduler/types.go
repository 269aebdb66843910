package scheduler

import (
	"math"
	"time"

	"github.com/millicent-run/millicent"
)

// scheduleInput is the body of CreateSchedule and UpdateSchedule.
type scheduleInput struct {
	ActionAfterCompletion      *string
	ClientToken                *string
	Description                *string
	EndDate                    *float64
	FlexibleTimeWindow         *flexibleTimeWindow
	GroupName                  *string
	KmsKeyArn                  *string
	ScheduleExpression         *string
	ScheduleExpressionTimezone *string
	StartDate                  *float64
	State                      *string
	Target                     *targetBody
}

type flexibleTimeWindow struct {
	Mode                   *string `json:",omitempty"`
	MaximumWindowInMinutes *int    `json:",omitempty"`
}

type targetBody struct {
	Arn              *string           `json:",omitempty"`
	RoleArn          *string           `json:",omitempty"`
	Input            *string           `json:",omitempty"`
	RetryPolicy      *retryPolicy      `json:",omitempty"`
	DeadLetterConfig *deadLetterConfig `json:",omitempty"`
	SqsParameters    *sqsParameters    `json:",omitempty"`

	// Of targets that this server does not have.
	EcsParameters               any `json:",omitempty"`
	EventBridgeParameters       any `json:",omitempty"`
	KinesisParameters           any `json:",omitempty"`
	SageMakerPipelineParameters any `json:",omitempty"`
}

type retryPolicy struct {
	MaximumEventAgeInSeconds *int `json:",omitempty"`
	MaximumRetryAttempts     *int `json:",omitempty"`
}

type deadLetterConfig struct {
	Arn *string `json:",omitempty"`
}

type sqsParameters struct {
	MessageGroupID *string `json:"MessageGroupId,omitempty"`
}

type scheduleARN struct{ ScheduleArn string }

// scheduleBody is the answer of GetSchedule.
type scheduleBody struct {
	ActionAfterCompletion      string
	Arn                        string
	CreationDate               float64
	Description                string   `json:",omitempty"`
	EndDate                    *float64 `json:",omitempty"`
	FlexibleTimeWindow         flexibleTimeWindow
	GroupName                  string
	KmsKeyArn                  string `json:",omitempty"`
	LastModificationDate       float64
	Name                       string
	ScheduleExpression         string
	ScheduleExpressionTimezone string
	StartDate                  *float64 `json:",omitempty"`
	State                      string
	Target                     targetBody
}

type scheduleSummary struct {
	Arn                  string
	CreationDate         float64
	GroupName            string
	LastModificationDate float64
	Name                 string
	State                string
	Target               targetSummary
}

type targetSummary struct{ Arn string }

type scheduleList struct {
	NextToken *string `json:",omitempty"`
	Schedules []scheduleSummary
}

type groupInput struct {
	ClientToken *string
	Tags        []tag
}

type groupARN struct{ ScheduleGroupArn string }

type groupBody struct {
	Arn                  string
	CreationDate         *float64 `json:",omitempty"`
	LastModificationDate *float64 `json:",omitempty"`
	Name                 string
	State                string
}

type groupList struct {
	NextToken      *string `json:",omitempty"`
	ScheduleGroups []groupBody
}

type tag struct{ Key, Value *string }

type tagsBody struct{ Tags []tag }

type none struct{}

const (
	enabled  = "ENABLED"
	disabled = "DISABLED"
)

// Defaults of a retry policy.
const (
	defaultAge     = 86400
	defaultRetries = 185
)

// stamp is a time as the API writes it: seconds since 1970.
func stamp(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// stampOf is stamp of a time that may be missing.
func stampOf(t time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	s := stamp(t)
	return &s
}

// timeOf is the inverse of stampOf; what can't be a time is none.
func timeOf(s *float64) time.Time {
	if s == nil || math.IsNaN(*s) || math.Abs(*s) > 1e11 {
		return time.Time{}
	}
	return time.UnixMilli(int64(math.Round(*s * 1000))).UTC()
}

func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func stateOf(d *millicent.Schedule) string {
	if d.Paused {
		return disabled
	}
	return enabled
}

// schedule returns what a checked input says.
func (in *scheduleInput) schedule(tenant, name string) *millicent.Schedule {
	t := in.Target
	policy, window := value(t.RetryPolicy, retryPolicy{}), 0
	if *in.FlexibleTimeWindow.Mode == "FLEXIBLE" {
		window = *in.FlexibleTimeWindow.MaximumWindowInMinutes
	}
	return &millicent.Schedule{
		Tenant: tenant, Group: value(in.GroupName, millicent.DefaultScheduleGroup), Name: name,
		Expression: *in.ScheduleExpression, Zone: value(in.ScheduleExpressionTimezone, "UTC"),
		Start: timeOf(in.StartDate), End: timeOf(in.EndDate), Window: time.Duration(window) * time.Minute,
		Paused: value(in.State, enabled) == disabled, DeleteAfter: value(in.ActionAfterCompletion, "NONE") == "DELETE",
		Description: value(in.Description, ""), KeyARN: value(in.KmsKeyArn, ""), ClientToken: value(in.ClientToken, ""),
		Target: millicent.ScheduleTarget{
			ARN: *t.Arn, RoleARN: *t.RoleArn, Input: value(t.Input, ""),
			Group:         value(value(t.SqsParameters, sqsParameters{}).MessageGroupID, ""),
			MaxAge:        time.Duration(value(policy.MaximumEventAgeInSeconds, defaultAge)) * time.Second,
			MaxRetries:    value(policy.MaximumRetryAttempts, defaultRetries),
			DeadLetterARN: value(value(t.DeadLetterConfig, deadLetterConfig{}).Arn, ""),
		},
	}
}

// bodyOf returns a schedule as GetSchedule answers it.
func bodyOf(d *millicent.Schedule, region string) *scheduleBody {
	age, window, mode := int(d.Target.MaxAge/time.Second), int(d.Window/time.Minute), "OFF"
	b := &scheduleBody{
		ActionAfterCompletion: "NONE", Arn: d.ARN(region), CreationDate: stamp(d.Created), LastModificationDate: stamp(d.Modified),
		Description: d.Description, EndDate: stampOf(d.End), StartDate: stampOf(d.Start), GroupName: d.Group, Name: d.Name,
		KmsKeyArn: d.KeyARN, ScheduleExpression: d.Expression, ScheduleExpressionTimezone: d.Zone, State: stateOf(d),
		Target: targetBody{
			Arn: &d.Target.ARN, RoleArn: &d.Target.RoleARN, Input: optional(d.Target.Input),
			RetryPolicy: &retryPolicy{&age, &d.Target.MaxRetries},
		},
	}
	if d.DeleteAfter {
		b.ActionAfterCompletion = "DELETE"
	}
	if window > 0 {
		mode = "FLEXIBLE"
		b.FlexibleTimeWindow.MaximumWindowInMinutes = &window
	}
	b.FlexibleTimeWindow.Mode = &mode
	if d.Target.DeadLetterARN != "" {
		b.Target.DeadLetterConfig = &deadLetterConfig{&d.Target.DeadLetterARN}
	}
	if d.Target.Group != "" {
		b.Target.SqsParameters = &sqsParameters{&d.Target.Group}
	}
	return b
}
