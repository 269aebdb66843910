package millicent

import (
	"fmt"
	"strings"
	"time"
)

// DefaultScheduleGroup is the group that every tenant has.
const DefaultScheduleGroup = "default"

// A Schedule says when a target is called, as the EventBridge Scheduler API
// defines it. What the API calls a schedule's state is Paused here.
//
// Values handed out by a catalog are shared and must not be modified.
type Schedule struct {
	ID     string `json:"id"`     // UUID, of this schedule and of none of its name before or after
	Tenant string `json:"tenant"` // account id
	Group  string `json:"group"`  // of the same tenant
	Name   string `json:"name"`   // 1 to 64 of [0-9a-zA-Z-_.], within the group

	Expression string    `json:"expression"`     // at(…), rate(…) or cron(…)
	Zone       string    `json:"zone"`           // IANA name of a time zone
	Start      time.Time `json:"start,omitzero"` // of a recurring schedule: nothing before; zero: no bound
	End        time.Time `json:"end,omitzero"`   // of a recurring schedule: nothing after; zero: no bound

	// Window is by how much a call may come after its time, whole minutes;
	// zero: at its time.
	Window time.Duration `json:"window,omitempty"`

	Paused bool `json:"paused,omitempty"`

	// Anchor is what a rate counts from, unless Start is given: when the
	// schedule got its expression. Since is from when on its times count: when
	// it got its expression, or was last resumed.
	Anchor time.Time `json:"anchor"`
	Since  time.Time `json:"since"`

	Target ScheduleTarget `json:"target"`

	// DeleteAfter has the schedule deleted after its last call.
	DeleteAfter bool `json:"deleteAfter,omitempty"`

	Description string            `json:"description,omitempty"`
	KeyARN      string            `json:"keyARN,omitempty"`      // stored, not acted upon
	ClientToken string            `json:"clientToken,omitempty"` // of the call that created it
	Tags        map[string]string `json:"tags,omitempty"`        // ours: AWS has tags of groups only

	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
}

// A ScheduleTarget is what a schedule calls.
type ScheduleTarget struct {
	ARN     string `json:"arn"`             // of a function, a queue, or an operation of either
	RoleARN string `json:"roleARN"`         // stored, not acted upon
	Input   string `json:"input,omitempty"` // empty: a notification
	Group   string `json:"group,omitempty"` // MessageGroupId, of a FIFO queue

	MaxAge     time.Duration `json:"maxAge"`     // whole seconds, 1 minute to 1 day: no attempt after
	MaxRetries int           `json:"maxRetries"` // 0 to 185

	DeadLetterARN string `json:"deadLetterARN,omitempty"` // of a queue
}

// A ScheduleGroup holds schedules.
type ScheduleGroup struct {
	Tenant      string            `json:"tenant"`
	Name        string            `json:"name"` // 1 to 64 of [0-9a-zA-Z-_.]
	Deleting    bool              `json:"deleting,omitempty"`
	ClientToken string            `json:"clientToken,omitempty"` // of the call that created it
	Tags        map[string]string `json:"tags,omitempty"`
	Created     time.Time         `json:"created"`
	Modified    time.Time         `json:"modified"`
}

// ARN returns the schedule's resource name.
func (s *Schedule) ARN(region string) string {
	return fmt.Sprintf("arn:aws:scheduler:%s:%s:schedule/%s/%s", region, s.Tenant, s.Group, s.Name)
}

// ARN returns the group's resource name.
func (g *ScheduleGroup) ARN(region string) string {
	return fmt.Sprintf("arn:aws:scheduler:%s:%s:schedule-group/%s", region, g.Tenant, g.Name)
}

// ParseScheduleARN returns the parts of the resource name of a schedule, or of
// a group, which has no name; ok is false for anything else.
func ParseScheduleARN(arn string) (region, tenant, group, name string, ok bool) {
	p := strings.Split(arn, ":")
	if len(p) != 6 || p[0] != "arn" || p[2] != "scheduler" {
		return "", "", "", "", false
	}
	switch r := strings.Split(p[5], "/"); {
	case len(r) == 2 && r[0] == "schedule-group" && r[1] != "":
		return p[3], p[4], r[1], "", true
	case len(r) == 3 && r[0] == "schedule" && r[1] != "" && r[2] != "":
		return p[3], p[4], r[1], r[2], true
	}
	return "", "", "", "", false
}
