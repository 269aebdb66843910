package schedule

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func TestTargets(t *testing.T) {
	s := &Service{cfg: Config{Region: "us-east-1"}}
	const (
		tenant   = "000000000000"
		function = "arn:aws:lambda:us-east-1:000000000000:function:f"
		queue    = "arn:aws:sqs:us-east-1:000000000000:q"
	)
	for _, c := range []struct {
		target millicent.ScheduleTarget
		ok     bool
	}{
		{millicent.ScheduleTarget{ARN: function}, true},
		{millicent.ScheduleTarget{ARN: function + ":live"}, true},
		{millicent.ScheduleTarget{ARN: function + ":$LATEST", Input: `{"a":1}`}, true},
		{millicent.ScheduleTarget{ARN: function, Input: "text"}, false},
		{millicent.ScheduleTarget{ARN: function, Group: "g"}, false},
		{millicent.ScheduleTarget{ARN: queue, Input: "text"}, true},
		{millicent.ScheduleTarget{ARN: queue, Input: strings.Repeat("x", maxInput+1)}, false},
		{millicent.ScheduleTarget{ARN: queue + ".fifo", Group: "g"}, true},
		{millicent.ScheduleTarget{ARN: queue + ".fifo"}, false},
		{millicent.ScheduleTarget{ARN: queue, DeadLetterARN: queue}, true},
		{millicent.ScheduleTarget{ARN: universalInvoke, Input: `{"FunctionName":"f"}`}, true},
		{millicent.ScheduleTarget{ARN: universalInvoke, Input: `{}`}, false},
		{millicent.ScheduleTarget{ARN: universalInvoke}, false},
		{millicent.ScheduleTarget{ARN: universalSend, Input: `{"QueueUrl":"http://x/000000000000/q","MessageBody":"b"}`}, true},
		{millicent.ScheduleTarget{ARN: universalSend, Input: `{"MessageBody":"b"}`}, false},
		{millicent.ScheduleTarget{ARN: "arn:aws:scheduler:::aws-sdk:sqs:purgeQueue", Input: `{}`}, false},
		{millicent.ScheduleTarget{ARN: "arn:aws:states:us-east-1:000000000000:stateMachine:m"}, false},
		{millicent.ScheduleTarget{ARN: "f"}, false},
		// Of others.
		{millicent.ScheduleTarget{ARN: strings.Replace(function, tenant, "000000000001", 1)}, false},
		{millicent.ScheduleTarget{ARN: strings.Replace(function, "us-east-1", "eu-west-1", 1)}, false},
		{millicent.ScheduleTarget{ARN: strings.Replace(queue, tenant, "000000000001", 1)}, false},
		{millicent.ScheduleTarget{ARN: queue, DeadLetterARN: strings.Replace(queue, tenant, "000000000001", 1)}, false},
	} {
		err := s.checkTarget(tenant, c.target)
		if c.ok && err != nil || !c.ok && millicent.ErrorCode(err) != CodeValidation {
			t.Errorf("%.200v: %v", c.target, err)
		}
	}
}

func TestInput(t *testing.T) {
	d := &millicent.Schedule{ID: "id", Tenant: "000000000000", Group: "default", Name: "s"}
	c := call{schedule: d, attempt: 3, region: "us-east-1", tick: tick{Schedule: "id", Time: time.Date(2026, 11, 23, 8, 0, 0, 5, time.UTC)}}
	d.Target.Input = `["<aws.scheduler.schedule-arn>","<aws.scheduler.scheduled-time>","<aws.scheduler.execution-id>","<aws.scheduler.attempt-number>","<aws.scheduler.other>"]`
	want := `["arn:aws:scheduler:us-east-1:000000000000:schedule/default/s","2026-11-23T08:00:00Z","` + c.tick.execution() + `","3","<aws.scheduler.other>"]`
	if got := c.input(); got != want || len(c.tick.execution()) != 16 {
		t.Errorf("got %s, want %s", got, want)
	}
	d.Target.Input = ""
	var event map[string]any
	if err := json.Unmarshal([]byte(c.input()), &event); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{
		"version": "0", "id": c.tick.request(), "detail-type": "Scheduled Event", "source": "aws.scheduler", "account": "000000000000",
		"time": "2026-11-23T08:00:00Z", "region": "us-east-1", "resources": []any{"arn:aws:scheduler:us-east-1:000000000000:schedule/default/s"}, "detail": "{}",
	}, event); diff != "" {
		t.Error(diff)
	}
}

func TestOffsets(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	var sum time.Duration
	const n = 1000
	for i := range n {
		k := tick{Schedule: "id", Time: at.Add(time.Duration(i) * time.Minute)}
		got := k.offset(10 * time.Minute)
		if got < 0 || got >= 10*time.Minute || got != k.offset(10*time.Minute) {
			t.Fatalf("offset %v", got)
		}
		sum += got
	}
	if mean := sum / n; mean < 4*time.Minute+30*time.Second || mean > 5*time.Minute+30*time.Second {
		t.Errorf("the mean of %d offsets within 10 minutes is %v", n, mean)
	}
	if got := (tick{Schedule: "id", Time: at}).offset(0); got != 0 {
		t.Errorf("without a window: %v", got)
	}
}

func FuzzDecodeTick(f *testing.F) {
	f.Add([]byte(`{"format":1,"schedule":"id","time":"2026-11-23T08:00:00Z","missed":1}`))
	f.Add([]byte(`{"format":2,"schedule":"id"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeTick(b)
		if err != nil {
			return
		}
		m, err := got.message(&millicent.Schedule{Tenant: "t", Group: "g", Name: "n"})
		if err != nil {
			t.Fatalf("%+v: %v", got, err) // what was decoded can be encoded
		}
		if again, err := decodeTick(m.Body); err != nil || again.id() != got.id() || again.Missed != got.Missed {
			t.Errorf("%+v became %+v (%v)", got, again, err)
		}
	})
}
