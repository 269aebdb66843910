package launcher

import (
	"context"
	"errors"
	"testing"
)

func TestWaiting(t *testing.T) {
	type name struct{}
	for what, late := range map[string]bool{"told before": false, "told after": true} {
		t.Run(what, func(t *testing.T) {
			for _, which := range []string{"the caller", "the environment"} {
				caller, leave := context.WithCancel(context.WithValue(t.Context(), name{}, "value"))
				open, shut := context.WithCancel(t.Context())
				defer leave()
				defer shut()
				w := &waiting{Context: caller, open: open}
				defer w.over()
				if err := w.Err(); err != nil || w.Value(name{}) != "value" {
					t.Errorf("%s: %v, %v", which, err, w.Value(name{}))
				}
				told := make(chan struct{})
				tell := func() { context.AfterFunc(w, func() { close(told) }) }
				if !late {
					tell()
				}
				if which == "the caller" {
					leave()
				} else {
					shut()
				}
				if err := w.Err(); !errors.Is(err, context.Canceled) {
					t.Errorf("%s has gone: %v", which, err)
				}
				if late {
					tell()
				}
				<-told
				<-w.Done()
				if w.Value(name{}) != "value" {
					t.Errorf("%s has gone: the value, too", which)
				}
			}
		})
	}
}

// What was registered ends when nobody waits any more.
func TestWaitingIsOver(t *testing.T) {
	w := &waiting{Context: t.Context(), open: t.Context()}
	done := w.Done()
	w.over()
	<-done
	w.over()
}
