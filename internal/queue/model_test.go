package queue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// modelSeeds is how many sequences of changes TestModel tries.
const modelSeeds = 12

// held is what the model knows of a message.
type held struct {
	Queue    Name
	Body     string
	Group    string
	Progress Progress
	Receives int
}

// model is what should be in the queues, by sequence.
type model struct {
	messages map[uint64]held
	dedup    map[string]time.Time // end of the window, by queue and id
	leased   map[uint64]Delivery  // last lease
}

// contents reads everything that queues hold.
func contents(t *testing.T, q *Queues) map[uint64]held {
	t.Helper()
	q.mu.Lock()
	var all []taken
	for _, e := range q.ix.entries {
		all = append(all, e.taken())
	}
	q.mu.Unlock()
	out := make(map[uint64]held)
	for _, at := range all {
		d, err := q.load(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		out[d.Sequence] = held{d.Queue, string(d.Body), d.Group, d.Progress, d.Receives}
	}
	return out
}

// TestModel makes random changes one after another, crashes now and then, and
// compares what is there with what should be, while the log is cut and
// compacted all the time.
func TestModel(t *testing.T) {
	cut := uint64(0)
	for seed := range uint64(modelSeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				m := model{make(map[uint64]held), make(map[string]time.Time), make(map[uint64]Delivery)}
				l := &memoryLog{}
				open := func() *Queues {
					q := openMemory(t, l, Config{Dir: dir})
					q.mu.Lock()
					q.ix.packs.cutBytes, q.ix.packs.slackBytes = 200, 1000
					q.mu.Unlock()
					return q
				}
				q := open()
				largest := 0
				for range 400 {
					m.step(t, q, r)
					synctest.Wait()
					q.mu.Lock()
					largest = max(largest, int(q.ix.packs.bytes))
					q.mu.Unlock()
					if r.IntN(20) > 0 {
						continue
					}
					time.Sleep(updateDelay) // states are written by then
					synctest.Wait()
					crashed := l.crash(r.IntN(30))
					m.compare(t, q)
					mustClose(t, q)
					l = crashed
					q = open()
					m.compare(t, q)
					if t.Failed() {
						return
					}
				}
				mustClose(t, q)
				cut += l.first - 1
				t.Logf("%d packs cut, log of at most %d bytes, %d messages left", l.first, largest, len(m.messages))
			})
		})
	}
	if cut < modelSeeds*10 {
		t.Errorf("%d packs were cut off in all, too few to tell", cut)
	}
}

func (m model) compare(t *testing.T, q *Queues) {
	t.Helper()
	if diff := cmp.Diff(m.messages, contents(t, q)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	total := 0
	for _, s := range q.List("", "") {
		total += s.Messages()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if total != len(m.messages) || q.ix.messages != total {
		t.Errorf("the queues count %d and %d messages, want %d", total, q.ix.messages, len(m.messages))
	}
}

// step makes one change.
func (m model) step(t *testing.T, q *Queues, r *rand.Rand) {
	t.Helper()
	name := Name{"test", "t", string(rune('a' + r.IntN(3)))}
	switch n := r.IntN(100); {
	case n < 25:
		m.put(t, q, r, name, nil)
	case n < 50:
		m.lease(t, q, r, name)
	case n < 78:
		m.settle(t, q, r)
	case n < 88:
		m.release(t, q, r)
	case n < 93:
		if d, ok := m.any(r); ok {
			m.put(t, q, r, name, &d)
		}
	case n < 94:
		m.purge(t, q, r, name)
	default:
		time.Sleep(time.Duration(r.IntN(60)) * time.Second)
	}
}

// put puts messages, and settles another in the same change if one is given.
func (m model) put(t *testing.T, q *Queues, r *rand.Rand, name Name, settle *Delivery) {
	t.Helper()
	var c Change
	for range 1 + r.IntN(4) {
		msg := Message{Queue: name, Body: []byte(fmt.Sprintf("%x", r.Uint64())), Progress: Progress{r.IntN(3), 0}}
		if r.IntN(4) == 0 {
			msg.Group = string(rune('A' + r.IntN(2)))
		}
		if r.IntN(4) == 0 {
			msg.Dedup = fmt.Sprint(r.IntN(20))
		}
		if r.IntN(6) == 0 {
			msg.NotBefore = time.Now().Add(time.Duration(r.IntN(100)) * time.Second)
		}
		if r.IntN(20) == 0 {
			msg.Body = make([]byte, inlineBody+1+r.IntN(100))
		}
		c.Put = append(c.Put, msg)
	}
	if settle != nil {
		c.Settle = []Settled{{settle.Queue, settle.Handle}}
		delete(m.messages, settle.Sequence)
		delete(m.leased, settle.Sequence)
	}
	receipts, err := q.Apply(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range c.Put {
		key := p.Queue.Name + "/" + p.Dedup
		want := p.Dedup != "" && time.Now().Before(m.dedup[key])
		if receipts[i].Duplicate != want {
			t.Errorf("put %s: duplicate %v, want %v", key, receipts[i].Duplicate, want)
		}
		if receipts[i].Duplicate {
			continue
		}
		m.dedup[key] = time.Now().Add(DedupWindow)
		m.messages[receipts[i].Sequence] = held{p.Queue, string(p.Body), p.Group, p.Progress, 0}
	}
}

func (m model) lease(t *testing.T, q *Queues, r *rand.Rand, name Name) {
	t.Helper()
	got, err := q.Lease(t.Context(), LeaseRequest{Queue: name, Max: 1 + r.IntN(5), Bound: r.IntN(2) == 0,
		Visibility: time.Duration(1+r.IntN(60)) * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range got {
		h := m.messages[d.Sequence]
		h.Receives++
		if diff := cmp.Diff(h, held{d.Queue, string(d.Body), d.Group, d.Progress, d.Receives}); diff != "" {
			t.Errorf("leased %d (-want +got):\n%s", d.Sequence, diff)
		}
		m.messages[d.Sequence] = h
		m.leased[d.Sequence] = d
	}
}

// any returns a message that was leased, by its last lease.
func (m model) any(r *rand.Rand) (Delivery, bool) {
	var all []uint64
	for n := range m.leased {
		all = append(all, n)
	}
	if len(all) == 0 {
		return Delivery{}, false
	}
	slices.Sort(all)
	return m.leased[all[r.IntN(len(all))]], true
}

func (m model) settle(t *testing.T, q *Queues, r *rand.Rand) {
	t.Helper()
	d, ok := m.any(r)
	if !ok {
		return
	}
	mustSettle(t, q, d)
	delete(m.messages, d.Sequence)
	delete(m.leased, d.Sequence)
}

func (m model) release(t *testing.T, q *Queues, r *rand.Rand) {
	t.Helper()
	d, ok := m.any(r)
	if !ok {
		return
	}
	p := Progress{r.IntN(5), r.IntN(5)}
	err := q.Release(d.Queue, d.Handle, time.Now().Add(time.Duration(r.IntN(50))*time.Second), p)
	if err != nil {
		wantCode(t, err, CodeNotInFlight)
		return
	}
	h := m.messages[d.Sequence]
	h.Progress = p
	m.messages[d.Sequence] = h
}

func (m model) purge(t *testing.T, q *Queues, r *rand.Rand, name Name) {
	t.Helper()
	do := q.Purge
	if r.IntN(2) == 0 {
		do = q.Drop
		for i := range 20 {
			delete(m.dedup, fmt.Sprintf("%s/%d", name.Name, i))
		}
	}
	if err := do(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	for n, h := range m.messages {
		if h.Queue == name {
			delete(m.messages, n)
			delete(m.leased, n)
		}
	}
}
