package scheduler

import (
	"context"
	"slices"

	"github.com/millicent-run/millicent"
)

// input decodes and checks the body of CreateSchedule and UpdateSchedule.
func (r *request) input() (*millicent.Schedule, error) {
	in := new(scheduleInput)
	if err := r.decode(in); err != nil {
		return nil, err
	}
	if err := new(check).schedule(in, r.rest); err != nil {
		return nil, err
	}
	return in.schedule(r.tenant, r.rest), nil
}

func (h *Handler) createSchedule(ctx context.Context, r *request) (any, error) {
	d, err := r.input()
	if err != nil {
		return nil, err
	}
	if d, err = h.cfg.Schedules.Create(ctx, d); err != nil {
		return nil, err
	}
	return scheduleARN{d.ARN(h.cfg.Region)}, nil
}

func (h *Handler) updateSchedule(ctx context.Context, r *request) (any, error) {
	d, err := r.input()
	if err != nil {
		return nil, err
	}
	if d, err = h.cfg.Schedules.Update(ctx, d); err != nil {
		return nil, err
	}
	return scheduleARN{d.ARN(h.cfg.Region)}, nil
}

// named returns the group that a request names in its query, checked with the
// name in its path.
func (r *request) named() (group string, err error) {
	var c check
	g := r.query("groupName")
	c.text(&r.rest, "name", nameText)
	c.text(g, "groupName", nameText)
	c.text(r.query("clientToken"), "clientToken", tokenText)
	return value(g, millicent.DefaultScheduleGroup), c.err()
}

func (h *Handler) getSchedule(_ context.Context, r *request) (any, error) {
	group, err := r.named()
	if err != nil {
		return nil, err
	}
	d, err := h.cfg.Schedules.Schedule(r.tenant, group, r.rest)
	if err != nil {
		return nil, err
	}
	return bodyOf(d, h.cfg.Region), nil
}

func (h *Handler) deleteSchedule(ctx context.Context, r *request) (any, error) {
	group, err := r.named()
	if err != nil {
		return nil, err
	}
	return none{}, h.cfg.Schedules.Delete(ctx, r.tenant, group, r.rest)
}

func (h *Handler) listSchedules(_ context.Context, r *request) (any, error) {
	var c check
	p := r.page(&c)
	group, prefix, state := r.query("ScheduleGroup"), r.query("NamePrefix"), r.query("State")
	c.text(group, "groupName", nameText)
	c.text(prefix, "namePrefix", prefixText)
	c.enum(state, "state", enabled, disabled)
	if err := c.err(); err != nil {
		return nil, err
	}
	all, err := h.cfg.Schedules.List(r.tenant, value(group, ""), value(prefix, ""))
	if err != nil {
		return nil, err
	}
	if state != nil {
		all = slices.DeleteFunc(all, func(d *millicent.Schedule) bool { return stateOf(d) != *state })
	}
	list := scheduleList{Schedules: []scheduleSummary{}}
	all, list.NextToken = cut(p, all, func(d *millicent.Schedule) string { return d.Group + "/" + d.Name })
	for _, d := range all {
		list.Schedules = append(list.Schedules, scheduleSummary{
			Arn: d.ARN(h.cfg.Region), CreationDate: stamp(d.Created), LastModificationDate: stamp(d.Modified),
			GroupName: d.Group, Name: d.Name, State: stateOf(d), Target: targetSummary{d.Target.ARN},
		})
	}
	return list, nil
}
