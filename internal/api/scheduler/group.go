package scheduler

import (
	"context"
	"maps"
	"slices"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/schedule"
)

func (h *Handler) createGroup(ctx context.Context, r *request) (any, error) {
	var in groupInput
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	var c check
	c.text(&r.rest, "name", nameText)
	c.text(in.ClientToken, "clientToken", tokenText)
	tags := c.tags(in.Tags)
	if err := c.err(); err != nil {
		return nil, err
	}
	g, err := h.cfg.Schedules.CreateGroup(ctx, &millicent.ScheduleGroup{
		Tenant: r.tenant, Name: r.rest, ClientToken: value(in.ClientToken, ""), Tags: tags,
	})
	if err != nil {
		return nil, err
	}
	return groupARN{g.ARN(h.cfg.Region)}, nil
}

func (h *Handler) getGroup(_ context.Context, r *request) (any, error) {
	if _, err := r.named(); err != nil {
		return nil, err
	}
	g, err := h.cfg.Schedules.Group(r.tenant, r.rest)
	if err != nil {
		return nil, err
	}
	return h.groupBody(g), nil
}

func (h *Handler) groupBody(g *millicent.ScheduleGroup) groupBody {
	b := groupBody{Arn: g.ARN(h.cfg.Region), CreationDate: stampOf(g.Created), LastModificationDate: stampOf(g.Modified), Name: g.Name, State: "ACTIVE"}
	if g.Deleting {
		b.State = "DELETING"
	}
	return b
}

func (h *Handler) deleteGroup(ctx context.Context, r *request) (any, error) {
	if _, err := r.named(); err != nil {
		return nil, err
	}
	return none{}, h.cfg.Schedules.DeleteGroup(ctx, r.tenant, r.rest)
}

func (h *Handler) listGroups(_ context.Context, r *request) (any, error) {
	var c check
	p, prefix := r.page(&c), r.query("NamePrefix")
	c.text(prefix, "namePrefix", prefixText)
	if err := c.err(); err != nil {
		return nil, err
	}
	list := groupList{ScheduleGroups: []groupBody{}}
	all := h.cfg.Schedules.Groups(r.tenant, value(prefix, ""))
	all, list.NextToken = cut(p, all, func(g *millicent.ScheduleGroup) string { return g.Name })
	for _, g := range all {
		list.ScheduleGroups = append(list.ScheduleGroups, h.groupBody(g))
	}
	return list, nil
}

// resource returns the group, and the schedule or "", that a tag operation's
// ARN names.
func (h *Handler) resource(r *request) (group, name string, err error) {
	region, tenant, group, name, ok := millicent.ParseScheduleARN(r.rest)
	if !ok {
		return "", "", millicent.Errorf(schedule.CodeValidation, "%.300s is no ARN of a schedule group or a schedule.", r.rest)
	}
	if region != h.cfg.Region || tenant != r.tenant {
		return "", "", millicent.Errorf(millicent.CodeNotFound, "%.300s does not exist.", r.rest)
	}
	return group, name, nil
}

func (h *Handler) listTags(_ context.Context, r *request) (any, error) {
	group, name, err := h.resource(r)
	if err != nil {
		return nil, err
	}
	tags, err := h.cfg.Schedules.Tags(r.tenant, group, name)
	if err != nil {
		return nil, err
	}
	out := tagsBody{Tags: []tag{}}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		v := tags[k]
		out.Tags = append(out.Tags, tag{&k, &v})
	}
	return out, nil
}

func (h *Handler) tag(ctx context.Context, r *request) (any, error) {
	group, name, err := h.resource(r)
	if err != nil {
		return nil, err
	}
	var in tagsBody
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	var c check
	tags := c.tags(in.Tags)
	if err := c.err(); err != nil {
		return nil, err
	}
	return none{}, h.cfg.Schedules.Tag(ctx, r.tenant, group, name, tags)
}

func (h *Handler) untag(ctx context.Context, r *request) (any, error) {
	group, name, err := h.resource(r)
	if err != nil {
		return nil, err
	}
	return none{}, h.cfg.Schedules.Untag(ctx, r.tenant, group, name, r.URL.Query()["TagKeys"])
}
