package queue

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// crashDir tells a re-executed test binary to use queues until it is killed.
const crashDir = "MILLICENT_QUEUE_CRASH_DIR"

// event is what the child of the crash test tells: before a change it names
// the messages that it is about to put or settle, and after it was
// acknowledged it says so.
type event struct {
	Done   bool     `json:"done"`
	Put    []string `json:"put,omitempty"` // ids
	Settle []string `json:"settle,omitempty"`
}

// crashQueues are the queues that the child uses.
var crashQueues = []Name{{"async", "t", "a"}, {"sqs", "t", "b"}, {"sqs", "t", "c"}}

// crashMessage returns a message of which a part is large; its body is its id,
// repeated.
func crashMessage(r *rand.Rand) Message {
	m := Message{Queue: crashQueues[r.IntN(len(crashQueues))], ID: fmt.Sprintf("%016x", r.Uint64())}
	n := r.IntN(200)
	if r.IntN(100) == 0 {
		n = inlineBody / 16 * 2
	}
	m.Body = bytes.Repeat([]byte(m.ID), n+1)
	if r.IntN(4) == 0 {
		m.Group = fmt.Sprint(r.IntN(3))
	}
	return m
}

// TestCrashChild is the process that TestCrash kills.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		return // not the child
	}
	q, _ := openStored(t, dir, Config{})
	q.mu.Lock()
	q.ix.packs.cutBytes, q.ix.packs.slackBytes = 64<<10, 256<<10
	q.mu.Unlock()
	var mu sync.Mutex // guards standard output
	tell := func(e event) {
		b, err := json.Marshal(e)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(os.Stdout, "%s\n", b)
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(worker)))
			for !t.Failed() {
				if err := crashStep(t.Context(), q, r, tell); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// crashStep makes one change, and tells of it.
func crashStep(ctx context.Context, q *Queues, r *rand.Rand, tell func(event)) error {
	var e event
	var c Change
	if n := r.IntN(10); n < 6 {
		for range 1 + r.IntN(3) {
			c.Put = append(c.Put, crashMessage(r))
		}
	}
	if n := r.IntN(10); n < 5 {
		got, err := q.Lease(ctx, LeaseRequest{Queue: crashQueues[r.IntN(len(crashQueues))], Max: 1 + r.IntN(4), Visibility: time.Minute, Bound: true})
		if err != nil {
			return err
		}
		for i, d := range got {
			if i%4 == 3 {
				if err := q.Release(d.Queue, d.Handle, time.Time{}, Progress{}); err != nil {
					return err
				}
				continue
			}
			c.Settle = append(c.Settle, Settled{d.Queue, d.Handle})
			e.Settle = append(e.Settle, d.ID)
		}
	}
	for _, m := range c.Put {
		e.Put = append(e.Put, m.ID)
	}
	tell(e)
	if _, err := q.Apply(ctx, c); err != nil {
		return err
	}
	e.Done = true
	tell(e)
	return nil
}

// crashModel is what is known of each message that was put.
type crashModel struct {
	there map[string]bool // acknowledged
	maybe map[string]bool // a change under way when the process was killed has put it
	going map[string]bool // a change under way has settled it
	gone  map[string]bool // acknowledged
	first uint64          // pack of the log
}

func (m *crashModel) take(events []event) (acknowledged int) {
	for _, e := range events {
		for _, id := range e.Put {
			// Another worker may have settled it before its Put returned here.
			if delete(m.maybe, id); e.Done && !m.gone[id] {
				m.there[id] = true
			} else if !e.Done {
				m.maybe[id] = true
			}
		}
		for _, id := range e.Settle {
			if delete(m.going, id); e.Done {
				delete(m.there, id)
				m.gone[id] = true
			} else {
				m.going[id] = true
			}
		}
		if e.Done {
			acknowledged++
		}
	}
	return acknowledged
}

// check compares the queues with the model, which learns how the changes ended
// that were under way.
func (m *crashModel) check(t *testing.T, dir string) {
	t.Helper()
	q, stop := openStored(t, dir, Config{})
	defer stop()
	found := make(map[string]bool)
	for _, h := range contents(t, q) {
		id := h.Body[:16]
		if found[id] {
			t.Errorf("message %s is there twice", id)
		}
		found[id] = true
		if h.Body != string(bytes.Repeat([]byte(id), len(h.Body)/16)) {
			t.Errorf("message %s has another body", id)
		}
		if m.gone[id] {
			t.Errorf("message %s came back after it was settled", id)
		} else if !m.there[id] && !m.maybe[id] {
			t.Errorf("message %s was never put", id)
		}
	}
	for id := range m.there {
		if !found[id] && !m.going[id] {
			t.Errorf("message %s was acknowledged and is lost", id)
		}
	}
	m.first = q.ix.packs.first
	m.there, m.maybe, m.going = found, make(map[string]bool), make(map[string]bool)
	if got, err := os.ReadDir(dir + "/queues/bodies"); err != nil || len(got) != len(q.ix.refs) {
		t.Errorf("%d body files for %d bodies, %v", len(got), len(q.ix.refs), err)
	}
}

// TestCrash kills a process that uses queues, at random moments: nothing that
// it acknowledged may be lost, nothing settled come back.
func TestCrash(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	dir := t.TempDir()
	m := crashModel{there: make(map[string]bool), maybe: make(map[string]bool), going: make(map[string]bool), gone: make(map[string]bool)}
	acknowledged := 0
	for round := range rounds {
		acknowledged += m.take(runAndKill(t, dir, 1+rand.IntN(300)))
		m.check(t, dir)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	if acknowledged < rounds {
		t.Errorf("%d changes were acknowledged in %d rounds", acknowledged, rounds)
	}
	if m.first < uint64(rounds) {
		t.Errorf("the log begins with pack %d: it was hardly cut", m.first)
	}
	t.Logf("%d rounds, %d changes acknowledged, %d messages settled, %d left, %d packs cut off",
		rounds, acknowledged, len(m.gone), len(m.there), m.first-1)
}

// runAndKill runs the child, kills it a moment after the given line of what it
// tells, and
// returns what it told.
func runAndKill(t *testing.T, dir string, after int) []event {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var events []event
	var kill *time.Timer
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Errorf("the child says %q", lines.Text())
			continue
		}
		events = append(events, e)
		if after--; after <= 0 && kill == nil {
			moment := time.Duration(rand.IntN(10)) * time.Millisecond
			kill = time.AfterFunc(moment, func() { _ = cmd.Process.Kill() }) // it may have ended by itself, which Wait tells
		}
	}
	err = cmd.Wait()
	if kill == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child ended by itself: %v\n%s", err, stderr.String())
	}
	kill.Stop()
	return events
}
