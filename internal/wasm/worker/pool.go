package worker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/millicent-run/millicent/internal/sandbox"
	"github.com/millicent-run/millicent/internal/wasm"
)

// Config says how workers are run. Zero values take the defaults.
type Config struct {
	Sandboxes *sandbox.Host // not the Pool's to close
	CacheDir  string        // where compiled code is kept, by tenant
	CacheSize int64         // bytes of a tenant's; default 1 GB

	Memory int64   // bytes that a worker may have in all; default half of the machine's
	CPU    float64 // cores; zero means no limit
	Tmp    int64   // bytes of unpacked packages in a worker; default 4 GB

	Keep  time.Duration // how long a worker without sessions stays; default 5 minutes
	Grace time.Duration // how much longer than its deadline a request may last before the worker is killed; default 5 s

	Log *slog.Logger
}

// unknownMemory is what a worker may have where the kernel does not say how much
// there is, in bytes.
const unknownMemory = 512 << 20

func (c *Config) defaults() {
	if c.CacheSize == 0 {
		c.CacheSize = 1 << 30
	}
	if c.Memory == 0 {
		total, _ := c.Sandboxes.Memory()
		c.Memory = cmp.Or(total/2, unknownMemory)
	}
	if c.Tmp == 0 {
		c.Tmp = 4 << 30
	}
	if c.Keep == 0 {
		c.Keep = 5 * time.Minute
	}
	if c.Grace == 0 {
		c.Grace = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// A Pool has the workers of a server. It is safe for concurrent use.
type Pool struct {
	cfg Config

	mu     sync.Mutex
	closed bool
	hosts  map[string]*Host
}

// NewPool returns a Pool. Close it.
func NewPool(cfg Config) (*Pool, error) {
	cfg.defaults()
	var err error
	if cfg.CacheDir, err = filepath.Abs(cfg.CacheDir); err == nil {
		err = os.MkdirAll(cfg.CacheDir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("keep compiled code: %w", err)
	}
	return &Pool{cfg: cfg, hosts: map[string]*Host{}}, nil
}

// tenants are what names a directory of the cache.
var tenants = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

var errClosed = errors.New("the hosts of WebAssembly programs are closed")

// Host returns the Host of a tenant, always the same. It is the Pool's to
// close. No worker runs before the first Open or Prepare.
func (p *Pool) Host(tenant string) (wasm.Host, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	h := p.hosts[tenant]
	if h == nil {
		if !tenants.MatchString(tenant) {
			return nil, fmt.Errorf("%.100q is no tenant", tenant)
		}
		h = &Host{
			cfg:   &p.cfg,
			cache: &cache{dir: filepath.Join(p.cfg.CacheDir, tenant), size: p.cfg.CacheSize},
			log:   p.cfg.Log.With("tenant", tenant),
		}
		h.compiler = newCompiler(h)
		p.hosts[tenant] = h
	}
	return h, nil
}

// Close ends all workers and returns once nothing is left of them. It is
// idempotent.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	hosts := make([]*Host, 0, len(p.hosts))
	for _, h := range p.hosts {
		hosts = append(hosts, h)
	}
	p.mu.Unlock()
	errs := make([]error, len(hosts))
	var wg sync.WaitGroup
	for i, h := range hosts {
		wg.Go(func() { errs[i] = h.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
