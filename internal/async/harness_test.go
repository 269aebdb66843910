package async

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

const (
	tenant = "000000000000"
	region = "us-east-1"
)

// world is Events on queues in memory, with fake functions and fake time.
type world struct {
	*Events
	t      *testing.T
	queues *queue.Queues
	log    *lockedBuffer

	mu        sync.Mutex
	functions map[string]*millicent.Function
	serve     func(inv *millicent.Invocation) (*millicent.Result, error)
	runs      []string // function and event
	published []string
	carried   millicent.Lineage                               // with the latest of these
	refuse    error                                           // of Dial and Publish
	hook      func(r *http.Request, body string) (status int) // what webhooks answer
}

// inWorld runs f in a world with functions, in fake time.
func inWorld(t *testing.T, cfg Config, functions []string, f func(t *testing.T, w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, log: &lockedBuffer{}, functions: map[string]*millicent.Function{}}
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			return &millicent.Result{Payload: inv.Event, Version: millicent.Latest}, nil
		}
		for _, name := range functions {
			w.functions[name] = &millicent.Function{Tenant: tenant, Name: name, Created: time.Now(), Draft: &millicent.Version{
				Tenant: tenant, Function: name, Number: millicent.Latest, State: millicent.StateActive, LastUpdate: millicent.UpdateSuccessful,
			}}
		}
		var err error
		if w.queues, err = queue.OpenMemory(t.Context(), queue.Config{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		cfg.Region, cfg.Store, cfg.Invoker, cfg.Queues = region, w, w, w.queues
		cfg.Dial, cfg.Publish = w.dial, w.publish
		cfg.Log = slog.New(slog.NewTextHandler(w.log, nil))
		w.Events = New(cfg)
		defer func() {
			if err := errors.Join(w.Close(t.Context()), w.queues.Close()); err != nil {
				t.Error(err)
			}
		}()
		f(t, w)
	})
}

func (w *world) change(name string, f func(*millicent.Function)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.functions[name].Clone()
	f(c)
	w.functions[name] = c
}

func (w *world) Function(_, name string) (*millicent.Function, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.functions[name]; f != nil {
		return f, nil
	}
	return nil, millicent.Errorf(millicent.CodeNotFound, "Function not found: %s", name)
}

func (w *world) Resolve(tenant, name, qualifier string, _ float64) (*millicent.Version, error) {
	f, err := w.Function(tenant, name)
	if err != nil {
		return nil, err
	}
	if qualifier != "" && qualifier != millicent.Latest && f.Aliases[qualifier] == nil {
		return nil, millicent.Errorf(millicent.CodeNotFound, "Function not found: %s:%s", name, qualifier)
	}
	return f.Draft, nil
}

func (w *world) Accept(_ context.Context, inv *millicent.Invocation) error {
	if inv.ID == "" {
		inv.ID = newID()
	}
	inv.Received = time.Now()
	inv.Root = inv.ID
	return nil
}

func (w *world) Invoke(_ context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	w.mu.Lock()
	w.runs = append(w.runs, inv.Function+" "+string(inv.Event))
	serve := w.serve
	w.mu.Unlock()
	return serve(inv)
}

func (w *world) dial(context.Context, []string, string) (net.Conn, error) {
	if w.refuse != nil {
		return nil, w.refuse
	}
	ours, theirs := net.Pipe()
	go func() { // one request, whose connection is closed then
		defer theirs.Close()
		r, err := http.ReadRequest(bufio.NewReader(theirs))
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(theirs, "HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n", w.hook(r, string(body)))
	}()
	return ours, nil
}

func (w *world) publish(_ context.Context, subject, id string, l millicent.Lineage, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.published = append(w.published, subject+" "+id+" "+string(data))
	w.carried = l
	return w.refuse
}

// send enqueues an event and returns its id.
func (w *world) send(function, event string) string {
	w.t.Helper()
	inv := &millicent.Invocation{Tenant: tenant, Function: function, Event: []byte(event)}
	if err := w.Enqueue(w.t.Context(), inv); err != nil {
		w.t.Fatal(err)
	}
	return inv.ID
}

// ran returns what has run, and forgets it.
func (w *world) ran() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	runs := w.runs
	w.runs = nil
	return runs
}

// letters returns the dead letters of a function.
func (w *world) letters(function string) []*event {
	w.t.Helper()
	found, err := w.queues.Browse(w.t.Context(), queue.Name{Kind: KindDead, Tenant: tenant, Name: function}, 0, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []*event
	for _, d := range found {
		ev, err := decode(&d.Message)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, ev)
	}
	return all
}

func (w *world) waiting(function string) queue.Stats {
	return w.queues.Stats(queue.Name{Kind: KindEvent, Tenant: tenant, Name: function})
}

func failure500(*millicent.Invocation) (*millicent.Result, error) {
	return &millicent.Result{
		Payload: []byte(`{"errorMessage":"broken","errorType":"Error"}`), FunctionError: "Unhandled", Version: millicent.Latest,
	}, nil
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) count(s string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.b.String(), s)
}
