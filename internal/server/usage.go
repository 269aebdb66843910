package server

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

// Usage other than invocations: what is kept ready or stored is looked at each
// minute and paid for the time since the last look; requests to queues are
// counted. Each record's id has the minute and when this server started, so
// that every server has paid for its own time, once: see standing.go.

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
	save      func(standingState)
	looked    func() // after each look
	book      func() string

	life    string // names the server's start
	last    time.Time
	minutes int
	span    time.Duration      // since the last records of storage
	stored  map[storedBy]int64 // byte-seconds in that time

	// What the last look saw.
	held  map[storedBy]int64               // bytes
	ready []readyState                     // provisioned environments
	tags  map[functionOf]map[string]string // of functions

	mu       sync.Mutex
	requests map[queueOf]int64 // since the last look
}

type queueOf struct{ tenant, queue string }

type functionOf struct{ tenant, function string }

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
	minute := lookName(begin)
	l.see()
	for _, r := range l.ready {
		rec := r.Record
		rec.ID = r.IDStart + "/" + minute + "/" + l.life
		rec.Start, rec.Duration, rec.Quantity, rec.PriceBook = begin, since, r.PerMs*since.Milliseconds(), l.book()
		l.record(rec)
	}
	if l.stored == nil {
		l.stored = map[storedBy]int64{}
	}
	for of, bytes := range l.held {
		l.stored[of] += byteSeconds(bytes, since)
	}
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

// lookName is how a look is called in the ids of the records of the time after
// it.
func lookName(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }

// standingRecord returns a record without its time and quantity.
func standingRecord(kind millicent.UsageKind, tenant, function, what, minute, life string) millicent.UsageRecord {
	return millicent.UsageRecord{
		Kind: kind, ID: strings.Join([]string{string(kind), tenant, what, minute, life}, "/"), Attempt: 1, Tenant: tenant, Function: function,
	}
}

// keep makes a record.
func (l *usageLook) keep(kind millicent.UsageKind, tenant, function, what, minute string, begin time.Time, took time.Duration, quantity int64) {
	rec := standingRecord(kind, tenant, function, what, minute, l.life)
	rec.Tags, rec.Start, rec.Duration, rec.Quantity, rec.PriceBook = l.tags[functionOf{tenant, function}], begin, took, quantity, l.book()
	l.record(rec)
}

// see looks at what stands.
func (l *usageLook) see() {
	l.held, l.ready, l.tags = map[storedBy]int64{}, nil, map[functionOf]map[string]string{}
	var all []*millicent.Function // versions are not to be asked for while the store is held
	l.functions(func(f *millicent.Function) { all = append(all, f) })
	for _, f := range all {
		l.tags[functionOf{f.Tenant, f.Name}] = f.Tags
		l.held[storedBy{f.Tenant, f.Name, "function/" + f.Name}] += l.packageBytes(f)
		l.seeProvisioned(f)
	}
	for _, q := range l.queues() {
		l.held[storedBy{q.tenant, q.function, q.name}] += q.bytes
	}
}

// seeProvisioned looks at a function's environments that are kept ready.
func (l *usageLook) seeProvisioned(f *millicent.Function) {
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
			Kind: millicent.UsageProvisioned, Attempt: 1, Tenant: f.Tenant, Function: f.Name, Version: v.Number, Tags: f.Tags, MemoryMB: v.MemoryMB,
		}
		if !millicent.IsNumber(qualifier) {
			rec.Alias = qualifier
		}
		l.ready = append(l.ready, readyState{rec, int64(n) * int64(v.MemoryMB), fmt.Sprintf("provisioned/%s/%s:%s", f.Tenant, f.Name, qualifier)})
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

// run looks each minute until ctx ends, and once more; in between it saves what
// is not recorded yet.
func (l *usageLook) run(ctx context.Context) {
	ticker := time.NewTicker(standingEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			l.look(time.Now(), true)
			l.held, l.ready = nil, nil // the server's time is over
			l.save(l.state(time.Now()))
			return
		case now := <-ticker.C:
			if n%int(usageMinute/standingEvery) == 0 {
				l.look(now, false)
				l.looked()
			}
			l.save(l.state(now))
		}
	}
}

// meterStanding begins to record usage other than invocations.
func (s *server) meterStanding(ctx context.Context) error {
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
	l.record, l.book, l.looked = s.recordStanding, s.book, s.rein
	l.last, l.life = time.Now(), s.begin.UTC().Format("20060102T150405.000")
	if err := s.restoreStanding(ctx); err != nil {
		return err
	}
	l.save = func(st standingState) {
		if err := saveStanding(filepath.Join(s.cfg.Data, usageDir), st); err != nil {
			s.log.Warn("standing usage is not saved", "error", err)
		}
	}
	l.see()
	l.save(l.state(time.Now()))
	life, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // until the server stops
		defer close(done)
		l.run(life)
	}()
	s.built.push("standing usage", func(context.Context) error { cancel(); <-done; return nil })
	return nil
}

// restoreStanding records what a server that was killed did not come to, each
// record once, also when this one is killed meanwhile.
func (s *server) restoreStanding(ctx context.Context) error {
	st, err := readStanding(filepath.Join(s.cfg.Data, usageDir))
	if err != nil {
		s.log.Error("standing usage of a server that was killed is lost", "error", err)
		return nil
	}
	all := st.records(s.book())
	numbers, err := s.meter.RecordAllOnce(ctx, all)
	for i, number := range numbers {
		if all[i].Number = number; number > 0 {
			s.budgets.Count(&all[i])
		}
	}
	return err
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
