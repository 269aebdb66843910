// Package invoke is the one path of every invocation.
package invoke

import (
	"context"

	"github.com/millicent-run/millicent"
)

// Invoker runs invocations.
type Invoker struct{}

// Invoke runs one invocation and returns what the function answered. It fills
// in inv.ID, Root and Received where they are empty.
func (i *Invoker) Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	panic("not built")
}

// Enqueue accepts an Event invocation and runs it in the background.
func (i *Invoker) Enqueue(ctx context.Context, inv *millicent.Invocation) error {
	panic("not built")
}

// Check does what Invoke does up to the running: whether the function and the
// qualifier exist. It serves DryRun.
func (i *Invoker) Check(ctx context.Context, inv *millicent.Invocation) error { panic("not built") }

// Close refuses new invocations and waits for the running ones until ctx ends.
func (i *Invoker) Close(ctx context.Context) error { panic("not built") }
