// Command millicent is the whole product: the platform (millicent up) and the
// command line that deploys to it and calls it. `millicent --help` is its
// manual.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/millicent-run/millicent/internal/server"
)

func main() {
	server.Main() // returns unless this process is the first one of a sandbox
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			fmt.Fprintln(os.Stderr, "millicent: "+explain(err))
		}
		os.Exit(exitCode(err))
	}
}
