package schedule

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
)

const maxTags = 50 // of a resource

// CreateGroup makes a group. The same call again, by its ClientToken, returns
// the group that the first one made.
func (s *Service) CreateGroup(ctx context.Context, g *millicent.ScheduleGroup) (*millicent.ScheduleGroup, error) {
	if len(s.cfg.Groups.List(g.Tenant)) >= maxGroups {
		return nil, millicent.Errorf(CodeQuota, "An account has at most %d schedule groups.", maxGroups)
	}
	made := *g
	now := s.cfg.Now().UTC().Truncate(time.Second)
	made.Created, made.Modified, made.Deleting = now, now, false
	var err error
	if made.Tags, err = setTags(nil, g.Tags); err != nil {
		return nil, err
	}
	if g.Name != millicent.DefaultScheduleGroup {
		err = s.cfg.Groups.Create(ctx, g.Tenant, g.Name, &made)
		if millicent.ErrorCode(err) != millicent.CodeConflict {
			return &made, err
		}
		there, ok := s.cfg.Groups.Get(g.Tenant, g.Name)
		if ok && !there.Deleting && g.ClientToken != "" && there.ClientToken == g.ClientToken {
			return there, nil
		}
	}
	return nil, millicent.Errorf(CodeConflict, "Schedule group %s already exists.", g.Name)
}

// Group returns a group, from memory. The default group is always there; it
// is stored once it has tags.
func (s *Service) Group(tenant, name string) (*millicent.ScheduleGroup, error) {
	g, ok := s.cfg.Groups.Get(tenant, name)
	switch {
	case ok:
		return g, nil
	case name == millicent.DefaultScheduleGroup:
		return &millicent.ScheduleGroup{Tenant: tenant, Name: name}, nil
	}
	return nil, noGroup(name)
}

func noGroup(name string) error {
	return millicent.Errorf(millicent.CodeNotFound, "Schedule group %s does not exist.", name)
}

// active returns a group that schedules may be put into.
func (s *Service) active(tenant, name string) (*millicent.ScheduleGroup, error) {
	g, err := s.Group(tenant, name)
	if err == nil && g.Deleting {
		return nil, millicent.Errorf(CodeConflict, "Schedule group %s is being deleted.", name)
	}
	return g, err
}

// Groups returns the tenant's groups whose names begin with prefix, by name.
func (s *Service) Groups(tenant, prefix string) []*millicent.ScheduleGroup {
	all := s.cfg.Groups.List(tenant)
	if _, ok := s.cfg.Groups.Get(tenant, millicent.DefaultScheduleGroup); !ok {
		all = append(all, &millicent.ScheduleGroup{Tenant: tenant, Name: millicent.DefaultScheduleGroup})
	}
	all = slices.DeleteFunc(all, func(g *millicent.ScheduleGroup) bool { return !strings.HasPrefix(g.Name, prefix) })
	slices.SortFunc(all, func(a, b *millicent.ScheduleGroup) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// DeleteGroup deletes a group with all its schedules. When it fails on the
// way, the group stays as one that is being deleted, and the next call, or
// the next start, goes on.
func (s *Service) DeleteGroup(ctx context.Context, tenant, name string) error {
	if name == millicent.DefaultScheduleGroup {
		return millicent.Errorf(CodeValidation, "The schedule group %s cannot be deleted.", name)
	}
	s.groups.Lock()
	defer s.groups.Unlock()
	_, err := s.cfg.Groups.Update(ctx, tenant, name, func(g *millicent.ScheduleGroup) error {
		g.Deleting = true
		return nil
	})
	if millicent.ErrorCode(err) == millicent.CodeNotFound {
		return noGroup(name)
	}
	if err != nil {
		return err
	}
	for _, d := range s.cfg.Schedules.List(tenant) {
		if d.Group != name {
			continue
		}
		if err := s.remove(ctx, tenant, name, d.Name); err != nil && millicent.ErrorCode(err) != millicent.CodeNotFound {
			return err
		}
	}
	return s.cfg.Groups.Delete(ctx, tenant, name)
}

// sweep ends what a crash left half deleted: groups, and the state of
// schedules that are gone.
func (s *Service) sweep(ctx context.Context) error {
	var errs []error
	for _, g := range s.cfg.Groups.All() {
		if g.Deleting {
			errs = append(errs, s.DeleteGroup(ctx, g.Tenant, g.Name))
		}
	}
	for _, st := range s.cfg.States.All() {
		if d, ok := s.cfg.Schedules.Get(st.Tenant, key(st.Group, st.Name)); !ok || d.ID != st.ID {
			errs = append(errs, s.cfg.States.Delete(ctx, st.Tenant, key(st.Group, st.Name)))
		}
	}
	return errors.Join(errs...)
}

// Tags returns the tags of a group, or of a schedule when name is not empty.
func (s *Service) Tags(tenant, group, name string) (map[string]string, error) {
	if name == "" {
		g, err := s.Group(tenant, group)
		if err != nil {
			return nil, err
		}
		return g.Tags, nil
	}
	d, err := s.Schedule(tenant, group, name)
	if err != nil {
		return nil, err
	}
	return d.Tags, nil
}

// Tag adds tags to a group, or to a schedule when name is not empty.
func (s *Service) Tag(ctx context.Context, tenant, group, name string, tags map[string]string) error {
	return s.changeTags(ctx, tenant, group, name, func(there map[string]string) (map[string]string, error) {
		return setTags(there, tags)
	})
}

// Untag removes tags from a group, or from a schedule when name is not empty.
func (s *Service) Untag(ctx context.Context, tenant, group, name string, keys []string) error {
	return s.changeTags(ctx, tenant, group, name, func(there map[string]string) (map[string]string, error) {
		there = maps.Clone(there)
		for _, k := range keys {
			delete(there, k)
		}
		return there, nil
	})
}

func (s *Service) changeTags(ctx context.Context, tenant, group, name string, change func(map[string]string) (map[string]string, error)) error {
	if name != "" {
		_, err := s.cfg.Schedules.Update(ctx, tenant, key(group, name), func(d *millicent.Schedule) (err error) {
			d.Tags, err = change(d.Tags)
			return err
		})
		return missing(err, name)
	}
	_, err := s.cfg.Groups.Update(ctx, tenant, group, func(g *millicent.ScheduleGroup) (err error) {
		g.Tags, err = change(g.Tags)
		return err
	})
	if millicent.ErrorCode(err) != millicent.CodeNotFound {
		return err
	}
	if group != millicent.DefaultScheduleGroup {
		return noGroup(group)
	}
	g := &millicent.ScheduleGroup{Tenant: tenant, Name: group, Created: s.cfg.Now().UTC().Truncate(time.Second)}
	g.Modified = g.Created
	if g.Tags, err = change(nil); err != nil {
		return err
	}
	return s.cfg.Groups.Create(ctx, tenant, group, g)
}
