package server

import (
	"context"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/api/native"
	"github.com/millicent-run/millicent/internal/schedule"
	"github.com/millicent-run/millicent/internal/store"
)

// startSchedules opens the schedules' definitions and runs the schedules from
// now on.
func (s *server) startSchedules(ctx context.Context) error {
	definitions, err := openCatalog[millicent.Schedule](ctx, s, "schedules")
	if err != nil {
		return err
	}
	groups, err := openCatalog[millicent.ScheduleGroup](ctx, s, "schedule-groups")
	if err != nil {
		return err
	}
	states, err := openCatalog[schedule.State](ctx, s, "schedule-states")
	if err != nil {
		return err
	}
	s.schedules = schedule.New(schedule.Config{
		Region: s.cfg.Region, Schedules: definitions, Groups: groups, States: states, Messages: s.queues,
	})
	s.scheduling, err = schedule.Start(ctx, schedule.EngineConfig{
		Region: s.cfg.Region, Service: s.schedules, Messages: s.queues, Queues: s.sqs, Invoker: s.events, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.built.push("schedules", func(context.Context) error { s.scheduling.Close(); return nil })
	return nil
}

func openCatalog[T any](ctx context.Context, s *server, bucket string) (*store.Catalog[T], error) {
	c, err := store.OpenCatalog[T](ctx, s.js, bucket, s.log)
	if err == nil {
		s.built.push(bucket, func(context.Context) error { return c.Close() })
	}
	return c, err
}

// scheduleStatus tells where a schedule stands.
func (s *server) scheduleStatus(tenant, group, name string, times int) (*native.ScheduleStatus, error) {
	d, err := s.schedules.Schedule(tenant, group, name)
	if err != nil {
		return nil, err
	}
	st := s.scheduling.Status(d, times)
	status := &native.ScheduleStatus{
		Group: group, Name: name, Paused: d.Paused, CatchUp: string(st.CatchUp),
		Last: st.Last, Missed: st.Missed, Waiting: st.Waiting, Next: st.Next,
	}
	if f := st.Failed; f != nil {
		status.Failed = &native.ScheduleFailure{Time: f.Tick, Code: f.Code, Message: f.Message}
	}
	return status, nil
}
