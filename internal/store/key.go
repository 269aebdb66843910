package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

// An AccessKey signs requests for a tenant.
type AccessKey struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret"`
	Tenant  string    `json:"tenant"`
	Created time.Time `json:"created"`
}

// String hides the secret, so that no log shows it.
func (k AccessKey) String() string { return "access key " + k.ID }

// GoString hides the secret.
func (k AccessKey) GoString() string { return k.String() }

// LogValue hides the secret.
func (k AccessKey) LogValue() slog.Value { return slog.StringValue(k.ID) }

// keyPrefix begins the ids of our access keys. They have the length and the
// alphabet that clients expect of one.
const keyPrefix = "AKML"

// keyring is the access keys in memory.
type keyring struct {
	table *table

	mu   sync.RWMutex
	keys map[string]AccessKey
	revs map[string]uint64
}

func openKeyring(ctx context.Context, js jetstream.JetStream, failed func(error)) (*keyring, error) {
	k := &keyring{keys: make(map[string]AccessKey), revs: make(map[string]uint64)}
	var err error
	k.table, err = openTable(ctx, js, keysBucket, k.apply, failed)
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (k *keyring) apply(e entry) error {
	if e.value == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.keys, e.key)
		delete(k.revs, e.key)
		return nil
	}
	key, err := decodeKey(e.value)
	if err != nil {
		return fmt.Errorf("value of access key %s: %w", e.key, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[e.key], k.revs[e.key] = key, e.revision
	return nil
}

// CreateKey makes and stores a new access key.
func (s *Store) CreateKey(ctx context.Context, tenant string) (AccessKey, error) {
	if !validName(tenant) {
		return AccessKey{}, millicent.Errorf(millicent.CodeInvalid, "%q is not an account id.", tenant)
	}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	key := AccessKey{
		ID:      keyPrefix + rand.Text()[:16],
		Secret:  (rand.Text() + rand.Text())[:40],
		Tenant:  tenant,
		Created: s.cfg.Now().UTC(),
	}
	value, err := encode(keyRecord{Format: formatVersion, Key: key})
	if err != nil {
		return AccessKey{}, err
	}
	if err := s.keys.table.create(ctx, key.ID, value); err != nil {
		return AccessKey{}, fmt.Errorf("create access key: %w", err)
	}
	return key, nil
}

// Key returns an access key by its id, from memory.
func (s *Store) Key(id string) (AccessKey, bool) {
	s.keys.mu.RLock()
	defer s.keys.mu.RUnlock()
	key, ok := s.keys.keys[id]
	return key, ok
}

// Keys returns all access keys, sorted by creation.
func (s *Store) Keys() []AccessKey {
	s.keys.mu.RLock()
	defer s.keys.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.keys.keys), func(a, b AccessKey) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// DeleteKey deletes an access key; CodeNotFound when there is none.
func (s *Store) DeleteKey(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	notFound := millicent.Errorf(millicent.CodeNotFound, "Access key not found: %s", id)
	s.keys.mu.RLock()
	revision, ok := s.keys.revs[id]
	s.keys.mu.RUnlock()
	if !ok {
		return notFound
	}
	err := s.keys.table.remove(ctx, id, revision)
	if errors.Is(err, errConflict) {
		return notFound // keys never change: another call has removed it
	}
	if err != nil {
		return fmt.Errorf("delete access key: %w", err)
	}
	return nil
}
