package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
)

// scheduleLoad is schedules that call a function or a queue, once or each
// minute.
type scheduleLoad struct {
	acked map[string]bool // by name
	n     int
	rates map[string]time.Time // by name: since when
}

const tickInput = `{"name":"%s <aws.scheduler.scheduled-time>"}`

func newScheduleLoad(s *server) *scheduleLoad {
	l := &scheduleLoad{acked: map[string]bool{}, rates: map[string]time.Time{}}
	s.createTelling("ticked")
	for i, target := range []string{"arn:aws:lambda:us-east-1:000000000000:function:ticked", s.queue("ticks")} {
		name := fmt.Sprint("rate-", i)
		l.rates[name] = time.Now()
		s.schedule(name, "rate(1 minute)", target, fmt.Sprintf(tickInput, name), nil)
	}
	return l
}

func (l *scheduleLoad) work(ctx context.Context, c *crashes) {
	client := c.schedules()
	for ctx.Err() == nil {
		n := l.n
		l.n++
		name := fmt.Sprint("once-", n)
		at := time.Now().UTC().Add(2 * time.Second).Truncate(time.Second)
		in := &scheduler.CreateScheduleInput{
			Name: &name, ScheduleExpression: aws.String(at.Format("at(2006-01-02T15:04:05)")),
			FlexibleTimeWindow: &schedulertypes.FlexibleTimeWindow{Mode: schedulertypes.FlexibleTimeWindowModeOff},
			Target: &schedulertypes.Target{
				Arn: aws.String("arn:aws:lambda:us-east-1:000000000000:function:ticked"), RoleArn: aws.String(anyRole),
				Input: aws.String(fmt.Sprintf(tickInput, name)),
			},
			ActionAfterCompletion: schedulertypes.ActionAfterCompletionDelete,
		}
		if n%2 == 1 {
			in.Target.Arn = aws.String("arn:aws:sqs:us-east-1:000000000000:ticks")
		}
		if _, err := client.CreateSchedule(ctx, in); err != nil {
			return // the server is gone, and knows of the schedule or not
		}
		l.acked[name] = true
		time.Sleep(25 * time.Millisecond) // leaves the machine to others
	}
}

// ticksLeft is how many schedules are still to fire, but for those that never
// end.
func (s *server) ticksLeft() (left int) {
	s.t.Helper()
	pages := scheduler.NewListSchedulesPaginator(s.schedules(), &scheduler.ListSchedulesInput{NamePrefix: aws.String("once-")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		left += len(page.Schedules)
	}
	return left
}

func (l *scheduleLoad) worth() int { return len(l.acked) / 3 }

// check expects each tick to have fired once: as one event, or as one message.
func (l *scheduleLoad) check(c *crashes) string {
	fired := map[string]map[string]bool{} // by name and time: the ids of events and messages
	note := func(what, id string) {
		if fired[what] == nil {
			fired[what] = map[string]bool{}
		}
		fired[what][id] = true
	}
	for _, r := range c.told {
		if strings.HasSuffix(r.About, "ticked") {
			note(r.Body, r.ID)
		}
	}
	c.drain("ticks", func(m crashMessage) {
		var in struct{ Name string }
		if err := json.Unmarshal([]byte(m.Body), &in); err != nil {
			c.t.Fatal(err)
		}
		note(in.Name, m.MessageID)
	})
	names, rates := map[string]bool{}, map[string][]string{}
	for what, ids := range fired {
		name, at, _ := strings.Cut(what, " ")
		names[name] = true
		if strings.HasPrefix(name, "rate") {
			rates[name] = append(rates[name], at)
		}
		if len(ids) > 1 {
			c.t.Errorf("%s fired %d times: %v", what, len(ids), slices.Collect(maps.Keys(ids)))
		}
		for id := range ids {
			c.explain(id, 0)
		}
	}
	lost := 0
	for name := range l.acked {
		if !names[name] {
			lost++
			c.t.Errorf("schedule %s never fired", name)
		}
	}
	for name, since := range l.rates {
		slices.Sort(rates[name])
		if want := 1 + int(time.Since(since)/time.Minute); len(rates[name]) != want && len(rates[name]) != want-1 {
			c.t.Errorf("%s fired at %v, within %v", name, rates[name], time.Since(since))
		}
		if _, err := c.schedules().DeleteSchedule(c.t.Context(), &scheduler.DeleteScheduleInput{Name: &name}); err != nil {
			c.t.Error(err)
		}
	}
	return fmt.Sprintf("schedules: %d acknowledged, %d never fired; %d ticks fired", len(l.acked), lost, len(fired))
}
