package schedule

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/store"
)

// Codes of errors, as the EventBridge Scheduler API names them. What does not
// exist has millicent.CodeNotFound.
const (
	CodeValidation = "ValidationException"
	CodeConflict   = "ConflictException"
	CodeQuota      = "ServiceQuotaExceededException"
)

// Kind is the kind of the names of the queues that hold ticks.
const Kind = "schedule"

// Bounds of a tenant.
const (
	maxSchedules  = 100_000
	maxBytes      = 256 << 20 // of the schedules' inputs
	maxGroups     = 500
	startLeniency = 5 * time.Minute // how far in the past a new StartDate may be
)

// Config gives a Service what it needs. All of it is required, but for Now.
type Config struct {
	Region    string
	Schedules *store.Catalog[millicent.Schedule]
	Groups    *store.Catalog[millicent.ScheduleGroup]
	States    *store.Catalog[State]
	Messages  *queue.Queues
	Now       func() time.Time // default time.Now
}

// A State is what is known of a schedule's past.
type State struct {
	ID     string    `json:"id"` // of the schedule, like the next three
	Tenant string    `json:"tenant"`
	Group  string    `json:"group"`
	Name   string    `json:"name"`
	Last   time.Time `json:"last,omitzero"`    // the latest tick that was run
	Missed int       `json:"missed,omitempty"` // ticks that were skipped, until Last
	Failed *Failure  `json:"failed,omitempty"` // the latest tick that was given up
}

// A Failure tells of a tick whose target could not be called.
type Failure struct {
	Tick    time.Time `json:"tick"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
}

// A Service keeps the definitions of schedules. It is safe for concurrent use.
type Service struct {
	cfg Config

	groups sync.RWMutex // held over the deletion of a group, read-held over changes of schedules

	mu   sync.Mutex
	used map[string]*usage // by tenant
}

type usage struct{ schedules, bytes int }

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{cfg: cfg, used: map[string]*usage{}}
	cfg.Schedules.OnChange(s.count)
	for _, d := range cfg.Schedules.All() {
		s.count(nil, d)
	}
	return s
}

func (s *Service) count(before, after *millicent.Schedule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for of, sign := range map[*millicent.Schedule]int{before: -1, after: 1} {
		if of == nil {
			continue
		}
		u := s.used[of.Tenant]
		if u == nil {
			u = new(usage)
			s.used[of.Tenant] = u
		}
		u.schedules += sign
		u.bytes += sign * len(of.Target.Input)
	}
}

// room refuses what would be more than a tenant may have.
func (s *Service) room(tenant string, schedules, bytes int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.used[tenant]
	if u == nil || u.schedules+schedules <= maxSchedules && u.bytes+bytes <= maxBytes {
		return nil
	}
	return millicent.Errorf(CodeQuota, "An account has at most %d schedules, whose inputs have at most %d bytes.", maxSchedules, maxBytes)
}

func key(group, name string) string { return group + "/" + name }

// queueOf returns the queue of a schedule's ticks.
func queueOf(d *millicent.Schedule) queue.Name {
	return queue.Name{Kind: Kind, Tenant: d.Tenant, Name: key(d.Group, d.Name)}
}

// Create makes a schedule and returns it. Of d, what a caller of the API says
// is taken. The same call again, by its ClientToken, returns the schedule that
// the first one made.
func (s *Service) Create(ctx context.Context, d *millicent.Schedule) (*millicent.Schedule, error) {
	s.groups.RLock()
	defer s.groups.RUnlock()
	if _, err := s.active(d.Tenant, d.Group); err != nil {
		return nil, err
	}
	made := *d
	now := s.cfg.Now().UTC().Truncate(time.Second)
	made.ID, made.Created, made.Modified, made.Anchor, made.Since, made.Tags = uuid.NewString(), now, now, now, now, nil
	if err := s.check(nil, &made); err != nil {
		return nil, err
	}
	if err := s.room(d.Tenant, 1, len(d.Target.Input)); err != nil {
		return nil, err
	}
	err := s.cfg.Schedules.Create(ctx, d.Tenant, key(d.Group, d.Name), &made)
	if millicent.ErrorCode(err) != millicent.CodeConflict {
		return &made, err
	}
	there, ok := s.cfg.Schedules.Get(d.Tenant, key(d.Group, d.Name))
	if ok && d.ClientToken != "" && there.ClientToken == d.ClientToken {
		return there, nil
	}
	return nil, millicent.Errorf(CodeConflict, "Schedule %s already exists.", d.Name)
}

// Update replaces what a caller of the API says of a schedule.
func (s *Service) Update(ctx context.Context, d *millicent.Schedule) (*millicent.Schedule, error) {
	s.groups.RLock()
	defer s.groups.RUnlock()
	now := s.cfg.Now().UTC().Truncate(time.Second)
	changed, err := s.cfg.Schedules.Update(ctx, d.Tenant, key(d.Group, d.Name), func(there *millicent.Schedule) error {
		before, after := *there, *d
		after.ID, after.Created, after.Modified = before.ID, before.Created, now
		after.Tags, after.ClientToken = before.Tags, before.ClientToken
		after.Anchor, after.Since = before.Anchor, before.Since
		if before.Expression != d.Expression || before.Zone != d.Zone || !before.Start.Equal(d.Start) {
			after.Anchor, after.Since = now, now
		} else if before.Paused && !d.Paused {
			after.Since = now
		}
		if err := s.check(&before, &after); err != nil {
			return err
		}
		if err := s.room(d.Tenant, 0, len(d.Target.Input)-len(before.Target.Input)); err != nil {
			return err
		}
		*there = after
		return nil
	})
	return changed, missing(err, d.Name)
}

// check refuses what can't be a schedule. before is what it is to replace.
func (s *Service) check(before, d *millicent.Schedule) error {
	e, err := parse(d.Expression, d.Zone)
	if err != nil {
		return err
	}
	if err := s.checkTarget(d.Tenant, d.Target); err != nil {
		return err
	}
	if e.once() {
		return nil // Start and End are ignored
	}
	switch {
	case !d.Start.IsZero() && (before == nil || !before.Start.Equal(d.Start)) && d.Modified.Sub(d.Start) > startLeniency:
		return millicent.Errorf(CodeValidation, "The StartDate you specify cannot be earlier than 5 minutes ago.")
	case !d.End.IsZero() && (before == nil || !before.End.Equal(d.End)) && d.End.Before(d.Modified):
		return millicent.Errorf(CodeValidation, "The EndDate you specify cannot be in the past.")
	case !d.Start.IsZero() && !d.End.IsZero() && !d.End.After(d.Start):
		return millicent.Errorf(CodeValidation, "The EndDate you specify must come after the StartDate.")
	}
	return nil
}

// Schedule returns a schedule, from memory.
func (s *Service) Schedule(tenant, group, name string) (*millicent.Schedule, error) {
	d, ok := s.cfg.Schedules.Get(tenant, key(group, name))
	if !ok {
		return nil, noSchedule(name)
	}
	return d, nil
}

func noSchedule(name string) error {
	return millicent.Errorf(millicent.CodeNotFound, "Schedule %s does not exist.", name)
}

// missing gives an error about what does not exist its message.
func missing(err error, name string) error {
	if millicent.ErrorCode(err) == millicent.CodeNotFound {
		return noSchedule(name)
	}
	return err
}

// Delete deletes a schedule, and its ticks that were not run.
func (s *Service) Delete(ctx context.Context, tenant, group, name string) error {
	s.groups.RLock()
	defer s.groups.RUnlock()
	return s.remove(ctx, tenant, group, name)
}

func (s *Service) remove(ctx context.Context, tenant, group, name string) error {
	if err := s.cfg.Schedules.Delete(ctx, tenant, key(group, name)); err != nil {
		return missing(err, name)
	}
	err := s.cfg.States.Delete(ctx, tenant, key(group, name))
	if millicent.ErrorCode(err) == millicent.CodeNotFound {
		err = nil // it never ran
	}
	return errors.Join(err, s.cfg.Messages.Drop(ctx, queue.Name{Kind: Kind, Tenant: tenant, Name: key(group, name)}))
}

// List returns the tenant's schedules by group and name: those of a group,
// unless it is empty, whose names begin with prefix.
func (s *Service) List(tenant, group, prefix string) ([]*millicent.Schedule, error) {
	if group != "" {
		if _, err := s.Group(tenant, group); err != nil {
			return nil, err
		}
	}
	var found []*millicent.Schedule
	for _, d := range s.cfg.Schedules.List(tenant) {
		if (group == "" || d.Group == group) && strings.HasPrefix(d.Name, prefix) {
			found = append(found, d)
		}
	}
	return found, nil
}

// State returns what is known of a schedule's past, from memory.
func (s *Service) State(d *millicent.Schedule) State {
	st, ok := s.cfg.States.Get(d.Tenant, key(d.Group, d.Name))
	if !ok || st.ID != d.ID {
		return newState(d)
	}
	return *st
}

// setState changes what is known of a schedule's past, and returns when it is
// durable.
func (s *Service) setState(ctx context.Context, d *millicent.Schedule, change func(*State)) error {
	name := key(d.Group, d.Name)
	_, err := s.cfg.States.Update(ctx, d.Tenant, name, func(st *State) error {
		if st.ID != d.ID {
			*st = newState(d)
		}
		change(st)
		return nil
	})
	if millicent.ErrorCode(err) != millicent.CodeNotFound {
		return err
	}
	st := newState(d)
	change(&st)
	return s.cfg.States.Create(ctx, d.Tenant, name, &st)
}

func newState(d *millicent.Schedule) State {
	return State{ID: d.ID, Tenant: d.Tenant, Group: d.Group, Name: d.Name}
}

// CatchUpOf returns how a schedule catches up.
func (s *Service) CatchUpOf(d *millicent.Schedule) CatchUp {
	e, err := parse(d.Expression, d.Zone)
	if err != nil {
		return CatchUpNone
	}
	return s.catchUp(d, e)
}

func (s *Service) catchUp(d *millicent.Schedule, e *expression) CatchUp {
	var of map[string]string
	if g, err := s.Group(d.Tenant, d.Group); err == nil {
		of = g.Tags
	}
	return catchUp(e, d.Tags, of)
}

// setTags returns tags with others added, or says why it can't.
func setTags(tags, add map[string]string) (map[string]string, error) {
	tags = maps.Clone(tags)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, add)
	switch how, ok := tags[CatchUpTag]; {
	case ok && !CatchUp(how).Valid():
		return nil, millicent.Errorf(CodeValidation, "The tag %s has to be %s, %s or %s.", CatchUpTag, CatchUpNone, CatchUpLatest, CatchUpAll)
	case len(tags) > maxTags:
		return nil, millicent.Errorf(CodeQuota, "A resource has at most %d tags.", maxTags)
	}
	return tags, nil
}
