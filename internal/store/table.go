package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// markerTTL is how long the marker of a removed key stays in its bucket, for
// the watches of nodes that were cut off. A node cut off for longer must load
// its tables afresh.
const markerTTL = 24 * time.Hour

// formatKey is the entry of a bucket's metadata that holds its format.
const formatKey = "millicent-format"

var (
	errClosed   = errors.New("the store is closed")
	errExists   = errors.New("the key exists")
	errConflict = errors.New("another change came between")
)

// An entry is one state of one key.
type entry struct {
	key      string
	value    []byte // nil when the key was removed
	revision uint64
	created  time.Time // of this state, by the server's clock
}

// table is a bucket mirrored in memory. Its apply function is fed by one
// goroutine in the order of the bucket's revisions, whoever wrote them, so
// that there is one way into memory and one order of changes. A write returns
// when its own revision has been applied: its caller reads what it wrote.
type table struct {
	js     jetstream.JetStream
	kv     jetstream.KeyValue
	name   string
	apply  func(entry) error
	watch  jetstream.KeyWatcher
	done   chan struct{} // closed when the watch has ended
	failed func(error)   // told of entries that apply refused after the load

	mu      sync.Mutex
	applied uint64
	changed chan struct{} // closed and replaced with every change of applied
}

// openTable opens a bucket, which it makes if need be, and feeds all that it
// holds to apply before it returns. An error of apply is then an error of
// openTable; later ones are told to failed, and the entry is skipped. ctx bounds
// the opening alone; the watch lives until close is called.
func openTable(ctx context.Context, js jetstream.JetStream, name string, apply func(entry) error, failed func(error)) (*table, error) {
	kv, err := openBucket(ctx, js, name)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	t := &table{js: js, kv: kv, name: name, apply: apply, failed: failed,
		done: make(chan struct{}), changed: make(chan struct{})}
	t.watch, err = kv.WatchAll(context.Background())
	if err != nil {
		return nil, fmt.Errorf("watch bucket %s: %w", name, err)
	}
	if err := t.load(ctx); err != nil {
		close(t.done)
		return nil, errors.Join(fmt.Errorf("load bucket %s: %w", name, err), t.close())
	}
	go t.follow()
	return t, nil
}

func openBucket(ctx context.Context, js jetstream.JetStream, name string) (jetstream.KeyValue, error) {
	kv, err := js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket:         name,
			History:        1,
			LimitMarkerTTL: markerTTL,
			Metadata:       map[string]string{formatKey: fmt.Sprint(formatVersion)},
		})
	}
	if err != nil {
		return nil, err
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return nil, err
	}
	if got := status.Metadata()[formatKey]; got != fmt.Sprint(formatVersion) {
		return nil, fmt.Errorf("it has format %q; this millicent knows format %d", got, formatVersion)
	}
	return kv, nil
}

func (t *table) load(ctx context.Context) error {
	for {
		select {
		case e, ok := <-t.watch.Updates():
			if !ok {
				return errClosed
			}
			if e == nil {
				return nil
			}
			if err := t.take(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow applies what the watch brings until it ends.
func (t *table) follow() {
	defer close(t.done)
	for e := range t.watch.Updates() {
		if e == nil {
			continue
		}
		if err := t.take(e); err != nil {
			t.failed(err)
		}
	}
}

func (t *table) take(e jetstream.KeyValueEntry) error {
	state := entry{key: e.Key(), revision: e.Revision(), created: e.Created()}
	if e.Operation() == jetstream.KeyValuePut {
		state.value = e.Value()
	}
	err := t.apply(state)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.applied = state.revision
	close(t.changed)
	t.changed = make(chan struct{})
	return err
}

// close ends the watch and returns when apply is not called any more.
func (t *table) close() error {
	err := t.watch.Stop()
	if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrBadSubscription) {
		err = nil // it had ended with the connection
	}
	<-t.done
	for range t.watch.Updates() { // none, unless the load was cut off
	}
	return err
}

// create writes a key that must not exist, else errExists.
func (t *table) create(ctx context.Context, key string, value []byte) error {
	revision, err := t.kv.Create(ctx, key, value)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return errExists
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return t.await(ctx, revision)
}

// update writes a key whose latest revision must be the given one, else
// errConflict.
func (t *table) update(ctx context.Context, key string, value []byte, revision uint64) error {
	revision, err := t.kv.Update(ctx, key, value, revision)
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return errConflict
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return t.await(ctx, revision)
}

// remove removes a key whose latest revision must be the given one, else
// errConflict. It publishes the marker itself, as the client's own Purge does
// not return the revision to wait for.
func (t *table) remove(ctx context.Context, key string, revision uint64) error {
	m := nats.NewMsg("$KV." + t.name + "." + key)
	m.Header.Set("KV-Operation", "PURGE")
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	ack, err := t.js.PublishMsg(ctx, m,
		jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithMsgTTL(markerTTL))
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
		return errConflict
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", key, err)
	}
	return t.await(ctx, ack.Sequence)
}

// await returns when a revision has been applied.
func (t *table) await(ctx context.Context, revision uint64) error {
	for {
		t.mu.Lock()
		applied, changed := t.applied, t.changed
		t.mu.Unlock()
		if applied >= revision {
			return nil
		}
		if err := t.pause(ctx, changed, nil); err != nil {
			return fmt.Errorf("read back revision %d of %s: %w", revision, t.name, err)
		}
	}
}

// conflictPause is how long a writer that met a conflict waits for the change
// that it conflicts with, before it looks again.
const conflictPause = 50 * time.Millisecond

// awaitChange returns after the next change of the table, or soon: what it
// waits for may have come before the call.
func (t *table) awaitChange(ctx context.Context) error {
	t.mu.Lock()
	changed := t.changed
	t.mu.Unlock()
	timer := time.NewTimer(conflictPause)
	defer timer.Stop()
	return t.pause(ctx, changed, timer.C)
}

func (t *table) pause(ctx context.Context, changed <-chan struct{}, timeout <-chan time.Time) error {
	select {
	case <-changed:
		return nil
	case <-timeout:
		return nil
	case <-t.done:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// key joins the parts of a bucket key. Parts are checked by whoever lets them
// in: none holds a dot.
func key(parts ...string) string { return strings.Join(parts, ".") }
