package server

import "context"

// Run runs a server until ctx ends, and returns once nothing of it is left:
// no goroutine, process, mount or file descriptor. The error says why it
// could not start, or what failed while it ran or stopped; nil after a clean
// stop.
func Run(ctx context.Context, cfg Config) error { panic("not built") }

// Main must be the first call of a program that calls Run (tests: in
// TestMain): the program starts itself again inside of sandboxes, and such a
// start never returns from Main.
func Main() {}
