package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
)

// CatchUpTag is the tag of a schedule that says what happens to times that
// pass while the server is down: none, latest or all.
const CatchUpTag = "millicent:catch-up"

// What a Schedule's State and ActionAfterCompletion may be.
const (
	ScheduleEnabled  = "ENABLED"
	ScheduleDisabled = "DISABLED"
	ScheduleDelete   = "DELETE"
)

// A Schedule is one as the EventBridge Scheduler API has it. Dates are seconds
// since 1970.
type Schedule struct {
	Name                       string         `json:",omitempty"`
	GroupName                  string         `json:",omitempty"`
	Arn                        string         `json:",omitempty"`
	ScheduleExpression         string         `json:",omitempty"`
	ScheduleExpressionTimezone string         `json:",omitempty"`
	StartDate                  *float64       `json:",omitempty"`
	EndDate                    *float64       `json:",omitempty"`
	State                      string         `json:",omitempty"`
	Description                string         `json:",omitempty"`
	ActionAfterCompletion      string         `json:",omitempty"`
	KmsKeyArn                  string         `json:",omitempty"`
	FlexibleTimeWindow         ScheduleWindow `json:"FlexibleTimeWindow"`
	Target                     ScheduleTarget `json:"Target"`
}

// A ScheduleWindow is by how much a call may come after its time.
type ScheduleWindow struct {
	Mode                   string // OFF or FLEXIBLE
	MaximumWindowInMinutes *int   `json:",omitempty"`
}

// A ScheduleTarget is what a schedule calls.
type ScheduleTarget struct {
	Arn              string
	RoleArn          string                 `json:",omitempty"`
	Input            string                 `json:",omitempty"`
	RetryPolicy      *ScheduleRetries       `json:",omitempty"`
	DeadLetterConfig *ScheduleDeadLetters   `json:",omitempty"`
	SqsParameters    *ScheduleSQSParameters `json:",omitempty"`
}

// ScheduleRetries says how often and how long a target is tried again.
type ScheduleRetries struct {
	MaximumEventAgeInSeconds *int `json:",omitempty"`
	MaximumRetryAttempts     *int `json:",omitempty"`
}

// ScheduleDeadLetters names the queue of what could not be delivered.
type ScheduleDeadLetters struct{ Arn string }

// ScheduleSQSParameters are what a FIFO queue wants to know.
type ScheduleSQSParameters struct{ MessageGroupId string } //nolint:revive // the API's name

// ScheduleStatus tells where a schedule stands.
type ScheduleStatus struct {
	Group   string           `json:"group"`
	Name    string           `json:"name"`
	Paused  bool             `json:"paused"`
	CatchUp string           `json:"catchUp"`
	Last    time.Time        `json:"last,omitzero"` // the latest time that was run
	Missed  int              `json:"missed"`        // times that were missed and skipped
	Waiting int              `json:"waiting"`       // times that are due and not done with
	Failed  *ScheduleFailure `json:"failed,omitempty"`
	Next    []time.Time      `json:"next,omitempty"` // in the schedule's zone
}

// ScheduleFailure tells of the latest time whose target could not be called.
type ScheduleFailure struct {
	Time    time.Time `json:"time"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
}

// CreateSchedule makes a schedule, and its group if need be, and returns its
// ARN.
func (c *Client) CreateSchedule(ctx context.Context, s Schedule) (string, error) {
	var out struct{ ScheduleArn string }
	create := func() error { return c.call(ctx, http.MethodPost, schedulePath(s.Name), nil, s, &out) }
	err := create()
	if IsNotFound(err) && s.GroupName != "" {
		err = c.call(ctx, http.MethodPost, "/schedule-groups/"+url.PathEscape(s.GroupName), nil, struct{}{}, nil)
		if err == nil || millicent.ErrorCode(err) == "ConflictException" {
			err = create()
		}
	}
	return out.ScheduleArn, err
}

// Schedule returns a schedule.
func (c *Client) Schedule(ctx context.Context, group, name string) (Schedule, error) {
	var s Schedule
	err := c.call(ctx, http.MethodGet, schedulePath(name), url.Values{"groupName": {group}}, nil, &s)
	return s, err
}

// Schedules returns all schedules of a group, or of all if it is empty. Of
// their targets it gives the ARN, and of their times nothing.
func (c *Client) Schedules(ctx context.Context, group string) ([]Schedule, error) {
	query := url.Values{}
	if group != "" {
		query.Set("ScheduleGroup", group)
	}
	all := []Schedule{}
	for {
		var page struct {
			NextToken string
			Schedules []Schedule
		}
		if err := c.call(ctx, http.MethodGet, "/schedules", query, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Schedules...)
		if page.NextToken == "" {
			return all, nil
		}
		query.Set("NextToken", page.NextToken)
	}
}

// SetScheduleState pauses or resumes a schedule.
func (c *Client) SetScheduleState(ctx context.Context, group, name, state string) error {
	s, err := c.Schedule(ctx, group, name)
	if err != nil {
		return err
	}
	s.State, s.Arn, s.Name = state, "", ""
	return c.call(ctx, http.MethodPut, schedulePath(name), nil, s, nil)
}

// DeleteSchedule deletes a schedule.
func (c *Client) DeleteSchedule(ctx context.Context, group, name string) error {
	return c.call(ctx, http.MethodDelete, schedulePath(name), url.Values{"groupName": {group}}, nil, nil)
}

// TagSchedule adds a tag to a schedule.
func (c *Client) TagSchedule(ctx context.Context, arn, key, value string) error {
	type tag struct{ Key, Value string }
	in := struct{ Tags []tag }{[]tag{{key, value}}}
	return c.call(ctx, http.MethodPost, "/tags/"+url.PathEscape(arn), nil, in, nil)
}

// ScheduleStatus tells where a schedule stands, with up to n of its next
// times, at most 100.
func (c *Client) ScheduleStatus(ctx context.Context, group, name string, n int) (ScheduleStatus, error) {
	var st ScheduleStatus
	path := "/_millicent/schedules/" + url.PathEscape(group) + "/" + url.PathEscape(name)
	err := c.call(ctx, http.MethodGet, path, url.Values{"times": {strconv.Itoa(n)}}, nil, &st)
	return st, err
}

func schedulePath(name string) string { return "/schedules/" + url.PathEscape(name) }

// service returns what a call to a path is signed for.
func service(path string) string {
	for _, prefix := range []string{"/schedules", "/schedule-groups", "/tags/"} {
		if strings.HasPrefix(path, prefix) {
			return "scheduler"
		}
	}
	return "lambda"
}
