package eventsource

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
	"github.com/millicent-run/millicent/internal/store"
)

const maxMappings = 10_000 // of a tenant

// Invoker runs invocations. *invoke.Invoker is one.
type Invoker interface {
	Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error)
}

// Config gives a Service what it needs. All of it is required, but for Now.
type Config struct {
	Region  string
	Catalog *store.Catalog[millicent.Mapping]
	Queues  *sqs.Service
	Store   *store.Store
	Invoker Invoker
	Now     func() time.Time // default time.Now
	Log     *slog.Logger
}

// A Service keeps mappings and runs those that are enabled, from Start to
// Close. It is safe for concurrent use.
type Service struct {
	cfg Config

	life    context.Context // ends when nothing is taken any more
	endLife context.CancelFunc
	work    sync.WaitGroup

	mu      sync.Mutex
	started bool
	closed  bool
	runs    map[string]*run // by id
}

// New returns a Service. Start it.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{cfg: cfg, runs: map[string]*run{}}
	s.life, s.endLife = context.WithCancel(context.Background())
	return s
}

// Start begins to run the mappings that are enabled.
func (s *Service) Start() {
	s.cfg.Catalog.OnChange(s.changed)
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
	for _, m := range s.cfg.Catalog.All() {
		s.changed(nil, m)
	}
}

// changed starts, restarts or stops what a mapping runs.
func (s *Service) changed(before, after *millicent.Mapping) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started || s.closed || before != nil && after != nil && before.Modified.Equal(after.Modified) {
		return // only tags are other ones
	}
	m := after
	if m == nil {
		m = before
	}
	if r := s.runs[m.ID]; r != nil {
		r.stop()
		delete(s.runs, m.ID)
	}
	if after == nil || !after.Enabled {
		return
	}
	r := newRun(s, after)
	s.runs[m.ID] = r
	s.work.Go(func() { r.work(newQueueRun(r)) })
}

// Close stops taking messages, and returns when the batches that run have
// ended, or ctx has.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for _, r := range s.runs {
		r.stop()
	}
	s.mu.Unlock()
	s.endLife()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.work.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("batches of event source mappings are still running: %w", ctx.Err())
	}
}

// Create stores a new mapping, with an id of its own, and returns it.
func (s *Service) Create(ctx context.Context, m *millicent.Mapping) (*millicent.Mapping, error) {
	if err := s.check(m); err != nil {
		return nil, err
	}
	list := s.cfg.Catalog.List(m.Tenant)
	for _, o := range list {
		if o.Source == m.Source && o.Function == m.Function && o.Qualifier == m.Qualifier {
			return nil, millicent.Errorf(millicent.CodeConflict, "An event source mapping with SQS arn (\" %s \") and function (\" %s \") already exists. "+
				"Please update or delete the existing mapping with UUID %s", m.Source, m.Function, o.ID)
		}
	}
	if len(list) >= maxMappings {
		return nil, invalid("An account has at most %d event source mappings.", maxMappings)
	}
	c := *m
	c.ID, c.Modified = uuid.NewString(), s.cfg.Now().UTC()
	return &c, s.cfg.Catalog.Create(ctx, c.Tenant, c.ID, &c)
}

// Mapping returns a mapping; CodeNotFound when there is none.
func (s *Service) Mapping(tenant, id string) (*millicent.Mapping, error) {
	m, ok := s.cfg.Catalog.Get(tenant, id)
	if !ok {
		return nil, millicent.Errorf(millicent.CodeNotFound, "The resource you requested does not exist.")
	}
	return m, nil
}

// List returns a tenant's mappings by id.
func (s *Service) List(tenant string) []*millicent.Mapping { return s.cfg.Catalog.List(tenant) }

// Update changes a mapping and returns it.
func (s *Service) Update(ctx context.Context, tenant, id string, change func(*millicent.Mapping) error) (*millicent.Mapping, error) {
	if _, err := s.Mapping(tenant, id); err != nil {
		return nil, err
	}
	return s.cfg.Catalog.Update(ctx, tenant, id, func(m *millicent.Mapping) error {
		m.Modified = s.cfg.Now().UTC()
		if err := change(m); err != nil {
			return err
		}
		return s.check(m)
	})
}

// Tag changes a mapping's tags, which what it does has nothing to do with.
func (s *Service) Tag(ctx context.Context, tenant, id string, edit func(tags map[string]string) (map[string]string, error)) error {
	_, err := s.cfg.Catalog.Update(ctx, tenant, id, func(m *millicent.Mapping) (err error) {
		m.Tags, err = edit(m.Tags)
		return err
	})
	return err
}

// Delete deletes a mapping and returns what it was. Batches that run go on.
func (s *Service) Delete(ctx context.Context, tenant, id string) (*millicent.Mapping, error) {
	m, err := s.Mapping(tenant, id)
	if err != nil {
		return nil, err
	}
	return m, s.cfg.Catalog.Delete(ctx, tenant, id)
}

// Working reports whether an enabled mapping's last batch failed, as a
// sentence; empty when all is well.
func (s *Service) Working(m *millicent.Mapping) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.runs[m.ID]; r != nil {
		return r.problem()
	}
	return ""
}

func invalid(format string, args ...any) error {
	return millicent.Errorf(millicent.CodeInvalid, format, args...)
}

// check checks a mapping as a whole.
func (s *Service) check(m *millicent.Mapping) error {
	region, tenant, name, ok := millicent.ParseQueueARN(m.Source)
	if !ok || region != s.cfg.Region || tenant != m.Tenant {
		return invalid("Unrecognized event source.")
	}
	v, err := s.cfg.Store.Resolve(m.Tenant, m.Function, m.Qualifier, 0)
	if err != nil {
		return invalid("Function does not exist")
	}
	q, err := s.cfg.Queues.Queue(m.Tenant, name)
	if err != nil {
		return invalid("Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist.")
	}
	switch {
	case m.BatchSize > 10 && m.Window == 0 && !q.FIFO():
		return invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
	case q.FIFO() && m.BatchSize > 10:
		return invalid("Batch size must be between 1 and 10 for FIFO queues")
	case q.FIFO() && m.Window > 0:
		return invalid("Batching window is not supported for FIFO queues")
	case q.Visibility < v.Timeout:
		return invalid("Invalid request provided: Queue visibility timeout: %d seconds is less than Function timeout: %d seconds",
			int(q.Visibility/time.Second), int(v.Timeout/time.Second))
	case len(m.Filters) > 5:
		return invalid("Invalid filter pattern definition.")
	}
	_, err = parseFilters(m.Filters)
	return err
}

func parseFilters(texts []string) (filters []*Pattern, err error) {
	for _, text := range texts {
		p, err := ParsePattern(text)
		if err != nil {
			return nil, &millicent.Error{Code: millicent.CodeInvalid, Message: "Invalid filter pattern definition.", Err: err}
		}
		filters = append(filters, p)
	}
	return filters, nil
}
