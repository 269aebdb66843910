package sqs

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/store"
)

// Kind is the kind of the queues' names in package queue.
const Kind = "sqs"

const (
	maxQueues  = 10_000 // of a tenant
	maxTags    = 50
	purgePause = 60 * time.Second // between purges of a queue
)

// Config gives a Service what it needs. All of it is required, but for Now.
type Config struct {
	Region   string
	Catalog  *store.Catalog[millicent.Queue]
	Messages *queue.Queues
	Now      func() time.Time // default time.Now
}

// A Service is the queue service. It is safe for concurrent use.
type Service struct {
	cfg Config

	mu     sync.Mutex
	purges map[queue.Name]time.Time // the latest of each queue
}

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg, purges: map[queue.Name]time.Time{}}
}

func nameOf(q *millicent.Queue) queue.Name {
	return queue.Name{Kind: Kind, Tenant: q.Tenant, Name: q.Name}
}

var nameForm = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)

func checkName(name string, fifo bool) error {
	switch {
	case name == "":
		return missing("QueueName")
	case fifo && !strings.HasSuffix(name, ".fifo"):
		return invalid("The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.")
	case len(name) > 80 || !nameForm.MatchString(strings.TrimSuffix(name, ".fifo")):
		return invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	case !fifo && strings.HasSuffix(name, ".fifo"):
		return invalid("The queue should have the FifoQueue attribute to have a name that ends with .fifo.")
	}
	return nil
}

// Create makes a queue, or returns the one there is when that has the same
// attributes.
func (s *Service) Create(ctx context.Context, tenant, name string, attributes, tags map[string]string) (*millicent.Queue, error) {
	if err := checkName(name, attributes[attrFIFO] == "true"); err != nil {
		return nil, err
	}
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	if q, ok := s.cfg.Catalog.Get(tenant, name); ok {
		return s.same(q, attributes)
	}
	if len(s.cfg.Catalog.List(tenant)) >= maxQueues {
		return nil, millicent.Errorf(CodeOverLimit, "An account has at most %d queues.", maxQueues)
	}
	q := newQueue(tenant, name, s.cfg.Now().UTC())
	if err := set(q, s.cfg.Region, attributes, s.exists(tenant)); err != nil {
		return nil, err
	}
	q.Tags = maps.Clone(tags)
	err := s.cfg.Catalog.Create(ctx, tenant, name, q)
	if millicent.ErrorCode(err) == millicent.CodeConflict {
		if there, ok := s.cfg.Catalog.Get(tenant, name); ok {
			return s.same(there, attributes)
		}
	}
	return q, err
}

func (s *Service) same(q *millicent.Queue, attributes map[string]string) (*millicent.Queue, error) {
	if name, ok := differs(q, s.cfg.Region, attributes); ok {
		return nil, millicent.Errorf(CodeExists, "A queue already exists with the same name and a different value for attribute %s", name)
	}
	return q, nil
}

func (s *Service) exists(tenant string) func(string) bool {
	return func(name string) bool { _, ok := s.cfg.Catalog.Get(tenant, name); return ok }
}

// Queue returns a queue, from memory.
func (s *Service) Queue(tenant, name string) (*millicent.Queue, error) {
	q, ok := s.cfg.Catalog.Get(tenant, name)
	if !ok {
		return nil, noQueue()
	}
	return q, nil
}

// List returns the tenant's queues whose names begin with prefix, sorted.
func (s *Service) List(tenant, prefix string) []*millicent.Queue {
	return slices.DeleteFunc(s.cfg.Catalog.List(tenant), func(q *millicent.Queue) bool {
		return !strings.HasPrefix(q.Name, prefix)
	})
}

// Sources returns the queues whose dead letters go to q.
func (s *Service) Sources(q *millicent.Queue) []*millicent.Queue {
	return slices.DeleteFunc(s.cfg.Catalog.List(q.Tenant), func(o *millicent.Queue) bool {
		return o.Redrive == nil || o.Redrive.DeadLetter != q.Name
	})
}

// Attributes returns those of q's attributes that are asked for.
func (s *Service) Attributes(q *millicent.Queue, names []string) (map[string]string, error) {
	all := settings(q, s.cfg.Region)
	counts(all, s.Stats(q))
	return choose(all, names)
}

// Stats tells how many messages q has.
func (s *Service) Stats(q *millicent.Queue) queue.Stats { return s.cfg.Messages.Stats(nameOf(q)) }

// SetAttributes changes a queue.
func (s *Service) SetAttributes(ctx context.Context, tenant, name string, attributes map[string]string) error {
	return s.update(ctx, tenant, name, func(q *millicent.Queue) error {
		if _, ok := attributes[attrFIFO]; ok {
			return invalidAttribute(attrFIFO)
		}
		return set(q, s.cfg.Region, attributes, s.exists(tenant))
	})
}

func (s *Service) update(ctx context.Context, tenant, name string, change func(*millicent.Queue) error) error {
	_, err := s.cfg.Catalog.Update(ctx, tenant, name, func(q *millicent.Queue) error {
		q.Modified = s.cfg.Now().UTC()
		return change(q)
	})
	if millicent.ErrorCode(err) == millicent.CodeNotFound {
		return noQueue()
	}
	return err
}

// Delete deletes a queue with all that is in it.
func (s *Service) Delete(ctx context.Context, tenant, name string) error {
	err := s.cfg.Catalog.Delete(ctx, tenant, name)
	if millicent.ErrorCode(err) == millicent.CodeNotFound {
		return noQueue()
	}
	return errors.Join(err, s.cfg.Messages.Drop(ctx, queue.Name{Kind: Kind, Tenant: tenant, Name: name}))
}

// Purge removes all messages of a queue, at most once a minute.
func (s *Service) Purge(ctx context.Context, q *millicent.Queue) error {
	if !s.mayPurge(nameOf(q)) {
		return millicent.Errorf(CodePurging, "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.Name)
	}
	return s.cfg.Messages.Purge(ctx, nameOf(q))
}

func (s *Service) mayPurge(name queue.Name) bool {
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, at := range s.purges {
		if now.Sub(at) >= purgePause {
			delete(s.purges, n)
		}
	}
	if _, ok := s.purges[name]; ok {
		return false
	}
	s.purges[name] = now
	return true
}

// Tag adds tags to a queue.
func (s *Service) Tag(ctx context.Context, tenant, name string, tags map[string]string) error {
	return s.update(ctx, tenant, name, func(q *millicent.Queue) error {
		if q.Tags == nil {
			q.Tags = map[string]string{}
		}
		maps.Copy(q.Tags, tags)
		return checkTags(q.Tags)
	})
}

// Untag removes tags from a queue.
func (s *Service) Untag(ctx context.Context, tenant, name string, keys []string) error {
	return s.update(ctx, tenant, name, func(q *millicent.Queue) error {
		for _, k := range keys {
			delete(q.Tags, k)
		}
		return nil
	})
}

func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return invalid("Too many tags added for queue: at most %d are allowed.", maxTags)
	}
	for k, v := range tags {
		if k == "" || len(k) > 128 || len(v) > 256 {
			return invalid("Tag keys must be between 1 and 128 characters in length, and tag values at most 256.")
		}
	}
	return nil
}
