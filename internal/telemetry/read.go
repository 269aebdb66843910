package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

const (
	defaultLimit = 1000
	maxLimit     = 10_000
	maxFollowers = 256

	// timeSlack is how much older than its newest record a file may seem: the
	// kernel's time of a change is that of its last tick.
	timeSlack = time.Minute

	// followBytes is how much a follower may be behind.
	followBytes = 4 << 20
)

// Query selects records.
type Query struct {
	Tenant, Function string
	Since            time.Time
	Limit            int // newest so many, at most 10,000; zero means 1000
}

func (q Query) key() functionKey { return functionKey{q.Tenant, q.Function} }

func (q Query) matches(rec *millicent.LogRecord) bool {
	return q.Since.IsZero() || rec.Time >= q.Since.UnixMicro()
}

func (q Query) check() error {
	if !q.key().valid() {
		return millicent.Errorf(millicent.CodeInvalid, "The name of the function is not valid.")
	}
	if q.Limit < 0 {
		return millicent.Errorf(millicent.CodeInvalid, "The limit must not be negative.")
	}
	return nil
}

func (q Query) limit() int {
	if q.Limit == 0 {
		return defaultLimit
	}
	return min(q.Limit, maxLimit)
}

// Read returns matching records, oldest first, in the order in which they
// were written. A function without a log has none.
func (l *Logs) Read(ctx context.Context, q Query) ([]millicent.LogRecord, error) {
	files, err := l.written(ctx, q)
	if err != nil {
		return nil, err
	}
	return l.collect(ctx, q, files)
}

// written returns the files of a query's function, with all in them that was
// logged before.
func (l *Logs) written(ctx context.Context, q Query) ([]logFile, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	if err := l.sync(ctx); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.files(q.key())
}

// maxScanned bounds the records that are looked at for reports.
const maxScanned = 20_000

// Invocations returns a function's latest invocations that its log has a
// report on, the latest first, at most q.Limit; those whose reports are behind
// very much else in the log are left out. Of an invocation's records the last
// one counts, which is the platform's.
func (l *Logs) Invocations(ctx context.Context, q Query) ([]millicent.Explanation, error) {
	files, err := l.written(ctx, q)
	if err != nil {
		return nil, err
	}
	found, seen, scanned := []millicent.Explanation{}, map[string]bool{}, 0
	err = l.backward(ctx, q, files, func(rec *millicent.LogRecord) bool {
		if rec.Invocation != "" && !seen[rec.Invocation] {
			seen[rec.Invocation] = true
			if e := explanation(rec); e.Report != nil {
				found = append(found, *e)
			}
		}
		scanned++
		return len(found) < q.limit() && scanned < maxScanned
	})
	return found, err
}

// sync returns when all that was written to the buffer before is in files.
func (l *Logs) sync(ctx context.Context) error {
	written := make(chan struct{})
	select {
	case l.syncs <- written:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return errClosed()
	}
	select {
	case <-written:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// files returns a function's log files with their sizes now. The lock is held.
func (l *Logs) files(key functionKey) ([]logFile, error) {
	j, err := l.journal(key)
	if err != nil {
		return nil, fmt.Errorf("read log of %s: %w", key.name, err)
	}
	if j == nil {
		return nil, nil
	}
	return slices.Clone(j.files), nil
}

// collect reads files backwards until the query is satisfied.
func (l *Logs) collect(ctx context.Context, q Query, files []logFile) ([]millicent.LogRecord, error) {
	var found []millicent.LogRecord // newest first
	err := l.backward(ctx, q, files, func(rec *millicent.LogRecord) bool {
		found = append(found, *rec)
		return len(found) < q.limit()
	})
	slices.Reverse(found)
	return found, err
}

// backward calls each for matching records of files, the newest first, as long
// as it wants more.
func (l *Logs) backward(ctx context.Context, q Query, files []logFile, each func(*millicent.LogRecord) (more bool)) error {
	for _, file := range slices.Backward(files) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		more, err := l.backwardFile(q, file, each)
		if err != nil {
			return fmt.Errorf("read log of %s: %w", q.Function, err)
		}
		if !more {
			break
		}
	}
	return nil
}

// backwardFile calls each for the records of one file; more says that older
// files may have matches that are wanted. A file that has gone meanwhile has
// expired.
func (l *Logs) backwardFile(q Query, file logFile, each func(*millicent.LogRecord) (more bool)) (more bool, err error) {
	f, err := l.root.Open(q.key().path(file.seq))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if info.ModTime().Add(timeSlack).Before(q.Since) { // nothing in it, nor in older ones, is newer
		return false, nil
	}
	switch err := checkHeader(f); {
	case errors.Is(err, errTorn):
		return true, nil // while it was begun: holds nothing
	case err != nil:
		return false, err
	}
	for line, err := range linesBackward(f, file.size) {
		if err != nil {
			return false, err
		}
		rec, err := decodeLine(line)
		if err != nil || !q.matches(&rec) { // the header, a line torn by a crash, too old
			continue
		}
		if !each(&rec) {
			return false, nil
		}
	}
	return true, nil
}

// Follow calls emit for matching records, those kept first, until ctx ends,
// when it returns nil, or emit returns an error, which it returns. One who is
// too slow gets a last record that says so, and an error with CodeThrottled;
// so does one follower too many, at once. After Close it returns nil.
func (l *Logs) Follow(ctx context.Context, q Query, emit func(millicent.LogRecord) error) error {
	if err := q.check(); err != nil {
		return err
	}
	live := newBuffer(followBytes)
	files, err := l.follow(q.key(), live)
	if err != nil {
		return err
	}
	defer l.unfollow(q.key(), live)

	kept, err := l.collect(ctx, q, files)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if err := emitAll(ctx, q, kept, emit); err != nil || ctx.Err() != nil {
		return err
	}
	return l.tail(ctx, q, live, emit)
}

// tail emits what comes until something ends it.
func (l *Logs) tail(ctx context.Context, q Query, live *buffer, emit func(millicent.LogRecord) error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-live.wake:
		}
		records, closed := live.take(nil)
		if err := emitAll(ctx, q, records, emit); err != nil || ctx.Err() != nil {
			return err
		}
		if !closed {
			continue
		}
		if l.hasEnded() {
			return nil
		}
		last := millicent.LogRecord{Tenant: q.Tenant, Function: q.Function}
		if err := emit(notice(drop{last: last, reason: reasonSlow}, time.Now())); err != nil {
			return err
		}
		return millicent.Errorf(millicent.CodeThrottled, "The log was read too slowly.")
	}
}

func emitAll(ctx context.Context, q Query, records []millicent.LogRecord, emit func(millicent.LogRecord) error) error {
	for i := range records {
		if ctx.Err() != nil {
			return nil
		}
		if !q.matches(&records[i]) {
			continue
		}
		if err := emit(records[i]); err != nil {
			return err
		}
	}
	return nil
}

// follow makes live a follower of a function's log, and returns the files
// that hold all that live does not get.
func (l *Logs) follow(key functionKey, live *buffer) ([]logFile, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, errClosed()
	}
	if l.following >= maxFollowers {
		return nil, millicent.Errorf(millicent.CodeThrottled, "Too many logs are being followed.")
	}
	files, err := l.files(key)
	if err != nil {
		return nil, err
	}
	l.followers[key] = append(l.followers[key], live)
	l.following++
	return files, nil
}

func (l *Logs) unfollow(key functionKey, live *buffer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropFollower(key, live)
}

func (l *Logs) dropFollower(key functionKey, live *buffer) {
	i := slices.Index(l.followers[key], live)
	if i < 0 {
		return
	}
	l.following--
	l.followers[key] = slices.Delete(l.followers[key], i, i+1)
	if len(l.followers[key]) == 0 {
		delete(l.followers, key)
	}
}

// publish gives records to the followers of a function; who is too far behind
// is a follower no longer. The lock is held.
func (l *Logs) publish(key functionKey, records []millicent.LogRecord) {
	for _, live := range slices.Clone(l.followers[key]) {
		for i := range records {
			if !live.add(&records[i]) {
				live.close()
				l.dropFollower(key, live)
				break
			}
		}
	}
}

func (l *Logs) endFollowers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for _, followers := range l.followers {
		for _, live := range followers {
			live.close()
		}
	}
	clear(l.followers)
	l.following = 0
}

func (l *Logs) hasEnded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}
