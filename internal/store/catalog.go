package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

// MaxDefinition bounds an encoded definition, in bytes.
const MaxDefinition = 1 << 20

const maxNameBytes = 512 // of a definition

// A Catalog keeps the definitions of one kind (queues, schedules, …) in a
// bucket of its own and in memory, by tenant and name. A name is any text of 1
// to 512 bytes. It is safe for concurrent use.
//
// Values handed out are shared and must not be modified.
type Catalog[T any] struct {
	table *table

	mu    sync.RWMutex
	items map[string]*definition[T] // by key
	hooks []func(before, after *T)
	ready bool // hooks are called from now on
}

// definition is a stored definition; it never changes.
type definition[T any] struct {
	Format int    `json:"format"`
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
	Value  *T     `json:"value"`

	revision uint64
}

// OpenCatalog opens the catalog in a bucket, which it makes if need be, and
// loads it. ctx bounds the opening alone. Close it.
func OpenCatalog[T any](ctx context.Context, js jetstream.JetStream, bucket string, log *slog.Logger) (*Catalog[T], error) {
	c := &Catalog[T]{items: make(map[string]*definition[T])}
	var err error
	c.table, err = openTable(ctx, js, bucket, c.apply, func(err error) {
		log.Error("stored definition not understood, keeping the one before", "bucket", bucket, "error", err)
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = true
	return c, nil
}

// Close ends the mirroring.
func (c *Catalog[T]) Close() error { return c.table.close() }

// OnChange calls f after each change, in order, with the value before (nil
// when created) and after (nil when deleted). f must not block, and has
// returned when the call that made the change returns.
func (c *Catalog[T]) OnChange(f func(before, after *T)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, f)
}

func (c *Catalog[T]) apply(e entry) error {
	var d *definition[T]
	if e.value != nil {
		d = &definition[T]{revision: e.revision}
		if err := decode(e.value, d, &d.Format); err != nil {
			return fmt.Errorf("value of %s: %w", e.key, err)
		}
		if d.Value == nil || definitionKey(d.Tenant, d.Name) != e.key {
			return fmt.Errorf("value of %s: it is of another name", e.key)
		}
	}
	c.mu.Lock()
	before := c.items[e.key]
	if d == nil {
		delete(c.items, e.key)
	} else {
		c.items[e.key] = d
	}
	hooks := c.hooks
	if !c.ready || before == nil && d == nil {
		hooks = nil
	}
	c.mu.Unlock()
	for _, hook := range hooks {
		hook(before.get(), d.get())
	}
	return nil
}

func (d *definition[T]) get() *T {
	if d == nil {
		return nil
	}
	return d.Value
}

// Get returns a definition, from memory; ok is false when there is none.
func (c *Catalog[T]) Get(tenant, name string) (_ *T, ok bool) {
	d := c.find(definitionKey(tenant, name))
	return d.get(), d != nil
}

func (c *Catalog[T]) find(key string) *definition[T] {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.items[key]
}

// List returns a tenant's definitions sorted by name, from memory.
func (c *Catalog[T]) List(tenant string) []*T {
	return c.list(func(d *definition[T]) bool { return d.Tenant == tenant })
}

// All returns the definitions of all tenants sorted by tenant and name, from
// memory.
func (c *Catalog[T]) All() []*T { return c.list(func(*definition[T]) bool { return true }) }

func (c *Catalog[T]) list(want func(*definition[T]) bool) []*T {
	c.mu.RLock()
	var found []*definition[T]
	for _, d := range c.items {
		if want(d) {
			found = append(found, d)
		}
	}
	c.mu.RUnlock()
	slices.SortFunc(found, func(a, b *definition[T]) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Name, b.Name))
	})
	values := make([]*T, len(found))
	for i, d := range found {
		values[i] = d.Value
	}
	return values
}

// Create stores a new definition and returns when it is durable; CodeConflict
// when the name is taken.
func (c *Catalog[T]) Create(ctx context.Context, tenant, name string, value *T) error {
	encoded, err := encodeDefinition(tenant, name, value)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	err = c.table.create(ctx, definitionKey(tenant, name), encoded)
	if errors.Is(err, errExists) {
		return millicent.Errorf(millicent.CodeConflict, "%s exists already.", name)
	}
	return err
}

// Update changes a copy of a definition with change, stores it, and returns it
// when it is durable. change may be called several times, and its error is
// Update's. CodeNotFound when there is no such definition.
func (c *Catalog[T]) Update(ctx context.Context, tenant, name string, change func(*T) error) (*T, error) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	key := definitionKey(tenant, name)
	for range maxAttempts {
		current := c.find(key)
		if current == nil {
			return nil, noDefinition(name)
		}
		value, err := deepCopy(current.Value)
		if err == nil {
			err = change(value)
		}
		if err != nil {
			return nil, err
		}
		encoded, err := encodeDefinition(tenant, name, value)
		if err != nil {
			return nil, err
		}
		err = c.table.update(ctx, key, encoded, current.revision)
		if !errors.Is(err, errConflict) {
			return value, err
		}
		if err := c.table.awaitChange(ctx); err != nil {
			return nil, err
		}
	}
	return nil, millicent.Errorf(millicent.CodeConflict, "%s is being changed by others.", name)
}

// Delete removes a definition and returns when that is durable; CodeNotFound
// when there is none.
func (c *Catalog[T]) Delete(ctx context.Context, tenant, name string) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	key := definitionKey(tenant, name)
	for range maxAttempts {
		current := c.find(key)
		if current == nil {
			return noDefinition(name)
		}
		err := c.table.remove(ctx, key, current.revision)
		if !errors.Is(err, errConflict) {
			return err
		}
		if err := c.table.awaitChange(ctx); err != nil {
			return err
		}
	}
	return millicent.Errorf(millicent.CodeConflict, "%s is being changed by others.", name)
}

func noDefinition(name string) error {
	return millicent.Errorf(millicent.CodeNotFound, "%s does not exist.", name)
}

func deepCopy[T any](v *T) (*T, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("copy: %w", err)
	}
	c := new(T)
	return c, json.Unmarshal(b, c)
}

func encodeDefinition[T any](tenant, name string, value *T) ([]byte, error) {
	if !validName(tenant) || name == "" || len(name) > maxNameBytes {
		return nil, millicent.Errorf(millicent.CodeInvalid, "%q is no name of a definition.", name)
	}
	b, err := encode(definition[T]{Format: formatVersion, Tenant: tenant, Name: name, Value: value})
	if err == nil && len(b) > MaxDefinition {
		return nil, millicent.Errorf(millicent.CodeInvalid, "The definition of %s must be smaller than %d bytes.", name, MaxDefinition)
	}
	return b, err
}

// definitionKey returns the bucket key of a definition. What a key may not
// hold is written as = and two hexadecimal digits.
func definitionKey(tenant, name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch ch := name[i]; {
		case ch >= 'a' && ch <= 'z', ch >= 'A' && ch <= 'Z', ch >= '0' && ch <= '9', ch == '-', ch == '_':
			b.WriteByte(ch)
		default:
			fmt.Fprintf(&b, "=%02x", ch)
		}
	}
	return key(tenant, b.String())
}
