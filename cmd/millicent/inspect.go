package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent/internal/wasm"
	"github.com/millicent-run/millicent/internal/wasm/module"
)

func (c *cli) inspectCommand() *cobra.Command {
	var payload string
	var memory int
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Tell what a WebAssembly module is, and try it",
		Long: `Tell how a WebAssembly module would run: how it takes events, what it imports,
and whether requests share instances that are reset between them. With
--payload run it once, here and without a server, and print its answer.

A module is a WASI preview 1 command (the event on standard input, the answer on
standard output), or a reactor that exports alloc and handle.`,
		Example: `  GOOS=wasip1 GOARCH=wasm go build -o hello.wasm ./hello
  millicent inspect hello.wasm
  millicent inspect hello.wasm --payload '{"name":"you"}' --memory 64`,
		Args: wantArgs(1, 1, "one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if memory < 1 || memory > 4096 {
				return &usageError{cmd: cmd.CommandPath(), message: "--memory is from 1 to 4096 MB"}
			}
			file, err := readModule(args[0])
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("payload") {
				return c.describe(args[0], file)
			}
			event, err := c.readPayload(payload)
			if err != nil {
				return err
			}
			return c.try(cmd.Context(), file, event, memory, timeout)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&payload, "payload", "p", "", "run it with this event: `JSON`, @FILE, or - for standard input")
	f.IntVar(&memory, "memory", 128, "memory that it may have, in `MB`")
	f.DurationVar(&timeout, "timeout", 3*time.Second, "how long it may run")
	c.jsonFlag(cmd)
	return cmd
}

func readModule(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := io.ReadAll(io.LimitReader(f, module.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the module: %w", err)
	}
	return file, nil
}

func (c *cli) describe(path string, file []byte) error {
	d, err := wasm.Describe(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if c.json {
		return printJSON(c.out, d)
	}
	none := func(list []string) string {
		if len(list) == 0 {
			return "none"
		}
		return printable(strings.Join(list, ", "))
	}
	isolation := "an instance that is reset after each request"
	if !d.Resets {
		isolation = "a new instance for each request: it changes tables, or globals that are no numbers"
	}
	_, err = fmt.Fprintf(c.out, "kind       %s\nsize       %s, %d functions\nmemory     %s at first, %s at most\nimports    %s\nhooks      %s\nisolation  %s\n",
		d.ABI, size(int64(d.Bytes)), d.Functions, size(d.MinMemory), size(d.MaxMemory), none(d.Imports), none(d.Hooks), isolation)
	return err
}

// try runs a module once.
func (c *cli) try(ctx context.Context, file, event []byte, memory int, timeout time.Duration) (err error) {
	engine, err := wasm.NewEngine(ctx, wasm.EngineConfig{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))) }()
	p, err := engine.Load(ctx, file, wasm.ProgramConfig{MemoryMB: memory, Log: c.err})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(context.WithoutCancel(ctx))) }()
	i, err := p.Instance(ctx)
	if err != nil {
		return err
	}
	defer i.Close()
	begin := time.Now()
	a := i.Serve(ctx, &wasm.Request{Event: event, Deadline: begin.Add(timeout), Log: c.err})
	fmt.Fprintln(c.err, paint(c.err, dim, fmt.Sprintf("took %v, %v of a core, %d units of fuel, %s of memory",
		time.Since(begin).Round(time.Microsecond), a.CPU.Round(time.Microsecond), a.Fuel, size(int64(a.Peak)))))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case a.Failure != nil:
		return fmt.Errorf("%w: %w", errFunction, a.Failure)
	}
	_, err = c.out.Write(a.Payload)
	return err
}
