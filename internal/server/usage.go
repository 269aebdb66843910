package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

// Usage other than invocations: what is kept ready or stored is looked at each
// minute and paid for the time since the last look; requests to queues are
// counted. Each record's id has the minute and when this server started, so
// that every server has paid for its own time, once.

const (
	usageMinute  = time.Minute
	storageEvery = 60 // minutes that a record of storage is for

	// maxCounted bounds the queues whose requests are counted in a minute.
	maxCounted = 100_000
)

// A usageLook is what takes place between two looks.
type usageLook struct {
	functions func(func(*millicent.Function))
	provided  func(v *millicent.Version) (environments int)
	version   func(tenant, name, number string) (*millicent.Version, error)
	resolve   func(tenant, name, qualifier string) (*millicent.Version, error)
	queues    func() []queueBytes
	record    func(millicent.UsageRecord)
	book      func() string

	life    string // names the server's start
	last    time.Time
	minutes int
	span    time.Duration      // since the last records of storage
	stored  map[storedBy]int64 // byte-seconds in that time

	mu       sync.Mutex
	requests map[queueOf]int64 // since the last look
}

type queueOf struct{ tenant, queue string }

// storedBy is what storage is paid by: a function's packages, or a queue.
type storedBy struct{ tenant, function, what string }

// queueBytes is what a queue holds.
type queueBytes struct {
	tenant, function, name string // the function whose events they are; or the queue's name
	bytes                  int64
}

// count counts a request to a queue.
func (l *usageLook) count(tenant, queue string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.requests == nil {
		l.requests = map[queueOf]int64{}
	}
	of := queueOf{tenant, queue}
	if _, known := l.requests[of]; known || len(l.requests) < maxCounted {
		l.requests[of]++
	}
}

// look records what was used since the last look. At the end, storage is
// recorded, too.
func (l *usageLook) look(now time.Time, end bool) {
	since := now.Sub(l.last)
	begin := l.last
	l.last = now
	if since <= 0 {
		return
	}
	minute := begin.UTC().Format("2006-01-02T15:04:05Z")
	l.lookProvisioned(begin, since, minute)
	l.lookStorage(since)
	l.mu.Lock()
	requests := l.requests
	l.requests = nil
	l.mu.Unlock()
	for of, n := range requests {
		l.keep(millicent.UsageQueue, of.tenant, "", of.queue, minute, begin, since, n)
	}
	l.span += since
	if l.minutes++; l.minutes < storageEvery && !end {
		return
	}
	span := l.span
	l.minutes, l.span = 0, 0
	for of, n := range l.stored {
		if n > 0 {
			l.keep(millicent.UsageStorage, of.tenant, of.function, of.what, minute, now.Add(-span), span, n)
		}
	}
	l.stored = nil
}

// keep makes a record.
func (l *usageLook) keep(kind millicent.UsageKind, tenant, function, what, minute string, begin time.Time, took time.Duration, quantity int64) {
	rec := millicent.UsageRecord{
		Kind: kind, ID: strings.Join([]string{string(kind), tenant, what, minute, l.life}, "/"), Attempt: 1,
		Tenant: tenant, Function: function, Start: begin, Duration: took, Quantity: quantity, PriceBook: l.book(),
	}
	l.record(rec)
}

// lookProvisioned records the environments that are kept ready.
func (l *usageLook) lookProvisioned(begin time.Time, since time.Duration, minute string) {
	var all []*millicent.Function
	l.functions(func(f *millicent.Function) {
		if len(f.Provisioned) > 0 {
			all = append(all, f)
		}
	})
	for _, f := range all {
		for qualifier := range f.Provisioned {
			v, err := l.resolve(f.Tenant, f.Name, qualifier)
			if err != nil {
				continue // deleted meanwhile
			}
			n := l.provided(v)
			if n == 0 {
				continue
			}
			rec := millicent.UsageRecord{
				Kind: millicent.UsageProvisioned, Attempt: 1,
				ID:     fmt.Sprintf("provisioned/%s/%s:%s/%s/%s", f.Tenant, f.Name, qualifier, minute, l.life),
				Tenant: f.Tenant, Function: f.Name, Version: v.Number, Tags: f.Tags, Start: begin, Duration: since,
				MemoryMB: v.MemoryMB, Quantity: int64(n) * int64(v.MemoryMB) * since.Milliseconds(), PriceBook: l.book(),
			}
			if !millicent.IsNumber(qualifier) {
				rec.Alias = qualifier
			}
			l.record(rec)
		}
	}
}

// lookStorage adds what is stored now to what will be recorded.
func (l *usageLook) lookStorage(since time.Duration) {
	if l.stored == nil {
		l.stored = map[storedBy]int64{}
	}
	milliseconds := since.Milliseconds()
	var all []*millicent.Function // versions are not to be asked for while the store is held
	l.functions(func(f *millicent.Function) { all = append(all, f) })
	for _, f := range all {
		l.stored[storedBy{f.Tenant, f.Name, "function/" + f.Name}] += l.packageBytes(f) * milliseconds / 1000
	}
	for _, q := range l.queues() {
		l.stored[storedBy{q.tenant, q.function, q.name}] += q.bytes * milliseconds / 1000
	}
}

// packageBytes returns the size of a function's packages; versions that share
// one have it once.
func (l *usageLook) packageBytes(f *millicent.Function) int64 {
	seen := map[string]int64{f.Draft.Package.SHA256: f.Draft.Package.Size}
	for number := range f.LastVersion {
		if v, err := l.version(f.Tenant, f.Name, fmt.Sprint(number+1)); err == nil {
			seen[v.Package.SHA256] = v.Package.Size
		}
	}
	total := int64(0)
	for _, size := range seen {
		total += size
	}
	return total
}

// run looks each minute until ctx ends, and once more.
func (l *usageLook) run(ctx context.Context) {
	ticker := time.NewTicker(usageMinute)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			l.look(time.Now(), true)
			return
		case now := <-ticker.C:
			l.look(now, false)
		}
	}
}

// meterStanding begins to record usage other than invocations.
func (s *server) meterStanding(context.Context) error {
	if s.meter == nil {
		return nil
	}
	l := &s.standing
	l.functions, l.version = s.store.EachFunction, s.store.Version
	l.resolve = func(tenant, name, qualifier string) (*millicent.Version, error) {
		return s.store.Resolve(tenant, name, qualifier, 1)
	}
	l.provided = func(v *millicent.Version) int { return s.scheduler.Allocation(v).Allocated }
	l.queues = s.queueBytes
	l.record, l.book = s.recordStanding, s.book
	l.last, l.life = time.Now(), s.begin.UTC().Format("20060102T150405.000")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // until the server stops
		defer close(done)
		l.run(ctx)
	}()
	s.built.push("standing usage", func(context.Context) error { cancel(); <-done; return nil })
	return nil
}

// recordStanding records what was used without an invocation, and counts it
// for the budgets, which know it from the ledger after the next start.
func (s *server) recordStanding(rec millicent.UsageRecord) {
	rec.Number = s.meter.Record(rec)
	s.budgets.Count(&rec)
}

// queueBytes returns what queues hold: those of the SQS API by their names, the
// others by the function whose events and dead letters they are.
func (s *server) queueBytes() (all []queueBytes) {
	for _, st := range s.queues.List("", "") {
		q := queueBytes{tenant: st.Name.Tenant, name: st.Name.Kind + "/" + st.Name.Name, bytes: st.Bytes}
		if st.Name.Kind != "sqs" {
			q.function = st.Name.Name
		}
		all = append(all, q)
	}
	return all
}
