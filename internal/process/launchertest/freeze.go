package launchertest

import (
	"context"
	"time"

	"github.com/millicent-run/millicent"
)

// freezer launches an environment that can be frozen.
func (h *harness) freezer(options ...option) millicent.Freezer {
	h.Helper()
	f, ok := h.launch(options...).(millicent.Freezer)
	if !ok {
		h.Fatal("the environment is no Freezer")
	}
	return f
}

// freeze freezes an environment once it has come to rest.
func (h *harness) freeze(f millicent.Freezer) {
	h.Helper()
	for late := time.Now().Add(soon); ; time.Sleep(time.Millisecond) {
		frozen, err := f.Freeze(h.Context())
		switch {
		case err != nil:
			h.Fatalf("freeze: %v", err)
		case frozen:
			return
		case time.Now().After(late):
			h.Fatal("it does not freeze")
		}
	}
}

func frozenServesOn(h *harness) {
	f := h.freezer()
	h.freeze(f) // before its first invocation
	h.answers(f, event("count"), "1")
	h.freeze(f)
	h.freeze(f) // which it is
	if _, err := f.GiveBack(); err != nil {
		h.Errorf("give back: %v", err)
	}
	h.answers(f, event("count"), "2")
	if _, err := f.GiveBack(); err != nil {
		h.Errorf("give back while it is not frozen: %v", err)
	}
	h.answers(f, event("count"), "3")

	// With nothing running in it.
	if res, _ := h.invoke(f, event("exit", "code", 1)); res.FunctionError == "" {
		h.Error("the runtime did not end")
	}
	h.freeze(f)
	h.answers(f, event("count"), "1")
}

func frozenTimeIsNobodys(h *harness) {
	f := h.freezer(timeout(short))
	h.answers(f, event("count"), "1")
	h.freeze(f)
	time.Sleep(short + 100*time.Millisecond) // all the time that an invocation has
	res, _ := h.invoke(f, event("count"))
	if string(res.Payload) != "2" || res.Usage.Duration >= short || res.Usage.Init != 0 {
		h.Errorf("got %s with usage %+v", res.Payload, res.Usage)
	}
}

func invocationsCallFreezingOff(h *harness) {
	f := h.freezer()
	inv := h.invocation(event("sleep", "ms", 60_000))
	ctx, cancel := context.WithCancel(h.Context())
	defer cancel()
	started, ended := h.logs.Started(inv.ID), make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = f.Invoke(ctx, inv) // it is cancelled
	}()
	h.await(started)
	if frozen, err := f.Freeze(h.Context()); frozen || err != nil {
		h.Errorf("freeze during an invocation: %v, %v", frozen, err)
	}
	cancel()
	<-ended

	for range 100 {
		over := make(chan error, 1)
		go func() {
			_, err := f.Freeze(h.Context())
			over <- err
		}()
		h.answers(f, event("echo", "value", 1), "1")
		if err := <-over; err != nil {
			h.Errorf("freeze: %v", err)
		}
	}
	late, cancelled := context.WithCancel(h.Context())
	cancelled()
	if frozen, _ := f.Freeze(late); !frozen {
		h.answers(f, event("echo", "value", 2), "2")
	}
}

func frozenCloses(h *harness) {
	f := h.freezer()
	h.answers(f, event("echo", "value", 1), "1")
	h.freeze(f)
	if err := f.Close(); err != nil {
		h.Errorf("close: %v", err)
	}
	if frozen, err := f.Freeze(h.Context()); frozen {
		h.Errorf("freeze of what is closed: %v, %v", frozen, err)
	}
	if _, err := f.GiveBack(); err != nil {
		h.Errorf("give back of what is closed: %v", err)
	}
	if _, err := f.Invoke(h.Context(), h.invocation(event("echo"))); millicent.ErrorCode(err) != millicent.CodeEnvironmentDead {
		h.Errorf("got %v, want an error of code %s", err, millicent.CodeEnvironmentDead)
	}

	// While it is being frozen.
	for range 5 {
		f := h.freezer()
		over := make(chan struct{})
		go func() {
			defer close(over)
			_, _ = f.Freeze(h.Context()) // its end is what counts
		}()
		if err := f.Close(); err != nil {
			h.Errorf("close: %v", err)
		}
		h.await(over)
	}
}
