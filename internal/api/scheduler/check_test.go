package scheduler

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/schedule"
)

const valid = `{"ScheduleExpression":"rate(1 day)","FlexibleTimeWindow":{"Mode":"OFF"},
	"Target":{"Arn":"arn:aws:sqs:us-east-1:000000000000:q","RoleArn":"arn:aws:iam::000000000000:role/r"}}`

// with returns the valid body with a member, named by its path, replaced.
func with(t *testing.T, path string, value any) *scheduleInput {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(valid), &body); err != nil {
		t.Fatal(err)
	}
	in := body
	parts := strings.Split(path, ".")
	for _, p := range parts[:len(parts)-1] {
		next, ok := in[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			in[p] = next
		}
		in = next
	}
	if in[parts[len(parts)-1]] = value; value == nil {
		delete(in, parts[len(parts)-1])
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	out := new(scheduleInput)
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestChecks(t *testing.T) {
	const one = "1 validation error detected: "
	for _, c := range []struct {
		path  string
		value any
		want  string // of the error; "" for none
	}{
		{"Description", "d", ""},
		{"ScheduleExpression", nil, one + "Value 'null' at 'scheduleExpression' failed to satisfy constraint: Member must not be null"},
		{"ScheduleExpression", strings.Repeat("x", 257), "Member must have length less than or equal to 256"},
		{"ScheduleExpression", "", one + "Value '' at 'scheduleExpression' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"State", "ON", one + "Value 'ON' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED]"},
		{"ActionAfterCompletion", "REPEAT", "[NONE, DELETE]"},
		{"GroupName", "a/b", "regular expression pattern"},
		{"ClientToken", "a b", "regular expression pattern"},
		{"FlexibleTimeWindow", nil, "'flexibleTimeWindow'"},
		{"FlexibleTimeWindow.Mode", nil, "'flexibleTimeWindow.mode'"},
		{"FlexibleTimeWindow.Mode", "FLEXIBLE", "MaximumWindowInMinutes must be specified"},
		{"FlexibleTimeWindow.MaximumWindowInMinutes", 5, "must not be specified"},
		{"FlexibleTimeWindow.MaximumWindowInMinutes", 1441, "Member must have value less than or equal to 1440"},
		{"Target", nil, "'target'"},
		{"Target.Arn", nil, "'target.arn'"},
		{"Target.RoleArn", "r", "'target.roleArn'"},
		{"Target.RetryPolicy.MaximumRetryAttempts", 186, "less than or equal to 185"},
		{"Target.RetryPolicy.MaximumRetryAttempts", 0, ""},
		{"Target.RetryPolicy.MaximumEventAgeInSeconds", 59, "greater than or equal to 60"},
		{"Target.DeadLetterConfig.Arn", "arn:aws:sqs:us-east-1:000000000000:q.fifo", "'target.deadLetterConfig.arn'"},
		{"Target.SqsParameters.MessageGroupId", "", "'target.sqsParameters.messageGroupId'"},
		{"Target.KinesisParameters.PartitionKey", "p", "a service that this server does not have"},
		{"StartDate", 1e15, "years from 1970 to 2199"},
		{"EndDate", -1e9, "years from 1970 to 2199"},
		{"StartDate", 4102444800.5, ""},
	} {
		in := with(t, c.path, c.value)
		err := new(check).schedule(in, "name")
		if c.want == "" {
			if err != nil {
				t.Errorf("%s = %v: %v", c.path, c.value, err)
			} else if d := in.schedule("000000000000", "name"); d.Name != "name" {
				t.Errorf("%s = %v: %+v", c.path, c.value, d)
			}
			continue
		}
		if millicent.ErrorCode(err) != schedule.CodeValidation || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %v: %v, want %s", c.path, c.value, err, c.want)
		}
	}
	err := new(check).schedule(&scheduleInput{}, "a b")
	if !strings.Contains(err.Error(), "4 validation errors detected: ") {
		t.Error(err)
	}
}

func TestPages(t *testing.T) {
	all := []string{"a", "b", "c", "d", "e"}
	same := func(s string) string { return s }
	part, next := cut(page{max: 2}, all, same)
	if strings.Join(part, "") != "ab" || next == nil {
		t.Errorf("first page %v, %v", part, next)
	}
	part, next = cut(page{max: 3, after: "b"}, all, same)
	if strings.Join(part, "") != "cde" || next != nil {
		t.Errorf("last page %v, %v", part, next)
	}
}

// FuzzSchedule: whatever passes the checks is a schedule, and is answered as it
// was given.
func FuzzSchedule(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte(`{"Target":{"RetryPolicy":{}},"StartDate":1e300,"FlexibleTimeWindow":{"Mode":"FLEXIBLE","MaximumWindowInMinutes":7}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in := new(scheduleInput)
		if json.Unmarshal(body, in) != nil || new(check).schedule(in, "n") != nil {
			return
		}
		d := in.schedule("000000000000", "n")
		out := bodyOf(d, "us-east-1")
		if out.ScheduleExpression != *in.ScheduleExpression || *out.Target.Arn != *in.Target.Arn || *out.FlexibleTimeWindow.Mode != *in.FlexibleTimeWindow.Mode {
			t.Errorf("%s became %+v", body, out)
		}
		if _, err := json.Marshal(out); err != nil {
			t.Error(err)
		}
	})
}
