package eventsource

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
	"github.com/millicent-run/millicent/internal/store"
)

const maxMappings = 10_000 // of a tenant

// Invoker runs invocations. *invoke.Invoker is one.
type Invoker interface {
	Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error)
	Affords(ctx context.Context, inv *millicent.Invocation) error // says what speaks against it now
}

// Events runs Event invocations. *async.Events is one.
type Events interface {
	// Enqueue accepts an Event invocation and returns when it is durable.
	Enqueue(ctx context.Context, inv *millicent.Invocation) error

	// Abandon keeps what a mapping gave up, and returns when that is durable.
	Abandon(ctx context.Context, inv *millicent.Invocation, a millicent.Abandoned) error
}

// Config gives a Service what it needs. All of it is required, but for Now.
type Config struct {
	Region  string
	Catalog *store.Catalog[millicent.Mapping]
	Queues  *sqs.Service
	Store   *store.Store
	Invoker Invoker
	Events  Events

	// Conn is a connection to the server that has the platform's own subjects,
	// see millicent.DestinationSubject.
	Conn *nats.Conn

	// Dial connects to host:port where a function with an egress allow-list
	// may connect to, for NATS servers.
	Dial func(ctx context.Context, allow []string, address string) (net.Conn, error)

	Now func() time.Time // default time.Now
	Log *slog.Logger
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
	runs    map[string]*run // by id, the latest of each mapping, also when it has ended
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
	previous := s.runs[m.ID]
	if previous != nil {
		previous.stop()
	}
	switch {
	case after == nil:
		delete(s.runs, m.ID)
		s.work.Go(func() { s.forget(m, previous) })
	case after.Enabled:
		r := newRun(s, after)
		s.runs[m.ID] = r
		s.work.Go(func() { r.work(previous) })
	}
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
			return nil, exists(o)
		}
	}
	if len(list) >= maxMappings {
		return nil, invalid("An account has at most %d event source mappings.", maxMappings)
	}
	c := *m
	c.ID, c.Created = uuid.NewString(), s.cfg.Now().UTC()
	c.Modified = c.Created
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

// Result says how an enabled mapping's latest batch went, or what is wrong; of
// a queue's it is empty when all is well.
func (s *Service) Result(m *millicent.Mapping) string {
	s.mu.Lock()
	r := s.runs[m.ID]
	s.mu.Unlock()
	if r == nil || r.ctx.Err() != nil {
		r = newRun(s, m) // it has done nothing
		r.stop()
	}
	return r.result()
}
